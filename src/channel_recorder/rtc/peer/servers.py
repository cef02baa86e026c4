"""STUN and TURN servers by their URLs (RFC 7064, RFC 7065)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from channel_recorder.errors import MalformedError
from channel_recorder.model import IceServer

_URL = re.compile(
    r"(?P<scheme>stuns?|turns?):(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?:\?transport=(?P<transport>[a-z]+))?"
)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """One parsed URL."""

    is_relay: bool
    host: str
    port: int
    transport: str = "udp"
    """To the server: udp or tcp."""
    tls: bool = False


def parse_server_url(url: str) -> ServerAddress:
    """Raises MalformedError."""
    match = _URL.fullmatch(url)
    if match is None:
        raise MalformedError(f"no STUN or TURN URL: {url[:60]!r}")
    tls = match["scheme"] in ("stuns", "turns")
    port = int(match["port"] or (5349 if tls else 3478))
    transport = match["transport"] or ("tcp" if tls else "udp")
    if port > 65535 or transport not in ("udp", "tcp"):
        raise MalformedError(f"no STUN or TURN URL: {url[:60]!r}")
    is_relay = match["scheme"].startswith("turn")
    return ServerAddress(is_relay=is_relay, host=match["host"].strip("[]"), port=port, transport=transport, tls=tls)


def usable_servers(servers: Iterable[IceServer]) -> Iterator[tuple[ServerAddress, IceServer]]:
    """Every URL that we can use: STUN over UDP, TURN over UDP, TCP and TLS. Others are passed over."""
    for server in servers:
        for url in server.urls:
            try:
                address = parse_server_url(url)
            except MalformedError:
                continue
            if _is_usable(address):
                yield address, server


def _is_usable(address: ServerAddress) -> bool:
    # TURN over DTLS (turns: with transport=udp) is spoken by hardly any server, STUN over TCP helps nobody here.
    if address.is_relay:
        return address.transport == "tcp" or not address.tls
    return address.transport == "udp"
