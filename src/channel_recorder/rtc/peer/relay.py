"""A TURN allocation (RFC 8656) that looks like a datagram transport. Messages and refreshes are aioice's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aioice import stun
from aioice.ice import StunProtocol
from aioice.turn import (
    DEFAULT_ALLOCATION_LIFETIME,
    DEFAULT_CHANNEL_REFRESH_TIME,
    TurnClientProtocol,
    TurnClientTcpProtocol,
    TurnClientUdpProtocol,
)

from channel_recorder.model import IceServer
from channel_recorder.rtc.peer.servers import ServerAddress

_DELETE_SECONDS = 1.0
"""A server that does not answer must not hold up the end of a recording; it forgets the allocation by itself."""


class RelayTransport(asyncio.DatagramTransport):
    """Data goes to and comes from the peer's address; the TURN server is out of sight.

    aioice's own TurnTransport waits for a dead server for a minute when it is closed.
    """

    def __init__(self, inner: TurnClientProtocol, relayed_address: tuple[str, int]) -> None:
        super().__init__()
        self._inner = inner
        self._relayed_address = relayed_address
        self._sending: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "sockname":
            return self._relayed_address
        if name == "related_address":
            return self._inner.mapped_address
        return default

    def sendto(self, data: Any, addr: Any = None) -> None:
        """RTCP, DTLS and checks only, so a task for each is cheap enough; binding a channel takes a round trip."""
        if self._closing is None and not self._inner.transport.is_closing():
            task = asyncio.ensure_future(self._inner.send_data(data, addr))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def is_closing(self) -> bool:
        return self._closing is not None

    def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._delete())

    def abort(self) -> None:
        self._inner.transport.close()

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            receiver = self._inner.receiver
            if receiver is not None and isinstance(error, Exception):
                receiver.error_received(error)

    async def _delete(self) -> None:
        try:
            # Its own end closes the connection to the server, and that calls connection_lost.
            await asyncio.wait_for(self._inner.delete(), _DELETE_SECONDS)
        except TimeoutError:
            pass
        finally:
            for task in self._sending:
                task.cancel()


async def open_relay(
    address: ServerAddress, server: IceServer, protocol_factory: Callable[[], StunProtocol]
) -> StunProtocol:
    """Allocate at a TURN server. Raises OSError or aioice's TransactionError."""
    inner = await _connect(address, server)
    try:
        protocol = protocol_factory()
        relayed_address = await inner.connect()
        inner.receiver = protocol
        protocol.connection_made(RelayTransport(inner, relayed_address))
    except BaseException:
        inner.transport.close()
        raise
    return protocol


async def _connect(address: ServerAddress, server: IceServer) -> TurnClientProtocol:
    loop = asyncio.get_running_loop()
    arguments = (
        (address.host, address.port),
        server.username,
        server.credential,
        DEFAULT_ALLOCATION_LIFETIME,
        DEFAULT_CHANNEL_REFRESH_TIME,
    )
    if address.transport == "tcp":
        _, tcp_protocol = await loop.create_connection(
            lambda: TurnClientTcpProtocol(*arguments), address.host, address.port, ssl=True if address.tls else None
        )
        return tcp_protocol
    _, udp_protocol = await loop.create_datagram_endpoint(
        lambda: TurnClientUdpProtocol(*arguments), remote_addr=(address.host, address.port)
    )
    return udp_protocol


RELAY_ERRORS = (OSError, stun.TransactionError, ConnectionError, TimeoutError)
