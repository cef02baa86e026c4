"""Keeps other sites' pages away from the API, and gives every answer the headers that a browser needs to be strict.

A page of another site may make the user's browser ask us, with the user's cookie or, on loopback, with nothing at
all; or have its own name point to 127.0.0.1 (DNS rebinding). Three things tell: Host, Origin and Sec-Fetch-Site.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from channel_recorder.service.problems import ProblemError

BODY_MAX_BYTES = 64 * 1024
API_PREFIX = "/api"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?")
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Gate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, is_loopback: bool) -> None:
        self._app = app
        self._is_loopback = is_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        strict_send = _with_headers(send)
        problem = self._problem(scope) if _is_api(scope) else None
        if problem is not None:
            await problem.response()(scope, receive, strict_send)
        else:
            await self._app(scope, _limited(receive), strict_send)

    def _problem(self, scope: Scope) -> ProblemError | None:
        headers = Headers(scope=scope)
        if self._is_loopback and host_name(headers.get("host", "")) not in LOOPBACK_NAMES:
            return ProblemError(421, "this server answers to localhost and 127.0.0.1 only", reason="foreign_host")
        if _is_foreign(headers):
            return ProblemError(403, "pages of other sites may not use this API", reason="foreign_page")
        if scope["method"] in _CHANGING and not _is_json(headers):
            return ProblemError(415, "the body must be JSON: Content-Type: application/json")
        if _length(headers) > BODY_MAX_BYTES:
            return ProblemError(413, f"the body is longer than {BODY_MAX_BYTES} bytes")
        return None


def host_name(host: str) -> str:
    """Of a Host header: without the port, in lower case; empty if it is none."""
    found = _HOST.fullmatch(host)
    return found[1].strip("[]").rstrip(".").lower() if found else ""


def origin_of(request: Request) -> str:
    """`HOST:PORT` as the browser called us; empty if the header is nothing that may stand in another header."""
    host = request.headers.get("host", "")
    return host if host_name(host) else ""


def _is_api(scope: Scope) -> bool:
    path: str = scope["path"]
    return path == API_PREFIX or path.startswith(API_PREFIX + "/")


def _is_foreign(headers: Headers) -> bool:
    # "none": the user typed the address. Browsers without the header (Safari before 16.4) still send Origin.
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    return origin is not None and _authority(origin) != headers.get("host", "").lower()


def _authority(origin: str) -> str:
    """Host and port; the scheme is not compared, since a proxy may have ended TLS."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _is_json(headers: Headers) -> bool:
    """No foreign form can send this type, nor an Authorization header, without asking first."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (not kind and "authorization" in headers)


def _length(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else BODY_MAX_BYTES + 1


def _limited(receive: Receive) -> Receive:
    """For bodies that come in chunks, without a length."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > BODY_MAX_BYTES:
            # Of this kind, because FastAPI makes a 400 of any other one that is raised while it reads a body.
            raise HTTPException(413, f"the body is longer than {BODY_MAX_BYTES} bytes")
        return message

    return limited


def _with_headers(send: Send) -> Send:
    async def strict(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return strict
