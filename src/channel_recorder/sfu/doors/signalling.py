"""The WebSocket doors `/rtc` and `/rtc/v1`, and their `/validate`, which browsers ask why they were refused."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Scope
from starlette.websockets import WebSocket, WebSocketDisconnect

from channel_recorder.errors import MalformedError
from channel_recorder.sfu.access import Access
from channel_recorder.sfu.contract import JoinRefusedError, JoinRequest, SignalSession, SignalSink
from channel_recorder.sfu.doors.asked import Asked, read_asked
from channel_recorder.sfu.doors.connections import EXTENSION, INVALID_DATA, POLICY_VIOLATION, DoorWebSocket
from channel_recorder.sfu.doors.frames import read_frame
from channel_recorder.sfu.doors.limits import DoorLimits, Refusals
from channel_recorder.sfu.doors.outbox import Outbox
from channel_recorder.sfu.join_request import read_join_request
from channel_recorder.sfu.limits import RateLimit

logger = logging.getLogger(__name__)

CORS = {"access-control-allow-origin": "*"}
"""Refusals have it too: a browser that cannot read the status of `/rtc/v1/validate` never tries `/rtc`."""
NORMAL = 1000


class Rooms(Protocol):
    """What the doors need of `sfu.server.ChannelServer`."""

    def join(self, request: JoinRequest, sink: SignalSink) -> SignalSession:
        """Raises JoinRefusedError."""
        ...


@dataclass(frozen=True, slots=True)
class SignalDoor:
    rooms: Rooms
    access: Access
    limits: DoorLimits
    refusals: Refusals
    now: Callable[[], float]
    """Monotonic seconds."""

    async def v0(self, websocket: WebSocket) -> None:
        await self._serve(websocket, packed=False)

    async def v1(self, websocket: WebSocket) -> None:
        await self._serve(websocket, packed=True)

    async def validate_v0(self, request: Request) -> Response:
        return self._validate(request, packed=False)

    async def validate_v1(self, request: Request) -> Response:
        return self._validate(request, packed=True)

    def _validate(self, request: Request, *, packed: bool) -> Response:
        try:
            self._join_request(request.scope, packed)
        except JoinRefusedError as error:
            return refusal(error)
        return PlainTextResponse("success", headers=CORS)

    async def _serve(self, websocket: WebSocket, *, packed: bool) -> None:
        connection: DoorWebSocket = websocket.scope["extensions"][EXTENSION]
        outbox = Outbox(self.limits.waiting_bytes, connection.abort)
        try:
            session = self.rooms.join(self._join_request(websocket.scope, packed), outbox)
        except JoinRefusedError as error:
            await websocket.send_denial_response(refusal(error))
            return
        connection.is_known()
        try:
            await _Conversation(websocket, session, outbox, self.limits, self.now).hold()
        finally:
            session.disconnected()
            outbox.close()

    def _join_request(self, scope: Scope, packed: bool) -> JoinRequest:
        """Raises JoinRefusedError."""
        asked = read_asked(scope)
        try:
            credentials = self.access.join(asked.token, asked.query)
        except JoinRefusedError as error:
            raise self._counted(error, asked) from None
        if asked.is_foreign_page and self.access.needs_no_proof(credentials):
            raise JoinRefusedError(403, "an App ID alone lets in pages of this machine only: join with a token")
        return read_join_request(asked.query, credentials, packed=packed, address=asked.address)

    def _counted(self, error: JoinRefusedError, asked: Asked) -> JoinRefusedError:
        """Who tries token after token is told less, and costs less."""
        logger.info("a join from %s was refused: %s", asked.address, error)
        if self.refusals.count(asked.address, self.now()):
            return error
        return JoinRefusedError(429, "too many attempts: wait a little")


def refusal(error: JoinRefusedError) -> Response:
    headers = CORS | ({"retry-after": "5"} if error.status in (429, 503) else {})
    return PlainTextResponse(str(error), error.status, headers=headers)


class _Conversation:
    """Between one client and its session, until one of both sides closes."""

    def __init__(
        self,
        websocket: WebSocket,
        session: SignalSession,
        outbox: Outbox,
        limits: DoorLimits,
        now: Callable[[], float],
    ) -> None:
        self._websocket = websocket
        self._session = session
        self._outbox = outbox
        self._now = now
        self._bytes = RateLimit(limits.message_bytes_per_second, limits.message_burst_bytes, now())

    async def hold(self) -> None:
        await self._websocket.receive()  # websocket.connect: what it asks for is known already
        await self._websocket.accept()
        writing = asyncio.create_task(self._write())
        try:
            code = await self._read()
        finally:
            writing.cancel()
            await asyncio.wait({writing})
        if code is not None:
            await _close(self._websocket, code)

    async def _read(self) -> int | None:
        """Until the end, or what to close with."""
        while (message := await self._websocket.receive())["type"] != "websocket.disconnect":
            # A flood of messages must not hold up everybody's media.
            await asyncio.sleep(0)
            if self._outbox.is_closed:
                continue
            code = self._take(_frame(message))
            if code is not None:
                return code
        return None

    def _take(self, frame: bytes | str) -> int | None:
        if not self._bytes.allows(len(frame), self._now()):
            return POLICY_VIOLATION
        self._outbox.speaks_json = isinstance(frame, str)
        try:
            request = read_frame(frame)
        except MalformedError:
            return INVALID_DATA
        self._session.receive(request)
        return None

    async def _write(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while (message := await self._outbox.next()) is not None:
                if isinstance(message, str):
                    await self._websocket.send_text(message)
                else:
                    await self._websocket.send_bytes(message)
        await _close(self._websocket, NORMAL)


async def _close(websocket: WebSocket, code: int) -> None:
    # It may have been closed in the meantime, which the reader is told.
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await websocket.close(code)


def _frame(message: Message) -> bytes | str:
    data: bytes | None = message.get("bytes")
    return data if data is not None else message["text"]
