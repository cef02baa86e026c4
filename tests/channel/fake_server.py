"""A WebSocket server in the test's own loop, to be scripted."""

from __future__ import annotations

import asyncio
import http
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from livekit.protocol import rtc as pb
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

Script = Callable[[ServerConnection], Awaitable[None]]


class FakeServer:
    """Answers the handshake with `status`, or runs `script` with the connection."""

    def __init__(self, script: Script | None = None, *, status: int = 101, body: str = "", location: str = "") -> None:
        self._script = script
        self._status = status
        self._body = body
        self._location = location
        self._server: Server | None = None
        self.requests: list[Request] = []
        self.asked = asyncio.Event()
        self.received: list[pb.SignalRequest] = []
        self.close_code: int | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await serve(self._serve, "127.0.0.1", 0, process_request=self._check, close_timeout=0.05)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        self.asked.set()
        if self._status == 101:
            return None
        headers = Headers({"Content-Length": str(len(self._body))})
        if self._location:
            headers["Location"] = self._location
        return Response(self._status, http.HTTPStatus(self._status).phrase, headers, self._body.encode())

    async def _serve(self, connection: ServerConnection) -> None:
        if self._script is not None:
            await self._script(connection)
        try:
            async for message in connection:
                assert isinstance(message, bytes)
                self.received.append(pb.SignalRequest.FromString(message))
                if self.received[-1].WhichOneof("message") == "leave":
                    break
        except ConnectionClosed:
            pass
        self.close_code = connection.close_code


def say(*messages: bytes | str) -> Script:
    async def script(connection: ServerConnection) -> None:
        for message in messages:
            await connection.send(message)

    return script


@asynccontextmanager
async def raw_server(answer: bytes) -> AsyncGenerator[str]:
    """Takes a connection, says `answer` whatever is asked, and hangs up."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
