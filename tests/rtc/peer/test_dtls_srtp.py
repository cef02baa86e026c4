"""DTLS and SRTP of two ends back to back: what one sends is received by the other at once."""

from __future__ import annotations

import asyncio
import struct
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.errors import ProtocolError
from channel_recorder.rtc.peer.certificate import generate_certificate, process_certificate
from channel_recorder.rtc.peer.dtls import DtlsParameters
from channel_recorder.rtc.peer.dtls_srtp import MAX_EARLY_FLIGHTS, MAX_EARLY_PACKETS, DtlsSrtp, SecureHandlers
from channel_recorder.rtc.peer.srtp import BoundedSrtpSessions

RECEIVER_REPORT = struct.pack("!BBHI", 0x80, 201, 1, 77)


def rtp(sequence: int, ssrc: int = 1) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, sequence, 1000, ssrc) + b"payload"


class End:
    """One DtlsSrtp, with what it received, and what it sent but was not carried over yet."""

    def __init__(self, *, is_client: bool) -> None:
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.data: list[bytes] = []
        self.connected = 0
        self.failed: list[str] = []
        self.sent: deque[bytes] = deque()
        handlers = SecureHandlers(
            on_rtp=self.rtp.append,
            on_rtcp=self.rtcp.append,
            on_application_data=self.data.append,
            on_connected=self._on_connected,
            on_failed=self.failed.append,
        )
        self.secure = DtlsSrtp(handlers, self.sent.append, sessions=BoundedSrtpSessions)
        self.parameters = DtlsParameters(is_client, (process_certificate().fingerprint,))

    def begin(self) -> None:
        self.secure.agree(self.parameters)
        self.secure.open()
        self.secure.start()

    def carry_to(self, other: End) -> None:
        while self.sent:
            other.secure.receive(self.sent.popleft())

    def _on_connected(self) -> None:
        self.connected += 1


def carry(one: End, other: End) -> None:
    """Until both have nothing to say any more."""
    while one.sent or other.sent:
        one.carry_to(other)
        other.carry_to(one)


def connected_pair() -> tuple[End, End]:
    client, server = End(is_client=True), End(is_client=False)
    server.begin()
    client.begin()
    carry(client, server)
    assert (client.connected, server.connected) == (1, 1)
    return client, server


async def test_everything_passes_both_ways():
    client, server = connected_pair()
    for one, other in ((client, server), (server, client)):
        one.secure.send_rtp(rtp(1))
        one.secure.send_rtcp(RECEIVER_REPORT)
        one.secure.send_application_data(b"data")
        one.carry_to(other)
        assert (other.rtp, other.rtcp, other.data) == ([rtp(1)], [RECEIVER_REPORT], [b"data"])
        assert other.secure.authentication_failures == 0


async def test_nothing_is_sent_before_there_are_keys():
    end = End(is_client=True)
    end.secure.start()
    end.secure.send_rtp(rtp(1))
    end.secure.send_rtcp(RECEIVER_REPORT)
    end.secure.send_application_data(b"data")
    end.secure.forget_sent_source(1)
    assert not end.sent
    assert not end.secure.is_agreed
    assert not end.secure.is_open


async def test_a_handshake_that_overtakes_the_description_is_kept():
    client, server = End(is_client=True), End(is_client=False)
    client.begin()
    client.carry_to(server)
    assert not server.sent
    server.begin()
    carry(client, server)
    assert (client.connected, server.connected) == (1, 1)


async def test_what_overtakes_the_description_is_bounded():
    server = End(is_client=False)
    for _ in range(3 * MAX_EARLY_FLIGHTS):
        server.secure.receive(b"\x16" + bytes(1200))
    assert len(server.secure._early_flights) == MAX_EARLY_FLIGHTS
    for _ in range(5):
        server.secure.receive(b"\x80\x60" + bytes(30))
    assert server.secure.unexpected_packets == 5


async def test_media_that_overtakes_the_last_flight_is_kept():
    client, server = End(is_client=True), End(is_client=False)
    server.begin()
    client.begin()
    while not server.connected:
        client.carry_to(server)
        if not server.connected:
            server.carry_to(client)
    last_flight = list(server.sent)
    server.sent.clear()
    server.secure.send_rtp(rtp(1))
    server.carry_to(client)
    assert client.rtp == []
    server.sent.extend(last_flight)
    server.carry_to(client)
    assert client.connected
    assert client.rtp == [rtp(1)]


