"""Finding a path: directly, through a TURN server, or not at all; over real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aioice.ice
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.errors import MalformedError
from channel_recorder.model import IceServer
from channel_recorder.rtc.peer import ice as ice_module
from channel_recorder.rtc.peer.ice import IceHandlers, IceTransport, parse_candidate
from channel_recorder.rtc.peer.sockets import bind_udp
from tests.rtc.peer.network import Address, LiteAgent, StunServer, TurnServer, remote_transport


class Owner:
    """Notes what an IceTransport says."""

    def __init__(self) -> None:
        self.media: asyncio.Queue[bytes] = asyncio.Queue()
        self.dtls: asyncio.Queue[bytes] = asyncio.Queue()
        self.candidates: asyncio.Queue[str] = asyncio.Queue()
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def handlers(self) -> IceHandlers:
        return IceHandlers(
            on_media=self.media.put_nowait,
            on_dtls=self.dtls.put_nowait,
            on_connected=lambda: self.outcome.set_result("connected"),
            on_failed=self._failed,
            on_candidate=self.candidates.put_nowait,
        )

    def _failed(self, detail: str) -> None:
        (self.lost if self.outcome.done() else self.outcome).set_result(detail)


@asynccontextmanager
async def connecting(
    *far_addresses: Address, servers: tuple[IceServer, ...] = (), port_range: tuple[int, int] | None = None
) -> AsyncGenerator[tuple[IceTransport, Owner]]:
    owner = Owner()
    transport = IceTransport(remote_transport(*far_addresses), owner.handlers, servers=servers, port_range=port_range)
    await transport.open()
    transport.start()
    try:
        yield transport, owner
    finally:
        await transport.close()


@asynccontextmanager
async def lite_agent(accepts: Callable[[Address], bool] = lambda _: True) -> AsyncGenerator[tuple[LiteAgent, Address]]:
    agent = LiteAgent(accepts)
    address = await agent.open()
    try:
        yield agent, address
    finally:
        agent.transport.close()


async def test_a_lite_far_side_is_checked_and_nominated():
    async with lite_agent() as (agent, address), connecting(address) as (transport, owner):
        assert await owner.outcome == "connected"
        assert agent.nominated_by is not None
        transport.send(b"\x80to the far side")
        data, addr = await agent.received.get()
        assert data == b"\x80to the far side"
        assert addr == agent.nominated_by


async def test_datagrams_are_told_apart_by_their_first_byte():
    async with lite_agent() as (agent, address), connecting(address) as (_, owner):
        await owner.outcome
        assert agent.nominated_by is not None
        for datagram in (
            b"\x13none",
            b"\x14dtls",
            b"\x40none",
            b"\x3fdtls",
            b"\x7fnone",
            b"\x80media",
            b"\xc0none",
            b"\xbfmedia",
        ):
            agent.transport.sendto(datagram, agent.nominated_by)
        assert [await owner.media.get() for _ in range(2)] == [b"\x80media", b"\xbfmedia"]
        assert [await owner.dtls.get() for _ in range(2)] == [b"\x14dtls", b"\x3fdtls"]


@pytest.fixture
def one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice_module, "host_addresses", lambda: (["192.0.2.1"], []))


def hosts(transport: IceTransport) -> list[str]:
    return [parse_candidate(candidate).host for candidate in transport.candidates]


async def test_the_address_that_the_route_starts_from_is_told(one_address: None):
    async with lite_agent() as (_, address), connecting() as (transport, owner):
        assert hosts(transport) == ["192.0.2.1"]
        transport.add_remote_candidate(f"candidate:1 1 udp 1 {address[0]} {address[1]} typ host")
        told = parse_candidate(await owner.candidates.get())
        assert (told.host, told.type) == ("127.0.0.1", "host")
        assert await owner.outcome == "connected"
        transport.add_remote_candidate("candidate:1 1 udp 1 127.0.0.2 9 typ host")
        assert owner.candidates.empty()


async def test_a_candidate_of_the_offer_puts_its_route_into_the_answer(one_address: None):
    owner = Owner()
    transport = IceTransport(remote_transport(("127.0.0.1", 9)), owner.handlers)
    await transport.open()
    try:
        assert hosts(transport) == ["192.0.2.1", "127.0.0.1"]
        ports, priorities = zip(
            *((c.port, c.priority) for c in map(parse_candidate, transport.candidates)), strict=True
        )
        assert len(set(ports)) == 1
        assert len(set(priorities)) == 2
        assert owner.candidates.empty()
    finally:
        await transport.close()


async def test_every_connection_has_a_socket_of_its_own_within_the_range():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        low = probe.getsockname()[1]
    async with connecting(port_range=(low, low + 9)) as (one, _), connecting(port_range=(low, low + 9)) as (two, _):
        ports = [{parse_candidate(c).port for c in each.candidates if "." in c.split()[4]} for each in (one, two)]
        assert all(len(each) == 1 and low <= min(each) <= low + 9 for each in ports)
        assert ports[0] != ports[1]


def test_a_range_without_a_free_port_is_an_error():
    with bind_udp(socket.AF_INET, None) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="no free UDP port"):
            bind_udp(socket.AF_INET, (port, port))


async def test_a_far_side_that_no_longer_answers_is_lost(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.001)
    monkeypatch.setattr(ice_module, "_CONSENT_INTERVALS_SECONDS", (0.001,))
    async with lite_agent() as (agent, address), connecting(address) as (_, owner):
        await owner.outcome
        agent.accepts = lambda _: False
        assert await owner.lost == "ICE: the far side no longer answers"


async def test_a_far_side_that_answers_is_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.001)
    async with lite_agent() as (agent, address), connecting(address) as (_, owner):
        await owner.outcome
        await agent.checked_often.wait()
        assert not owner.lost.done()


async def test_a_lost_check_is_repeated_soon():
    seen: list[Address] = []

    def drop_first(address: Address) -> bool:
        seen.append(address)
        return len(seen) > 1

    async with lite_agent(drop_first) as (_, address), connecting(address) as (_, owner):
        assert await owner.outcome == "connected"
        assert len(seen) >= 3


# Servers


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice_module, "GATHER_HEAD_START_SECONDS", 0)


async def test_the_public_address_is_trickled(at_once: None):
    server = StunServer()
    host, port = await server.open()
    async with connecting(servers=(IceServer((f"stun:{host}:{port}",)),)) as (_, owner):
        candidate = parse_candidate(await owner.candidates.get())
        assert (candidate.type, candidate.host, candidate.port) == ("srflx", "203.0.113.9", 4321)
    server.transport.close()


async def test_servers_are_not_asked_when_a_direct_path_works(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ice_module, "GATHER_HEAD_START_SECONDS", 60)
    server = StunServer()
    host, port = await server.open()
    servers = (IceServer((f"stun:{host}:{port}",)),)
    async with lite_agent() as (_, address), connecting(address, servers=servers) as (transport, owner):
        assert await owner.outcome == "connected"
        await asyncio.sleep(0)
        assert len(transport._tasks) == 1  # the one that watches the connection; nobody gathers any more
    assert server.requests == 0
    server.transport.close()


@pytest.mark.parametrize("transport_name", ["udp", "tcp"])
async def test_media_goes_through_a_relay_where_nothing_else_does(transport_name: str, at_once: None):
    turn = TurnServer()
    host, port = await (turn.open_udp() if transport_name == "udp" else turn.open_tcp())
    server = IceServer((f"turn:{host}:{port}?transport={transport_name}",), turn.username, turn.credential)
    async with lite_agent(lambda addr: addr in turn.relayed_addresses) as (agent, address):
        async with connecting(address, servers=(server,)) as (transport, owner):
            assert await owner.outcome == "connected"
            assert agent.nominated_by in turn.relayed_addresses
            trickled = [owner.candidates.get_nowait() for _ in range(owner.candidates.qsize())]
            assert sum(" typ relay raddr 203.0.113.9 " in candidate for candidate in trickled) == 1
            transport.send(b"\x80a report")
            assert (await agent.received.get())[0] == b"\x80a report"
            agent.transport.sendto(b"\x80media", agent.nominated_by)
            assert await owner.media.get() == b"\x80media"
        assert turn.deleted == 1
    turn.close()


async def test_a_dead_turn_server_does_not_hold_up_the_end(at_once: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("channel_recorder.rtc.peer.relay._DELETE_SECONDS", 0.01)
    turn = TurnServer()
    host, port = await turn.open_udp()
    server = IceServer((f"turn:{host}:{port}",), turn.username, turn.credential)
    only_relayed = lite_agent(lambda addr: addr in turn.relayed_addresses)
    async with only_relayed as (_, address), connecting(address, servers=(server,)) as (_, owner):
        assert await owner.outcome == "connected"
        turn.close()
    assert turn.deleted == 0


async def test_a_wrong_credential_is_no_relay(at_once: None):
    turn = TurnServer()
    host, port = await turn.open_udp()
    async with lite_agent() as (_, address):
        async with connecting(servers=(IceServer((f"turn:{host}:{port}",), turn.username, "wrong"),)) as (
            transport,
            owner,
        ):
            transport.add_remote_candidate(f"1 1 udp 1 {address[0]} {address[1]} typ host")
            assert await owner.outcome == "connected"
        assert turn.allocations == {}
    turn.close()


# Candidates and datagrams of anybody


def test_a_candidate_is_read():
    candidate = parse_candidate("candidate:1 1 UDP 2130706431 2001:DB8::1 5000 typ host generation 0 ufrag abc")
    assert (candidate.host, candidate.port, candidate.type) == ("2001:db8::1", 5000, "host")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "candidate:",
        "1 1 tcp 1671430143 192.0.2.1 7881 typ host tcptype passive",
        "1 2 udp 1 192.0.2.1 7881 typ host",
        "1 1 udp 1 4f1e3a5c-0000-4000-8000-000000000000.local 7881 typ host",
        "1 1 udp 1 192.0.2.1 0 typ host",
        "1 1 udp 1 192.0.2.1 65536 typ host",
        "1 1 udp 4294967296 192.0.2.1 1 typ host",
        "1 1 udp 1 192.0.2.1 1 typ strange",
        "1 1 udp 1 fe80::1%eth0 1 typ host",
    ],
)
async def test_a_candidate_that_cannot_be_used_is_passed_over(text: str):
    with pytest.raises(MalformedError):
        parse_candidate(text)
    async with connecting() as (transport, owner):
        transport.add_remote_candidate(text)
        assert not owner.outcome.done()


@settings(deadline=None, max_examples=200)
@given(
    st.text(max_size=80)
    | st.from_regex(r"candidate:\w+ \d udp \d{1,12} [0-9a-f:.]{1,20} \d{1,6} typ (host|relay)( \w+)*")
)
def test_any_candidate_parses_or_is_malformed(text: str):
    try:
        candidate = parse_candidate(text)
    except MalformedError:
        return
    assert 0 < candidate.port < 65536


def test_garbage_datagrams_raise_nothing():
    """STUN of any shape, and everything else, into the entry of the socket."""
    asyncio.run(_pour_garbage())


async def _pour_garbage() -> None:
    sent: list[tuple[bytes, object]] = []

    class Wire(asyncio.DatagramTransport):
        def sendto(self, data: Any, addr: object = None) -> None:
            sent.append((data, addr))

    async with connecting(("127.0.0.1", 9)) as (transport, _):
        protocol = transport._make_protocol()
        protocol.connection_made(Wire())
        protocol.local_candidate = parse_candidate("1 1 udp 1 127.0.0.1 1 typ host")
        attribute = st.tuples(
            st.sampled_from([1, 6, 8, 9, 0x20, 0x24, 0x25, 0x8028, 0x8029, 0x802A]), st.binary(max_size=12)
        )

        @settings(deadline=None, max_examples=300)
        @given(
            st.binary(max_size=40),
            st.sampled_from([0x0001, 0x0101, 0x0111, 0x0011, 0x0003]),
            st.lists(attribute, max_size=4),
        )
        def pour(rubbish: bytes, message_type: int, attributes: list[tuple[int, bytes]]) -> None:
            body = b"".join(
                kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + bytes(-len(value) % 4)
                for kind, value in attributes
            )
            head = message_type.to_bytes(2, "big") + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + bytes(12)
            for datagram in (rubbish, head + body, head + body[:-1], b"\x00" + rubbish):
                protocol.datagram_received(datagram, ("192.0.2.7", 1234))

        pour()
    assert all(addr == ("192.0.2.7", 1234) for _, addr in sent)
