"""The shared port: what it binds and names, and what it does with datagrams that belong to nobody."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.errors import ConfigError
from channel_recorder.rtc.peer import sockets
from channel_recorder.rtc.serve import port as port_module
from channel_recorder.rtc.serve.agent import Route
from channel_recorder.rtc.serve.port import MediaPort
from channel_recorder.rtc.serve.registry import Registry
from channel_recorder.rtc.serve.stun import BindingRequest
from channel_recorder.rtc.serve.udp import UdpEndpoint
from tests.rtc.serve.checks import UFRAG, FakeRoute, check
from tests.rtc.serve.far_side import FarSide, Owner, connected, media_port, rtp, until


def parts(candidate: str) -> tuple[str, str, str, str]:
    """Transport, address, port, the rest."""
    words = candidate.split()
    assert words[1] == "1"
    return words[2], words[4], words[5], " ".join(words[6:])


async def test_one_address_is_named_over_udp_and_tcp():
    async with media_port() as port:
        assert [parts(candidate) for candidate in port.candidates] == [
            ("udp", "127.0.0.1", str(port.udp_port), "typ host"),
            ("tcp", "127.0.0.1", str(port.tcp_port), "typ host tcptype passive"),
        ]


async def test_udp_is_preferred_then_the_first_address():
    port = await MediaPort.open("127.0.0.1", 0, tcp_port=0, advertise=("203.0.113.7", "192.0.2.9"))
    assert [parts(candidate)[:2] for candidate in port.candidates] == [
        ("udp", "203.0.113.7"),
        ("udp", "192.0.2.9"),
        ("tcp", "203.0.113.7"),
        ("tcp", "192.0.2.9"),
    ]
    priorities = [int(candidate.split()[3]) for candidate in port.candidates]
    assert priorities == sorted(priorities, reverse=True)
    assert len(set(priorities)) == 4
    assert len({candidate.split()[0] for candidate in port.candidates}) == 4
    await port.close()


@pytest.mark.parametrize(
    ("host", "expected"),
    [("0.0.0.0", ["192.0.2.5"]), ("", ["192.0.2.5", "2001:db8::5"]), ("::", ["192.0.2.5", "2001:db8::5"])],
)
async def test_everywhere_means_every_address_of_this_machine(
    host: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(port_module, "host_addresses", lambda: (["192.0.2.5"], ["2001:db8::5"]))
    port = await MediaPort.open(host, 0)
    assert [parts(candidate)[1] for candidate in port.candidates] == expected
    assert len({parts(candidate)[2] for candidate in port.candidates}) == 1
    assert port.tcp_port is None
    await port.close()


async def test_a_machine_without_ipv6_has_ipv4(monkeypatch: pytest.MonkeyPatch):
    bind_at = port_module.bind_at

    def without_ipv6(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
        if ":" in host:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return bind_at(kind, host, port)

    monkeypatch.setattr(port_module, "bind_at", without_ipv6)
    monkeypatch.setattr(port_module, "host_addresses", lambda: (["192.0.2.5"], []))
    port = await MediaPort.open("", 0)
    assert [parts(candidate)[1] for candidate in port.candidates] == ["192.0.2.5"]
    await port.close()
    with pytest.raises(OSError, match="not supported"):
        await MediaPort.open("::1", 0)


async def test_a_name_can_be_bound_to():
    async with media_port("localhost") as port:
        assert "127.0.0.1" in {parts(candidate)[1] for candidate in port.candidates}


@pytest.mark.parametrize("address", ["example.org", "", "192.0.2.1:80", "192.0.2", "2001:db8::1"])
async def test_what_cannot_be_advertised_is_refused(address: str):
    with pytest.raises(ConfigError, match="advertise"):
        await MediaPort.open("127.0.0.1", 0, advertise=(address,))


async def test_a_port_that_is_taken_leaves_nothing_behind():
    taken = sockets.bind_at(socket.SOCK_STREAM, "127.0.0.1", 0)
    taken.listen()
    free = sockets.bind_at(socket.SOCK_DGRAM, "127.0.0.1", 0)
    udp_port = free.getsockname()[1]
    free.close()
    with pytest.raises(OSError, match="in use"):
        await MediaPort.open("127.0.0.1", udp_port, tcp_port=taken.getsockname()[1])
    taken.close()
    port = await MediaPort.open("127.0.0.1", udp_port, tcp_port=0)
    with pytest.raises(OSError, match="in use"):
        await MediaPort.open("127.0.0.1", udp_port)
    await port.close()


async def test_after_closing_the_port_can_be_opened_again():
    first = await MediaPort.open("127.0.0.1", 0, tcp_port=0)
    async with connected(first, FarSide.tcp):
        pass
    await first.close()
    second = await MediaPort.open("127.0.0.1", first.udp_port, tcp_port=first.tcp_port)
    assert second.candidates == first.candidates
    await second.close()


async def test_strangers_get_no_answer_and_are_counted():
    async with media_port() as port, connected(port) as (owner, far_side, _):
        way = await far_side.udp(port)
        for datagram in (b"\x00", check(), b"\x80\x60" + bytes(30), b"\x16" + bytes(30), b"\x50hello", b"\xff"):
            way.send(datagram)
        reply = await far_side.check(way)  # so the others have come
        assert reply.error_code is None
        assert way.replies.empty()
        assert way.media.empty()
        assert port.drops == {"no_check": 5, "unknown_credentials": 1}
        assert owner.states.empty()


async def test_what_the_kernel_does_not_take_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch):
    async with media_port() as port:
        endpoint = port._endpoints[0]

        def full(data: bytes, address: object) -> None:
            raise BlockingIOError

        monkeypatch.setattr(endpoint, "send_to", full)
        owner = Owner(port)
        far_side = FarSide(owner.transport.local_transport())
        owner.transport.negotiate(far_side.remote())
        way = await far_side.udp(port)
        way.send(far_side.check_message())
        await until(lambda: port.drops)
        assert port.drops == {"not_sent": 1}
        owner.transport.close()
        far_side.close()


async def test_media_of_a_session_that_is_gone_is_dropped():
    async with media_port() as port, connected(port) as (owner, far_side, way):
        owner.transport.close()
        far_side.secure.send_rtp(rtp(1))
        successor = Owner(port)
        again = FarSide(successor.transport.local_transport())
        await again.check(way)
        assert port.drops == {"no_check": 1}
        assert owner.rtp.empty()
        successor.transport.close()


class Session:
    def __init__(self) -> None:
        self.checks: list[BindingRequest] = []

    def receive_check(self, request: BindingRequest, route: Route) -> None:
        self.checks.append(request)


def test_checks_go_to_the_session_they_name():
    registry, one, two = Registry(), Session(), Session()
    registry.add("one", one)
    registry.add("two", two)

    route = FakeRoute()
    assert registry.receive_check(check(username="two:x"), route)
    assert registry.receive_check(check(username="two:x", password=None), route)
    assert not registry.receive_check(check(username="three:x"), route)
    assert not registry.receive_check(check(username=None), route)
    registry.remove("two")
    registry.remove("two")
    assert not registry.receive_check(check(username="two:x"), route)
    assert (len(one.checks), len(two.checks)) == (0, 2)
    assert registry.drops == {"unknown_credentials": 3}
    assert route.sent == []


@settings(deadline=None, max_examples=300)
@given(st.lists(st.binary(max_size=80), max_size=20), st.booleans())
def test_any_datagram_is_counted_or_delivered(datagrams: list[bytes], known: bool):
    """From an address of a session as from any other."""

    async def receive_all() -> None:
        udp = sockets.bind_at(socket.SOCK_DGRAM, "127.0.0.1", 0)
        registry, delivered = Registry(), list[bytes]()
        registry.add(UFRAG, Session())
        endpoint = UdpEndpoint(udp, registry)
        if known:
            endpoint.receivers["127.0.0.1", 9] = delivered.append
        for datagram in datagrams:
            endpoint.datagram_received(datagram, ("127.0.0.1", 9))
        assert len(delivered) + registry.drops.total() == len(datagrams)
        assert all(datagram[0] > 3 for datagram in delivered)
        udp.close()

    asyncio.run(receive_all())
