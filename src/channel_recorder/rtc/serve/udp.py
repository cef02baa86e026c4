"""One UDP socket for all sessions: datagrams go to their session by the address they come from."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from channel_recorder.rtc.serve.agent import Route
from channel_recorder.rtc.serve.registry import PortDrop, Registry

STUN_END = b"\x04"
"""RFC 7983 section 7: STUN begins with a byte below this one; DTLS and media compare as greater."""

Address = tuple[Any, ...]
"""As the socket gives it: (host, port), with flow and scope for IPv6. Those of the two families never are equal."""


class UdpEndpoint(asyncio.DatagramProtocol):
    """Receives through the loop, sends through the socket itself: the way through the loop's transport takes longer
    (0.2 us), and has a queue without a bound for what the kernel does not take at once."""

    def __init__(self, udp: socket.socket, registry: Registry) -> None:
        self.registry = registry
        self.receivers: dict[Address, Callable[[bytes], None]] = {}
        """Of the addresses that belong to a session."""
        self.send_to = udp.sendto
        self.port = int(udp.getsockname()[1])
        self._socket = udp
        self._transport: asyncio.BaseTransport | None = None
        self._closed = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=self._socket)

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            await self._closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.receivers.clear()
        if not self._closed.done():
            self._closed.set_result(None)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Hot path."""
        receive = self.receivers.get(addr)
        if receive is not None and data > STUN_END:
            receive(data)
        elif data[:1] < STUN_END:
            self.registry.receive_check(data, UdpRoute(self, addr))
        else:
            self.registry.drops[PortDrop.NO_CHECK] += 1


class UdpRoute:
    """The address of a far side."""

    __slots__ = ("_endpoint", "_send_to", "host", "key", "port")

    def __init__(self, endpoint: UdpEndpoint, address: Address) -> None:
        self._endpoint = endpoint
        self._send_to = endpoint.send_to
        self.key = address
        self.host: str = address[0]
        self.port: int = address[1]

    def send(self, data: bytes) -> None:
        """Hot path."""
        try:
            self._send_to(data, self.key)
        except OSError:
            self._endpoint.registry.drops[PortDrop.NOT_SENT] += 1

    def attach(self, receive: Callable[[bytes], None], on_lost: Callable[[Route], None]) -> bool:
        return self._endpoint.receivers.setdefault(self.key, receive) == receive

    def detach(self) -> None:
        self._endpoint.receivers.pop(self.key, None)
