"""A file over HTTP, whole or in parts (RFC 9110, section 14), also while it grows.

Read in slices on a thread: the loop that serves it carries the media of calls. An answer is of the size that the
file had when it was asked for; the entity tag changes with every byte that is added.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

SLICE_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class UnsatisfiableRangeError(Exception):
    """The file ends before the part begins."""


@dataclass(frozen=True, slots=True)
class Span:
    start: int
    end: int
    """The first byte that is not in it."""


def parse_range(header: str | None, size: int) -> Span | None:
    """The part asked for; None for the whole file: no header, one of another kind, or several parts at once.

    Raises UnsatisfiableRangeError.
    """
    found = _RANGE.fullmatch(header.strip().lower()) if header is not None else None
    if found is None or (not found[1] and not found[2]):
        return None
    if not found[1]:
        return _suffix(int(found[2]), size)
    start, end = int(found[1]), int(found[2]) + 1 if found[2] else size
    if end <= start and found[2]:
        return None
    if start >= size:
        raise UnsatisfiableRangeError
    return Span(start, min(end, size))


def _suffix(length: int, size: int) -> Span:
    if length == 0 or size == 0:
        raise UnsatisfiableRangeError
    return Span(max(0, size - length), size)


def file_response(request: Request, descriptor: int, name: str, content_type: str, *, download: bool) -> Response:
    """Takes the descriptor, which it closes."""
    status = os.fstat(descriptor)
    tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f"{'attachment' if download else 'inline'}; filename*=utf-8''{quote(name, safe='')}",
        "ETag": tag,
        "Last-Modified": formatdate(status.st_mtime, usegmt=True),
    }
    if _is_known(request.headers.get("if-none-match"), tag):
        os.close(descriptor)
        return Response(status_code=304, headers=headers)
    header = request.headers.get("range") if _may_be_partial(request, headers) else None
    try:
        span = parse_range(header, status.st_size)
    except UnsatisfiableRangeError:
        os.close(descriptor)
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{status.st_size}"})
    if span is None:
        return _FileResponse(descriptor, Span(0, status.st_size), 200, headers, content_type)
    headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{status.st_size}"
    return _FileResponse(descriptor, span, 206, headers, content_type)


def _is_known(if_none_match: str | None, tag: str) -> bool:
    return if_none_match is not None and tag in [one.strip().removeprefix("W/") for one in if_none_match.split(",")]


def _may_be_partial(request: Request, headers: Mapping[str, str]) -> bool:
    """If-Range: a part only of what the client has parts of."""
    condition = request.headers.get("if-range")
    return condition is None or condition in (headers["ETag"], headers["Last-Modified"])


class _FileResponse(StreamingResponse):
    """Stops reading when the client goes away, which players do at every seek."""

    def __init__(
        self, descriptor: int, span: Span, status_code: int, headers: Mapping[str, str], content_type: str
    ) -> None:
        self._descriptor = descriptor
        length = {"Content-Length": str(span.end - span.start)}
        super().__init__(_slices(descriptor, span), status_code, {**headers, **length}, content_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "HEAD":
                await Response(status_code=self.status_code, headers=self.headers)(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)
        finally:
            os.close(self._descriptor)


async def _slices(descriptor: int, span: Span) -> AsyncIterator[bytes]:
    at = span.start
    while at < span.end:
        part = await asyncio.to_thread(os.pread, descriptor, min(SLICE_BYTES, span.end - at), at)
        if not part:
            # Somebody cut the file: the server closes the connection, since the length was promised.
            return
        at += len(part)
        yield part
