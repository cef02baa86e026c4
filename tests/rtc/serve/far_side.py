"""The other end for tests of the shared port: a client whose checks go out by hand, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aioice import stun

from channel_recorder.rtc.peer.certificate import process_certificate
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.peer.dtls import DtlsParameters
from channel_recorder.rtc.peer.dtls_srtp import DtlsSrtp, SecureHandlers
from channel_recorder.rtc.peer.sections import LocalTransport, RemoteTransport
from channel_recorder.rtc.serve.port import MediaPort
from channel_recorder.rtc.serve.transport import ServingHandlers, ServingTransport
from channel_recorder.rtc.wire.sdp import Fingerprint
from tests.rtc.serve.checks import FAR_UFRAG, HIGH, check

RECEIVER_REPORT = struct.pack("!BBHI", 0x80, 201, 1, 77)
FAR_PASSWORD = "the-password-of-the-far-side"


def rtp(sequence: int, ssrc: int = 1) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, sequence, 1000, ssrc) + b"payload"


class Owner:
    """Has a ServingTransport and notes what it says."""

    def __init__(
        self, port: MediaPort, now: Callable[[], float] | None = None, connect_timeout_seconds: float = 15.0
    ) -> None:
        self.rtp: asyncio.Queue[bytes] = asyncio.Queue()
        self.rtcp: asyncio.Queue[bytes] = asyncio.Queue()
        self.data: asyncio.Queue[bytes] = asyncio.Queue()
        self.states: asyncio.Queue[tuple[PeerState, str]] = asyncio.Queue()
        handlers = ServingHandlers(
            on_rtp=self.rtp.put_nowait,
            on_rtcp=self.rtcp.put_nowait,
            on_application_data=self.data.put_nowait,
            on_state=lambda state, detail: self.states.put_nowait((state, detail)),
        )
        self.transport = ServingTransport(
            port,
            handlers,
            connect_timeout_seconds=connect_timeout_seconds,
            now=now or asyncio.get_running_loop().time,
        )

    async def state(self) -> PeerState:
        """The next one."""
        return (await self.states.get())[0]


class Way:
    """One socket of a far side."""

    def __init__(self, receive: Callable[[bytes], None]) -> None:
        self.replies: asyncio.Queue[stun.Message] = asyncio.Queue()
        self.media: asyncio.Queue[bytes] = asyncio.Queue()
        """Protected, as it came."""
        self.closed = asyncio.Event()
        self.send: Callable[[bytes], None] = lambda _: None
        self.close: Callable[[], None] = lambda: None
        self._receive_secure = receive

    def receive(self, data: bytes) -> None:
        if data[0] < 4:
            self.replies.put_nowait(stun.parse_message(data))
            return
        if data[0] > 127:
            self.media.put_nowait(data)
        self._receive_secure(data)


class _UdpClient(asyncio.DatagramProtocol):
    def __init__(self, way: Way) -> None:
        self._way = way

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._way.receive(data)


class _TcpClient(asyncio.Protocol):
    def __init__(self, way: Way) -> None:
        self._way = way
        self._unread = b""

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while len(self._unread) >= 2:
            end = 2 + int.from_bytes(self._unread[:2], "big")
            if len(self._unread) < end:
                return
            frame, self._unread = self._unread[2:end], self._unread[end:]
            self._way.receive(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self._way.closed.set()


class FarSide:
    """DTLS and SRTP are those of the recorder; `secure.send` goes over the way that was nominated last."""

    def __init__(self, local: LocalTransport, *, is_client: bool = True) -> None:
        self.local = local
        self.ufrag = FAR_UFRAG
        self.rtp: asyncio.Queue[bytes] = asyncio.Queue()
        self.rtcp: asyncio.Queue[bytes] = asyncio.Queue()
        self.data: asyncio.Queue[bytes] = asyncio.Queue()
        self.failed: asyncio.Queue[str] = asyncio.Queue()
        self.connected = asyncio.Event()
        handlers = SecureHandlers(
            on_rtp=self.rtp.put_nowait,
            on_rtcp=self.rtcp.put_nowait,
            on_application_data=self.data.put_nowait,
            on_connected=self.connected.set,
            on_failed=self.failed.put_nowait,
        )
        self.secure = DtlsSrtp(handlers, lambda _: None)
        self._is_client = is_client
        self._ways: list[Way] = []

    def remote(self, fingerprint: Fingerprint | None = None) -> RemoteTransport:
        """What our description tells the server."""
        return RemoteTransport(
            ice_ufrag=self.ufrag,
            ice_pwd=FAR_PASSWORD,
            ice_lite=False,
            fingerprints=(fingerprint or process_certificate().fingerprint,),
            dtls_client=not self._is_client,
        )

    async def udp(self, port: MediaPort, host: str = "127.0.0.1") -> Way:
        way = self._new_way()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _UdpClient(way), remote_addr=(host, port.udp_port))
        way.send, way.close = transport.sendto, transport.close
        return way

    async def tcp(self, port: MediaPort) -> Way:
        way = self._new_way()
        loop = asyncio.get_running_loop()
        assert port.tcp_port is not None
        transport, _ = await loop.create_connection(lambda: _TcpClient(way), "127.0.0.1", port.tcp_port)
        way.send = lambda data: transport.write(len(data).to_bytes(2, "big") + data)
        way.close = transport.close
        return way

    def check_message(self, *, nominate: bool = False, priority: int = HIGH) -> bytes:
        username = f"{self.local.ice_ufrag}:{self.ufrag}"
        return check(username=username, password=self.local.ice_pwd, nominate=nominate, priority=priority)

    async def check(self, way: Way, *, nominate: bool = False, priority: int = HIGH) -> stun.Message:
        """Returns the reply."""
        way.send(self.check_message(nominate=nominate, priority=priority))
        reply = await way.replies.get()
        if nominate:
            self.secure.send = way.send
        return reply

    async def connect(self, way: Way) -> None:
        """A check, a nomination, the handshake."""
        await self.check(way)
        await self.check(way, nominate=True)
        self.begin()
        await self.connected.wait()

    def begin(self) -> None:
        self.secure.agree(DtlsParameters(self._is_client, (self.local.fingerprint,)))
        self.secure.open()
        self.secure.start()

    def close(self) -> None:
        self.secure.stop()
        for way in self._ways:
            way.close()

    def _new_way(self) -> Way:
        way = Way(self.secure.receive)
        self._ways.append(way)
        return way


async def until(holds: Callable[[], object]) -> None:
    """For what nobody tells: the loop turns until then."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0)


@asynccontextmanager
async def media_port(host: str = "127.0.0.1") -> AsyncGenerator[MediaPort]:
    port = await MediaPort.open(host, 0, tcp_port=0)
    try:
        yield port
    finally:
        await port.close()


WayTo = Callable[[FarSide, MediaPort], Awaitable[Way]]


@asynccontextmanager
async def connected(port: MediaPort, by: WayTo = FarSide.udp) -> AsyncGenerator[tuple[Owner, FarSide, Way]]:
    """A client of the port, as it answers an offer."""
    owner = Owner(port)
    far_side = FarSide(owner.transport.local_transport())
    owner.transport.negotiate(far_side.remote())
    owner.transport.start()
    try:
        way = await by(far_side, port)
        await far_side.connect(way)
        assert await owner.state() is PeerState.CONNECTING
        assert await owner.state() is PeerState.CONNECTED
        yield owner, far_side, way
    finally:
        far_side.close()
        owner.transport.close()
