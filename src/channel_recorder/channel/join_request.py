"""The URL of a join on LiveKit's v0 path (`/rtc`), which every server version and every cloud has."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from urllib.parse import SplitResult, urlencode, urlsplit, urlunsplit

from channel_recorder.errors import ConfigError

PROTOCOL_VERSION = 16
"""Low numbers make the server reuse m-lines with new SSRCs; 17 promises packet trailers."""
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


def join_url(server_url: str, *, auto_subscribe: bool, version: str, more: Mapping[str, str] | None = None) -> str:
    """Where to open the WebSocket. The access token is not in it: it goes into the Authorization header.

    `auto_subscribe`: the server sends every track; else only what is asked for. `more`: what the access token does
    not tell. Raises ConfigError.
    """
    parts = _split(server_url)
    query = {
        "protocol": str(PROTOCOL_VERSION),
        "auto_subscribe": "1" if auto_subscribe else "0",
        "adaptive_stream": "0",
        "subscriber_allow_pause": "0",
        "sdk": "unknown",
        "version": version,
        "os": platform.system().lower(),
        **(more or {}),
    }
    path = parts.path.rstrip("/") + "/rtc"
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, urlencode(query), ""))


def server_name(server_url: str) -> str:
    """Scheme, host and port, for messages: nothing that could be a secret. Raises ConfigError."""
    parts = _split(server_url)
    return f"{_SCHEMES[parts.scheme]}://{parts.netloc}"


def _split(server_url: str) -> SplitResult:
    try:
        parts = urlsplit(server_url.strip())
        wrong = _what_is_wrong(parts)
    except ValueError:
        wrong = "its host or port cannot be read"
    else:
        if wrong is None:
            return parts
    raise ConfigError(f"the server URL is not acceptable, {wrong}: give ws://HOST:PORT, or wss://HOST where it has TLS")


def _what_is_wrong(parts: SplitResult) -> str | None:
    """Never quotes what may be a password or a token."""
    if parts.scheme not in _SCHEMES:
        return f"its scheme is {parts.scheme[:20]!r}" if parts.scheme else "it has no scheme"
    if not parts.hostname:
        return "it has no host"
    if parts.port == 0:
        return "its port is 0"
    if parts.username is not None or parts.password is not None:
        return "it holds a user name"
    if parts.query or parts.fragment:
        return "it holds a query"
    if not parts.netloc.isprintable() or " " in parts.netloc:
        return "its host cannot be read"
    return None
