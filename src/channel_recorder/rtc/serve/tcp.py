"""ICE over TCP (RFC 6544), passive: for networks that let no UDP through. Frames as in RFC 4571.

What is sent are datagrams still: those that a slow connection has no room for are dropped, as UDP would.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import cast

from channel_recorder.rtc.serve.agent import Route
from channel_recorder.rtc.serve.registry import PortDrop, Registry
from channel_recorder.rtc.serve.udp import STUN_END

MAX_FRAME_BYTES = 4096
"""No packet of WebRTC is longer than an Ethernet frame; DTLS records may fill two."""
MAX_WAITING_BYTES = 256 * 1024
"""A key frame or two. More would only arrive too late."""
MAX_UNSENT_KERNEL_BYTES = 64 * 1024
"""Beyond what is under way the kernel may not hoard either: it would be seconds of media, out of our sight."""
MAX_CONNECTIONS = 4096
MAX_STRANGERS = 256
"""Connections that no session has taken yet; the oldest goes when another comes."""
SWEEP_SECONDS = 5.0
STRANGER_SWEEPS = 2
SILENT_SWEEPS = 12


class TcpListener:
    """All TCP connections, and the order to close those that are no use."""

    def __init__(self, sockets: Sequence[socket.socket], registry: Registry) -> None:
        self.registry = registry
        self.port = int(sockets[0].getsockname()[1])
        self.connections: set[TcpConnection] = set()
        self.strangers: dict[TcpConnection, None] = {}
        """In the order of their coming."""
        self._sockets = sockets
        self._servers: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            self._servers.append(await loop.create_server(lambda: TcpConnection(self), sock=listening))
        self._timer = loop.call_later(SWEEP_SECONDS, self._on_timer)

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.abort()
        for server in self._servers:
            await server.wait_closed()

    def welcome(self, connection: TcpConnection) -> None:
        if len(self.connections) >= MAX_CONNECTIONS:
            self.refuse(connection)
            return
        if len(self.strangers) >= MAX_STRANGERS:
            self.refuse(next(iter(self.strangers)))
        self.connections.add(connection)
        self.strangers[connection] = None

    def refuse(self, connection: TcpConnection) -> None:
        self.registry.drops[PortDrop.TCP_REFUSED] += 1
        connection.abort()

    def forget(self, connection: TcpConnection) -> None:
        self.connections.discard(connection)
        self.strangers.pop(connection, None)

    def sweep(self) -> None:
        """Every SWEEP_SECONDS. Strangers have two rounds to show a check, whatever else they send."""
        for connection in list(self.connections):
            is_stranger = connection in self.strangers
            connection.silent_sweeps = connection.silent_sweeps + 1 if is_stranger or not connection.heard else 0
            connection.heard = False
            if connection.silent_sweeps > (STRANGER_SWEEPS if is_stranger else SILENT_SWEEPS):
                self.refuse(connection)

    def _on_timer(self) -> None:
        self.sweep()
        self._timer = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._on_timer)


class TcpConnection(asyncio.Protocol):
    """A connection, and the route that it is to a far side."""

    def __init__(self, listener: TcpListener) -> None:
        self.host = ""
        self.port = 0
        self.heard = False
        self.silent_sweeps = 0
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._is_over = False
        self._unread = b""
        self._receive: Callable[[bytes], None] | None = None
        self._on_lost: Callable[[Route], None] | None = None

    @property
    def key(self) -> TcpConnection:
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast("asyncio.Transport", transport)
        address = transport.get_extra_info("peername")
        if not address:  # gone already
            self.abort()
            return
        self.host, self.port = address[:2]
        connected = transport.get_extra_info("socket")
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_KERNEL_BYTES)
        self._listener.welcome(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over, self._transport = True, None
        self._listener.forget(self)
        on_lost, self._receive, self._on_lost = self._on_lost, None, None
        if on_lost is not None:
            on_lost(self)

    def data_received(self, data: bytes) -> None:
        self.heard = True
        data = self._unread + data if self._unread else data
        start, end = 0, len(data)
        while end - start >= 2 and not self._is_over:
            size = data[start] << 8 | data[start + 1]
            if size > MAX_FRAME_BYTES:
                self._listener.refuse(self)
                return
            if end - start < 2 + size:
                break
            self._receive_frame(data[start + 2 : start + 2 + size])
            start += 2 + size
        self._unread = data[start:]

    def send(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or self._is_over or transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            self._listener.registry.drops[PortDrop.NOT_SENT] += 1
        else:
            transport.write(len(data).to_bytes(2, "big") + data)

    def attach(self, receive: Callable[[bytes], None], on_lost: Callable[[Route], None]) -> bool:
        if self._receive is not None and self._receive != receive:
            return False
        self._receive, self._on_lost = receive, on_lost
        self._listener.strangers.pop(self, None)
        self.silent_sweeps = 0
        return True

    def detach(self) -> None:
        """A connection without a session is of no use. What was just sent, a good-bye maybe, still goes out."""
        self._is_over, self._receive, self._on_lost = True, None, None
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        self._is_over = True
        self._listener.forget(self)
        if self._transport is not None:
            self._transport.abort()

    def _receive_frame(self, frame: bytes) -> None:
        if self._receive is not None and frame > STUN_END:
            self._receive(frame)
        elif not self._listener.registry.receive_check(frame, self) and self._receive is None:
            self._listener.refuse(self)
