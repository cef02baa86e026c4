"""ICE over TCP: the same sessions for networks without UDP, and nothing for anybody else."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.serve import tcp
from channel_recorder.rtc.serve.port import MediaPort
from channel_recorder.rtc.serve.registry import Registry
from channel_recorder.rtc.serve.tcp import (
    MAX_FRAME_BYTES,
    MAX_WAITING_BYTES,
    SILENT_SWEEPS,
    STRANGER_SWEEPS,
    TcpConnection,
    TcpListener,
)
from tests.rtc.serve.checks import LOW, check
from tests.rtc.serve.far_side import FarSide, Owner, connected, media_port, rtp, until
from tests.rtc.serve.test_transport import exchange


def listener_of(port: MediaPort) -> TcpListener:
    assert port._listener is not None
    return port._listener


def frame(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


async def test_media_reports_and_data_pass():
    async with media_port() as port, connected(port, FarSide.tcp) as (owner, far_side, _):
        await exchange(owner, far_side)
        assert port.drops == {}


def test_it_works_on_uvloop_as_well():
    uvloop.run(test_media_reports_and_data_pass())


async def test_media_moves_from_tcp_to_udp_and_back_when_it_must():
    async with media_port() as port, connected(port, FarSide.tcp) as (owner, far_side, slow):
        fast = await far_side.udp(port)
        await far_side.check(fast)
        await far_side.check(fast, nominate=True)
        owner.transport.send_rtp(rtp(1))
        await far_side.rtp.get()
        assert (slow.media.qsize(), fast.media.qsize()) == (0, 1)
        await far_side.check(slow, priority=LOW)
        await far_side.check(slow, priority=LOW, nominate=True)
        owner.transport.send_rtp(rtp(2))
        await far_side.rtp.get()
        assert (slow.media.qsize(), fast.media.qsize()) == (1, 1)


async def test_a_connection_that_breaks_gives_way_to_what_is_left():
    async with media_port() as port, connected(port, FarSide.tcp) as (owner, far_side, broken):
        other = await far_side.tcp(port)
        await far_side.check(other, priority=LOW)
        listener = listener_of(port)
        assert len(listener.connections) == 2
        broken.close()
        await until(lambda: len(listener.connections) == 1)
        owner.transport.send_rtp(rtp(1))
        assert await far_side.rtp.get() == rtp(1)
        assert other.media.qsize() == 1
        other.close()
        await until(lambda: not listener.connections)
        owner.transport.send_rtp(rtp(2))  # nowhere to
        assert owner.states.empty()
        # It may come back as long as it is not given up.
        again = await far_side.tcp(port)
        await far_side.check(again, nominate=True)
        await exchange(owner, far_side, sequence=3)


async def test_closing_says_good_bye_and_ends_the_connection():
    async with media_port() as port, connected(port, FarSide.tcp) as (owner, far_side, way):
        owner.transport.close()
        assert await far_side.failed.get() == "the far side closed the DTLS association"
        await way.closed.wait()


async def test_closing_the_port_ends_all_connections():
    async with media_port() as port, connected(port, FarSide.tcp) as (owner, far_side, way):
        stranger = await far_side.tcp(port)
        await port.close()
        await asyncio.gather(way.closed.wait(), stranger.closed.wait())
        assert owner.transport.state is PeerState.CONNECTED


@pytest.mark.parametrize(
    "data",
    [
        frame(check()),  # for nobody
        frame(b"\x80\x60" + bytes(40)),
        frame(b"\x16" + bytes(40)),
        frame(b""),
        b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"\x16\x03\x01\x02\x00" + bytes(517),  # TLS
        (MAX_FRAME_BYTES + 1).to_bytes(2, "big"),
    ],
)
async def test_a_stranger_is_hung_up_on(data: bytes):
    async with media_port() as port, connected(port) as (owner, far_side, _):
        connection = await _Raw.open(port.tcp_port)
        connection.write(data)
        await connection.closed
        assert connection.received == b""
        assert port.drops["tcp_refused"] == 1
        await exchange(owner, far_side)


async def test_a_wrong_password_is_answered_and_nothing_more():
    async with media_port() as port:
        owner = Owner(port)
        far_side = FarSide(owner.transport.local_transport())
        way = await far_side.tcp(port)
        way.send(check(username=f"{far_side.local.ice_ufrag}:x", password="a-guess"))
        assert (await way.replies.get()).error_code == 401
        way.send(b"\x80\x60" + bytes(40))
        await way.closed.wait()
        far_side.close()
        owner.transport.close()


async def test_a_frame_too_long_ends_the_connection_of_a_session_too():
    async with media_port() as port, connected(port, FarSide.tcp) as (owner, far_side, way):
        far_side.secure.send(bytes([200]) * (MAX_FRAME_BYTES + 1))
        await way.closed.wait()
        assert port.drops == {"tcp_refused": 1}
        assert owner.states.empty()
        assert owner.transport._agent.selected is None


async def test_strangers_that_say_nothing_are_hung_up_on():
    async with media_port() as port, connected(port, FarSide.tcp) as (owner, far_side, _):
        listener = listener_of(port)
        silent, drip = await _Raw.open(port.tcp_port), await _Raw.open(port.tcp_port)
        await until(lambda: len(listener.connections) == 3)
        for _ in range(STRANGER_SWEEPS):
            listener.sweep()
            drip.write(b"\0")
        assert len(listener.strangers) == 2
        listener.sweep()
        await asyncio.gather(silent.closed, drip.closed)
        assert len(listener.connections) == 1
        await exchange(owner, far_side)


async def test_a_connection_that_fell_silent_is_ended_but_not_one_in_use():
    async with media_port() as port, connected(port, FarSide.tcp) as (_, far_side, used):
        listener = listener_of(port)
        spare = await far_side.tcp(port)
        await far_side.check(spare, priority=LOW)
        for _ in range(SILENT_SWEEPS + 2):
            await far_side.check(used)
            listener.sweep()
        await spare.closed.wait()
        assert len(listener.connections) == 1
        assert not used.closed.is_set()


async def test_many_strangers_push_each_other_out_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tcp, "MAX_STRANGERS", 3)
    async with media_port() as port, connected(port, FarSide.tcp) as (owner, far_side, _):
        strangers = [await _Raw.open(port.tcp_port) for _ in range(5)]
        await asyncio.gather(strangers[0].closed, strangers[1].closed)
        assert len(listener_of(port).strangers) == 3
        newcomer = await far_side.tcp(port)
        await far_side.check(newcomer)
        await exchange(owner, far_side)
        for stranger in strangers:
            stranger.close()


async def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tcp, "MAX_CONNECTIONS", 1)
    async with media_port() as port, connected(port, FarSide.tcp) as (owner, far_side, _):
        one_too_many = await _Raw.open(port.tcp_port)
        await one_too_many.closed
        assert port.drops == {"tcp_refused": 1}
        await exchange(owner, far_side)


async def test_media_for_a_slow_reader_is_dropped_not_queued():
    async with media_port() as port:
        owner = Owner(port)
        far_side = FarSide(owner.transport.local_transport())
        owner.transport.negotiate(far_side.remote())
        owner.transport.start()
        way = await far_side.tcp(port)
        await far_side.connect(way)
        route = owner.transport._agent.selected
        assert isinstance(route, TcpConnection)
        assert route._transport is not None
        # Nobody reads while nothing is awaited.
        for sequence in range(20_000):
            owner.transport.send_rtp(rtp(sequence) + bytes(1000))
        assert route._transport.get_write_buffer_size() <= MAX_WAITING_BYTES + 2000
        assert port.drops["not_sent"] > 10_000
        assert await far_side.rtp.get() == rtp(0) + bytes(1000)  # what was queued arrives, in order
        far_side.close()
        owner.transport.close()


class _Raw(asyncio.Protocol):
    """A TCP client that knows nothing of ICE."""

    def __init__(self) -> None:
        self.received = b""
        self.closed = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, port: int | None) -> _Raw:
        assert port is not None
        _, raw = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return raw

    def connection_made(self, transport: Any) -> None:
        self.write = transport.write
        self.close = transport.close

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)


class _FakeTransport:
    """The far end of a TcpConnection, without a socket."""

    def __init__(self) -> None:
        self.is_open = True

    def get_extra_info(self, name: str) -> Any:
        return {"peername": ("192.0.2.1", 5000), "socket": _FakeSocket()}[name]

    def abort(self) -> None:
        self.is_open = False


class _FakeSocket:
    def getsockname(self) -> tuple[str, int]:
        return "192.0.2.2", 7881

    def setsockopt(self, *_: int) -> None: ...


def connection_of_a_session() -> tuple[TcpConnection, _FakeTransport, list[bytes]]:
    transport, received = _FakeTransport(), list[bytes]()
    connection = TcpConnection(TcpListener(cast("list[socket.socket]", [_FakeSocket()]), Registry()))
    connection.connection_made(transport)  # type: ignore[arg-type]
    assert connection.attach(received.append, lambda _: None)
    return connection, transport, received


@settings(deadline=None, max_examples=200)
@given(st.lists(st.binary(min_size=2, max_size=40).map(lambda data: b"\x80" + data)), st.randoms())
def test_frames_are_put_together_however_they_are_cut(frames: list[bytes], chance: Any):
    connection, transport, received = connection_of_a_session()
    stream = b"".join(map(frame, frames))
    while stream:
        cut = chance.randint(1, 30)
        connection.data_received(stream[:cut])
        stream = stream[cut:]
    assert received == frames
    assert transport.is_open


@settings(deadline=None, max_examples=200)
@given(st.lists(st.binary(max_size=200)))
def test_garbage_fills_no_memory(chunks: list[bytes]):
    connection, _, _ = connection_of_a_session()
    for chunk in chunks:
        connection.data_received(chunk)
        assert len(connection._unread) <= 2 + MAX_FRAME_BYTES + 200


def test_a_connection_belongs_to_one_session():
    connection, _, received = connection_of_a_session()
    assert not connection.attach(lambda _: None, lambda _: None)
    assert connection.attach(received.append, lambda _: None)


def test_the_way_is_the_connection_not_the_address():
    one, _, _ = connection_of_a_session()
    other, _, _ = connection_of_a_session()
    assert (one.host, one.port) == (other.host, other.port)
    assert one.key != other.key
