"""ICE, DTLS and SRTP together, against a far side of an ice-lite agent and a DTLS server."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from pylibsrtp import Policy, Session

from channel_recorder.errors import ProtocolError
from channel_recorder.rtc.peer.certificate import generate_certificate, process_certificate
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.peer.dtls import DtlsCore, DtlsParameters, DtlsState
from channel_recorder.rtc.peer.dtls_srtp import MAX_EARLY_PACKETS
from channel_recorder.rtc.peer.negotiation import RemoteTransport
from channel_recorder.rtc.peer.secure import SecureTransport, TransportHandlers, TransportOptions
from channel_recorder.rtc.wire.sdp import Fingerprint
from tests.rtc.peer.network import Address, LiteAgent, remote_transport

RECEIVER_REPORT = struct.pack("!BBHI", 0x80, 201, 1, 77)


class FarSide:
    """One DTLS association over one ice-lite agent after the other."""

    def __init__(self) -> None:
        self.certificate = generate_certificate()
        parameters = DtlsParameters(is_client=False, fingerprints=(process_certificate().fingerprint,))
        self.dtls = DtlsCore(self.certificate, parameters)
        self.early_packets: list[int] = []
        """Sequence numbers of media that overtakes the last flight of the handshake."""
        self.reports: asyncio.Queue[bytes] = asyncio.Queue()
        self.reported_over: list[int] = []
        """By which of the agents."""
        self._agents: list[LiteAgent] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, ufrag: str) -> Address:
        agent = LiteAgent(ufrag=ufrag)
        address = await agent.open()
        self._agents.append(agent)
        self._tasks.append(asyncio.ensure_future(self._serve(agent)))
        return address

    def remote(self, address: Address, ufrag: str, fingerprint: Fingerprint | None = None) -> RemoteTransport:
        return remote_transport(address, ufrag=ufrag, fingerprint=fingerprint or self.certificate.fingerprint)

    def send_media(self, sequence: int, over: int = 0) -> None:
        agent = self._agents[over]
        agent.transport.sendto(self._outbound.protect(rtp(sequence)), agent.nominated_by)

    def send_report(self) -> None:
        agent = self._agents[0]
        agent.transport.sendto(self._outbound.protect_rtcp(RECEIVER_REPORT), agent.nominated_by)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for agent in self._agents:
            agent.transport.close()

    async def _serve(self, agent: LiteAgent) -> None:
        while True:
            data, addr = await agent.received.get()
            if data[0] > 127:
                self.reported_over.append(self._agents.index(agent))
                self.reports.put_nowait(self._inbound.unprotect_rtcp(data))
                continue
            was = self.dtls.state
            self.dtls.receive(data)
            if self.dtls.state is DtlsState.CONNECTED and was is DtlsState.CONNECTING:
                self._open_srtp()
                for sequence in self.early_packets:
                    agent.transport.sendto(self._outbound.protect(rtp(sequence)), addr)
            for datagram in self.dtls.datagrams_to_send():
                agent.transport.sendto(datagram, addr)

    def _open_srtp(self) -> None:
        keys = self.dtls.srtp_keys
        assert keys is not None
        profile = keys.profile.libsrtp_profile
        self._outbound = Session(Policy(key=keys.local, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
        self._inbound = Session(Policy(key=keys.remote, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile))


class Owner:
    def __init__(self) -> None:
        self.rtp: asyncio.Queue[bytes] = asyncio.Queue()
        self.rtcp: asyncio.Queue[bytes] = asyncio.Queue()
        self.data: asyncio.Queue[bytes] = asyncio.Queue()
        self.states: asyncio.Queue[tuple[PeerState, str]] = asyncio.Queue()
        handlers = TransportHandlers(
            on_rtp=self.rtp.put_nowait,
            on_rtcp=self.rtcp.put_nowait,
            on_application_data=self.data.put_nowait,
            on_state=lambda state, detail: self.states.put_nowait((state, detail)),
            on_candidate=lambda _: None,
        )
        self.transport = SecureTransport(handlers, TransportOptions())


def rtp(sequence: int) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, sequence, 1000, 1) + b"payload"


@asynccontextmanager
async def connecting(far_side: FarSide) -> AsyncGenerator[Owner]:
    owner = Owner()
    await owner.transport.negotiate(far_side.remote(await far_side.open("one"), "one"))
    owner.transport.start()
    assert await owner.states.get() == (PeerState.CONNECTING, "")
    try:
        yield owner
    finally:
        await owner.transport.close()
        far_side.close()


async def test_media_reports_and_data_pass():
    far_side = FarSide()
    async with connecting(far_side) as owner:
        assert await owner.states.get() == (PeerState.CONNECTED, "")
        far_side.send_media(1)
        far_side.send_report()
        assert await owner.rtp.get() == rtp(1)
        assert await owner.rtcp.get() == RECEIVER_REPORT
        owner.transport.send_application_data(b"to the far side")
        owner.transport.send_rtcp(RECEIVER_REPORT)
        assert await far_side.reports.get() == RECEIVER_REPORT
        assert far_side.dtls.application_data() == [b"to the far side"]


async def test_media_that_overtakes_the_handshake_is_kept():
    far_side = FarSide()
    far_side.early_packets = [1, 2, 3]
    async with connecting(far_side) as owner:
        assert await owner.states.get() == (PeerState.CONNECTED, "")
        assert [await owner.rtp.get() for _ in range(3)] == [rtp(1), rtp(2), rtp(3)]
        assert owner.transport.unexpected_packets == 0


async def test_media_before_the_keys_is_bounded():
    far_side = FarSide()
    async with connecting(far_side) as owner:
        for _ in range(2 * MAX_EARLY_PACKETS):
            owner.transport.receive_media(b"\x80\x60" + bytes(30))
        assert await owner.states.get() == (PeerState.CONNECTED, "")
        assert owner.transport.authentication_failures == MAX_EARLY_PACKETS


async def test_an_ice_restart_moves_the_media_without_a_break(monkeypatch: pytest.MonkeyPatch):
    far_side = FarSide()
    async with connecting(far_side) as owner:
        await owner.states.get()
        first = await owner.transport.negotiate(far_side.remote(("127.0.0.1", 9), "one"))
        owner.transport.start()  # the same credentials: nothing to do
        moved = asyncio.Event()
        move = owner.transport._on_ice_connected
        monkeypatch.setattr(owner.transport, "_on_ice_connected", lambda ice: (move(ice), moved.set()))
        address = await far_side.open("two")
        second = await owner.transport.negotiate(far_side.remote(address, "two"))
        assert (first.ice_ufrag, first.ice_pwd) != (second.ice_ufrag, second.ice_pwd)
        assert first.fingerprint == second.fingerprint
        far_side.send_media(1, over=0)
        assert await owner.rtp.get() == rtp(1)
        owner.transport.start()
        await moved.wait()
        far_side.send_media(2, over=1)
        assert await owner.rtp.get() == rtp(2)
        owner.transport.send_rtcp(RECEIVER_REPORT)
        assert await far_side.reports.get() == RECEIVER_REPORT
        assert far_side.reported_over == [1]
        assert owner.states.empty()


async def test_a_far_side_that_comes_back_as_another_is_given_up():
    far_side = FarSide()
    async with connecting(far_side) as owner:
        await owner.states.get()
        stranger = far_side.remote(("127.0.0.1", 9), "two", generate_certificate().fingerprint)
        with pytest.raises(ProtocolError, match="another certificate"):
            await owner.transport.negotiate(stranger)
        assert await owner.states.get() == (PeerState.FAILED, "the far side came back with another certificate")


async def test_a_restart_that_leads_nowhere_fails_in_time():
    far_side = FarSide()
    async with connecting(far_side) as owner:
        await owner.states.get()
        owner.transport._options = TransportOptions(connect_timeout_seconds=0.01)
        await owner.transport.negotiate(far_side.remote(("127.0.0.1", 9), "two"))
        owner.transport.start()
        assert await owner.states.get() == (PeerState.FAILED, "ICE found no working path within 0.01 s")


async def test_after_the_end_nothing_is_delivered():
    far_side = FarSide()
    async with connecting(far_side) as owner:
        await owner.states.get()
        await owner.transport.close()
        assert await owner.states.get() == (PeerState.CLOSED, "")
        owner.transport.receive_media(b"\x80\x60" + bytes(30))
        owner.transport.receive_dtls(b"\x16" + bytes(30))
        owner.transport.send_rtcp(RECEIVER_REPORT)
        assert owner.rtp.empty()
        assert owner.transport.unexpected_packets == 1
        await owner.transport.close()