async def test_media_before_the_keys_is_bounded():
    client = End(is_client=True)
    client.begin()
    for _ in range(2 * MAX_EARLY_PACKETS):
        client.secure.receive(b"\x80\x60" + bytes(30))
    assert len(client.secure._early) == MAX_EARLY_PACKETS
    client.secure.stop()


async def test_a_lost_flight_is_sent_again(monkeypatch: pytest.MonkeyPatch):
    client = End(is_client=True)
    client.begin()
    lost = list(client.sent)
    client.sent.clear()
    timer = client.secure._timer
    assert timer is not None
    monkeypatch.setattr(client.secure._dtls, "handle_timeout", lambda: client.sent.extend(lost))
    client.secure._on_timer()
    server = End(is_client=False)
    server.begin()
    monkeypatch.undo()
    carry(client, server)
    assert (client.connected, server.connected) == (1, 1)
    assert client.secure._timer is None


async def test_genuine_packets_are_signs_of_life_and_others_are_not():
    client, server = connected_pair()
    server.secure.heard = False
    server.secure.receive(b"\x80\x60" + bytes(30))
    server.secure.receive(b"\x80\xc9" + bytes(30))
    server.secure.receive(b"\x17" + bytes(30))
    assert not server.secure.heard
    assert server.secure.authentication_failures == 2
    for send in (
        lambda: client.secure.send_rtp(rtp(1)),
        lambda: client.secure.send_rtcp(RECEIVER_REPORT),
        lambda: client.secure.send_application_data(b"data"),
    ):
        send()
        client.carry_to(server)
        assert server.secure.heard
        server.secure.heard = False


async def test_a_good_bye_is_heard():
    client, server = connected_pair()
    client.secure.close()
    client.carry_to(server)
    assert server.failed == ["the far side closed the DTLS association"]
    assert client.failed == []
    server.secure.send_rtp(rtp(1))
    assert not server.sent


async def test_another_certificate_than_described_fails():
    client, server = End(is_client=True), End(is_client=False)
    server.parameters = DtlsParameters(False, (generate_certificate().fingerprint,))
    server.begin()
    client.begin()
    carry(client, server)
    assert server.connected == 0
    assert len(server.failed) == 1
    assert "does not match the fingerprint" in server.failed[0]


async def test_a_far_side_with_a_new_certificate_is_refused():
    end = End(is_client=True)
    end.secure.agree(end.parameters)
    end.secure.agree(end.parameters)
    with pytest.raises(ProtocolError, match="another certificate"):
        end.secure.agree(DtlsParameters(True, (generate_certificate().fingerprint,)))


async def test_after_the_end_nothing_happens_any_more():
    client, server = connected_pair()
    client.secure.send_rtp(rtp(1))
    client.secure.send_application_data(b"data")
    server.secure.stop()
    client.carry_to(server)
    server.begin()
    assert (server.rtp, server.data, server.failed) == ([], [], [])
    assert not server.sent
    assert not server.secure.is_open
    assert server.secure._timer is None


async def test_a_handler_may_end_it_in_the_middle_of_a_datagram():
    client, server = connected_pair()

    def end(data: bytes) -> None:
        server.data.append(data)
        server.secure.close()

    server.secure._handlers = SecureHandlers(
        on_rtp=server.rtp.append,
        on_rtcp=server.rtcp.append,
        on_application_data=end,
        on_connected=lambda: None,
        on_failed=server.failed.append,
    )
    client.secure.send_application_data(b"one")
    client.secure.send_application_data(b"two")
    server.secure.receive(client.sent.popleft() + client.sent.popleft())  # two records
    assert server.data == [b"one"]
    assert server.failed == []


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(min_size=1, max_size=60), max_size=10))
def test_any_datagram_is_survived_by_a_connection(datagrams: list[bytes]):
    async def survive() -> None:
        client, server = connected_pair()
        for datagram in datagrams:
            server.secure.receive(datagram)
        media = sum(127 < datagram[0] < 192 for datagram in datagrams)
        assert server.secure.authentication_failures == media
        client.secure.send_rtcp(RECEIVER_REPORT)
        client.carry_to(server)
        assert server.rtcp == [RECEIVER_REPORT]
        assert server.failed == []

    asyncio.run(survive())
