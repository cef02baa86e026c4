"""uvicorn's connections with what a server needs that strangers can reach: limits on time and size before a token was
seen, long request lines, nobody waited for who does not read, and no query in any log."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from urllib.parse import quote_from_bytes

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.frames import Frame
from websockets.http11 import Request

from channel_recorder.sfu.doors.limits import Crowd, DoorLimits, Visit

EXTENSION = "channel_recorder"
"""In the ASGI scope of a WebSocket, below `extensions`: its `DoorWebSocket`."""
INVALID_DATA, POLICY_VIOLATION, MESSAGE_TOO_BIG = 1007, 1008, 1009
"""RFC 6455 section 7.4.1."""
CLOSE_SECONDS = 3.0
"""For the far side to answer our close, and again for what was written to be taken."""
SLICE_BYTES = 4096
MAX_FRAMES_AT_ONCE = 2000
"""In what one read of the socket gives. Parsing them takes some 20 ms, for which everybody's media waits."""
MAX_FRAGMENTS = 1024
"""Of one message."""
_URL_CHARACTERS = "".join(chr(code) for code in range(0x21, 0x7F))
_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: 20\r\nconnection: close\r\n"
    b"access-control-allow-origin: *\r\nretry-after: 5\r\n\r\ntoo many connections"
)
_HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n"
    b"access-control-allow-origin: *\r\n\r\n"
)
_HEAD_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class DoorHttp(HttpToolsProtocol):
    """`crowd` and `limits` are set by `door_protocol`."""

    crowd: Crowd
    limits: DoorLimits
    _visit: Visit | None = None
    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _is_in_head = True
    _has_begun = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._visit = self.crowd.enter(self.client[0] if self.client else "")
        if self._visit is None:
            self._turn_away(_TOO_MANY)
        else:
            self._arm_head_timer()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        # Only as long as a head is being read: the parser itself has no limits.
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > self.limits.head_bytes:
            self._turn_away(_HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        self._has_begun = True
        if self._head_timer is None:
            self._arm_head_timer()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._head_bytes = 0
        self._disarm_head_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm_head_timer()
        if self._visit is not None:
            self._visit.end()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """The WebSocket library reads lines of 8 KiB at most: the head is handed over as it was parsed here."""
        self.connections.discard(self)
        visit = cast("Visit", self._visit)
        protocol = DoorWebSocket(self.config, self.server_state, self.app_state, self.limits, visit)
        protocol.connection_made(self.transport)
        protocol.begin(_request(self.url, self.headers))
        self.transport.set_protocol(protocol)

    def _should_upgrade(self) -> bool:
        return self.parser is not None and self.parser.get_method() == b"GET" and super()._should_upgrade()

    def _arm_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.head_seconds, self._head_is_late)

    def _disarm_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        self._turn_away(_HEAD_TOO_SLOW if self._has_begun else b"")

    def _turn_away(self, response: bytes) -> None:
        if not self.transport.is_closing():
            if response:
                self.transport.write(response)
            self.transport.close()
            self.loop.call_later(CLOSE_SECONDS, self.transport.abort)


class DoorWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket, from its upgrade to its end."""

    def __init__(
        self, config: Any, server_state: Any, app_state: dict[str, Any], limits: DoorLimits, visit: Visit
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.close_timeout = CLOSE_SECONDS
        self._limits = limits
        self._visit = visit
        self._stall_timer: asyncio.TimerHandle | None = None
        self._abort_timer: asyncio.TimerHandle | None = None
        self._head: Request | None = None

    def begin(self, head: Request) -> None:
        self._head = head
        self.data_received(b"GET / HTTP/1.1\r\n\r\n")

    def is_known(self) -> None:
        """A good token was shown."""
        self._visit.is_known()

    def abort(self) -> None:
        """Ends it at once. What waits to be sent is thrown away."""
        self.transport.abort()

    # What uvicorn calls

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(self._head or event)
        if hasattr(self, "scope"):
            cast("dict[str, Any]", self.scope)["extensions"][EXTENSION] = self

    async def run_asgi(self) -> None:
        await super().run_asgi()
        # By then the far side has all that it wants: who does not read must not keep the connection.
        if not self.disconnected:
            self._abort_timer = self.loop.call_later(2 * CLOSE_SECONDS, self.transport.abort)

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            # uvicorn 0.54 takes a refusal for an unfinished handshake, and would log each as an error.
            self.handshake_complete = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_stall()
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        self._visit.end()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self._limits.stall_seconds, self.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_stall()

    def handle_ping(self) -> None:
        # A flood of pings whose sender reads no pongs must not fill our memory.
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def data_received(self, data: bytes) -> None:
        frames = 0
        for start in range(0, len(data), SLICE_BYTES):
            if self.transport.is_closing():
                return
            self.conn.receive_data(data[start : start + SLICE_BYTES])
            frames += len(self.conn.events)
            if frames > MAX_FRAMES_AT_ONCE:
                self._fail(POLICY_VIOLATION)
            elif self.conn.parser_exc is not None:
                self.handle_parser_exception()
            else:
                self.handle_events()

    def handle_cont(self, event: Frame) -> None:
        # Empty fragments add nothing to a message's size, but to the list of them.
        if len(self.frames) >= MAX_FRAGMENTS:
            self._fail(MESSAGE_TOO_BIG)
            return
        super().handle_cont(event)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not _is_utf8(self.frames):
            self._fail(INVALID_DATA)
            return
        super().send_receive_event_to_app()

    def _fail(self, code: int) -> None:
        if self.conn.close_sent is None:
            self.conn.send_close(code)
        self.handle_parser_exception()

    def _end_stall(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None


def door_protocol(crowd: Crowd, limits: DoorLimits) -> type[DoorHttp]:
    """For uvicorn's `Config(http=...)`, which makes one for each connection."""
    return type("LimitedDoorHttp", (DoorHttp,), {"crowd": crowd, "limits": limits})


def _request(url: bytes, headers: list[tuple[bytes, bytes]]) -> Request:
    """Only ASCII: the library takes nothing else, and what is not is no header of a handshake."""
    pairs = [(name.decode("ascii", "ignore"), value.decode("ascii", "ignore")) for name, value in headers]
    return Request(quote_from_bytes(url, _URL_CHARACTERS), Headers(pairs))


def _is_utf8(parts: list[bytes]) -> bool:
    try:
        b"".join(parts).decode()
    except UnicodeDecodeError:
        return False
    return True
