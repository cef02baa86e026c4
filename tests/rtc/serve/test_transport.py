"""The server's transport against real far sides on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import uvloop
from aiortc import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceTransport,
)
from aiortc.rtcicetransport import candidate_from_aioice

from channel_recorder.errors import ProtocolError, StateError
from channel_recorder.rtc.peer.certificate import generate_certificate
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.peer.ice import parse_candidate
from channel_recorder.rtc.peer.sections import LocalTransport, RemoteTransport
from channel_recorder.rtc.peer.secure import SecureTransport, TransportHandlers, TransportOptions
from channel_recorder.rtc.serve.port import MediaPort
from channel_recorder.rtc.serve.transport import MAX_SILENCE_SECONDS, ServingHandlers, ServingTransport
from channel_recorder.rtc.wire.sdp import Fingerprint
from tests.rtc.serve.checks import LOW
from tests.rtc.serve.far_side import RECEIVER_REPORT, FarSide, Owner, connected, media_port, rtp


def as_seen_by_the_far_side(local: LocalTransport, *, dtls_client: bool) -> RemoteTransport:
    return RemoteTransport(
        ice_ufrag=local.ice_ufrag,
        ice_pwd=local.ice_pwd,
        ice_lite=True,
        fingerprints=(local.fingerprint,),
        dtls_client=dtls_client,
        candidates=local.candidates,
    )


async def exchange(owner: Owner, far_side: FarSide, sequence: int = 1) -> None:
    """Something of everything, both ways."""
    far_side.secure.send_rtp(rtp(sequence))
    far_side.secure.send_rtcp(RECEIVER_REPORT)
    far_side.secure.send_application_data(b"up")
    assert await owner.rtp.get() == rtp(sequence)
    assert await owner.rtcp.get() == RECEIVER_REPORT
    assert await owner.data.get() == b"up"
    owner.transport.send_rtp(rtp(sequence, ssrc=2))
    owner.transport.send_rtcp(RECEIVER_REPORT)
    owner.transport.send_application_data(b"down")
    assert await far_side.rtp.get() == rtp(sequence, ssrc=2)
    assert await far_side.rtcp.get() == RECEIVER_REPORT
    assert await far_side.data.get() == b"down"


async def test_media_reports_and_data_pass():
    async with media_port() as port, connected(port) as (owner, far_side, _):
        await exchange(owner, far_side)
        assert port.drops == {}


def test_it_works_on_uvloop_as_well():
    uvloop.run(test_media_reports_and_data_pass())


async def test_it_works_over_ipv6():
    async with media_port("::1") as port:
        assert " ::1 " in port.candidates[0]
        async with connected(port, lambda far_side, port: far_side.udp(port, "::1")) as (owner, far_side, _):
            await exchange(owner, far_side)


async def test_the_recorder_connects():
    async with media_port() as port:
        owner = Owner(port)
        received: asyncio.Queue[bytes] = asyncio.Queue()
        recorder = SecureTransport(
            TransportHandlers(
                on_rtp=received.put_nowait,
                on_rtcp=received.put_nowait,
                on_application_data=received.put_nowait,
                on_state=lambda *_: None,
                on_candidate=lambda _: None,
            ),
            TransportOptions(),
        )
        offered = as_seen_by_the_far_side(owner.transport.local_transport(), dtls_client=True)
        local = await recorder.negotiate(offered)
        recorder.start()
        owner.transport.negotiate(
            RemoteTransport(
                ice_ufrag=local.ice_ufrag,
                ice_pwd=local.ice_pwd,
                ice_lite=False,
                fingerprints=(local.fingerprint,),
                dtls_client=False,
            )
        )
        owner.transport.start()
        assert [await owner.state(), await owner.state()] == [PeerState.CONNECTING, PeerState.CONNECTED]
        owner.transport.send_rtp(rtp(1))
        assert await received.get() == rtp(1)
        owner.transport.send_application_data(b"data")
        assert await received.get() == b"data"
        recorder.send_rtcp(RECEIVER_REPORT)
        assert await owner.rtcp.get() == RECEIVER_REPORT
        await recorder.close()
        assert await owner.states.get() == (PeerState.CLOSED, "the far side closed the DTLS association")


@asynccontextmanager
async def aiortc_connects(owner: Owner, role: str) -> AsyncGenerator[RTCDtlsTransport]:
    """aiortc's ICE and DTLS without its session descriptions. It is the one to nominate, as with any lite agent."""
    gatherer = RTCIceGatherer(iceServers=[])
    gatherer._connection.ice_controlling = True
    ice = RTCIceTransport(gatherer)
    certificate = RTCCertificate.generateCertificate()
    dtls = RTCDtlsTransport(ice, [certificate])
    dtls._set_role(role)
    await gatherer.gather()
    parameters = gatherer.getLocalParameters()
    assert parameters.usernameFragment
    assert parameters.password
    fingerprints = [f for f in dtls.getLocalParameters().fingerprints if f.algorithm == "sha-256"]
    local = owner.transport.negotiate(
        RemoteTransport(
            ice_ufrag=parameters.usernameFragment,
            ice_pwd=parameters.password,
            ice_lite=False,
            fingerprints=tuple(Fingerprint(algorithm=f.algorithm, value=f.value) for f in fingerprints),
            dtls_client=role == "server",
        )
    )
    owner.transport.start()
    candidates = [text for text in local.candidates if " udp " in text]
    for candidate in map(parse_candidate, candidates):
        await ice.addRemoteCandidate(candidate_from_aioice(candidate))
    await ice.addRemoteCandidate(None)
    try:
        await ice.start(RTCIceParameters(usernameFragment=local.ice_ufrag, password=local.ice_pwd, iceLite=True))
        fingerprint = RTCDtlsFingerprint(algorithm=local.fingerprint.algorithm, value=local.fingerprint.value)
        await dtls.start(RTCDtlsParameters(fingerprints=[fingerprint]))
        yield dtls
    finally:
        await dtls.stop()
        await ice.stop()


@pytest.mark.parametrize("role", ["client", "server"])
async def test_aiortc_connects_in_either_dtls_role(role: str, monkeypatch: pytest.MonkeyPatch):
    async with media_port("") as port:  # aiortc knows no loopback
        owner = Owner(port)
        async with aiortc_connects(owner, role) as dtls:
            assert [await owner.state(), await owner.state()] == [PeerState.CONNECTING, PeerState.CONNECTED]
            received: asyncio.Queue[bytes] = asyncio.Queue()

            async def keep(data: bytes, arrival_time_ms: int) -> None:
                received.put_nowait(data)

            monkeypatch.setattr(dtls, "_handle_rtp_data", keep)
            owner.transport.send_rtp(rtp(1))
            assert await received.get() == rtp(1)
            await dtls._send_rtp(rtp(2))
            assert await owner.rtp.get() == rtp(2)
        assert await owner.state() is PeerState.CLOSED  # it said good-bye


async def test_a_far_side_may_begin_before_its_answer_is_here():
    """We offer; its checks and its first flight overtake the signalling."""
    async with media_port() as port:
        owner = Owner(port)
        far_side = FarSide(owner.transport.local_transport())
        way = await far_side.udp(port)
        await far_side.check(way)
        await far_side.check(way, nominate=True)
        far_side.begin()
        await far_side.check(way)  # what was sent before it has arrived
        assert owner.transport.state is PeerState.NEW
        owner.transport.negotiate(far_side.remote())
        owner.transport.start()
        await far_side.connected.wait()
        assert [await owner.state(), await owner.state()] == [PeerState.CONNECTING, PeerState.CONNECTED]
        await exchange(owner, far_side)
        far_side.close()
        owner.transport.close()


async def test_media_follows_the_far_side_to_another_address():
    async with media_port() as port, connected(port) as (owner, far_side, wifi):
        mobile = await far_side.udp(port)
        await far_side.check(mobile, priority=LOW)
        owner.transport.send_rtp(rtp(1))
        await far_side.rtp.get()
        assert (wifi.media.qsize(), mobile.media.qsize()) == (1, 0)
        await far_side.check(mobile, priority=LOW, nominate=True)
        owner.transport.send_rtp(rtp(2))
        assert await far_side.rtp.get() == rtp(2)
        assert (wifi.media.qsize(), mobile.media.qsize()) == (1, 1)
        far_side.secure.send_rtp(rtp(3))
        assert await owner.rtp.get() == rtp(3)
        assert owner.states.empty()


async def test_an_ice_restart_keeps_the_media_on_the_old_path_until_there_is_a_new_one():
    async with media_port() as port, connected(port) as (owner, far_side, old):
        old_local = far_side.local
        assert owner.transport.negotiate(far_side.remote()) == old_local  # nothing new
        far_side.ufrag = "again"
        far_side.local = owner.transport.negotiate(far_side.remote())
        owner.transport.start()
        assert far_side.local.ice_ufrag != old_local.ice_ufrag
        assert far_side.local.ice_pwd != old_local.ice_pwd
        assert far_side.local.fingerprint == old_local.fingerprint
        new = await far_side.udp(port)
        assert (await far_side.check(new)).error_code is None
        owner.transport.send_rtp(rtp(1))
        await far_side.rtp.get()
        assert (old.media.qsize(), new.media.qsize()) == (1, 0)
        await far_side.check(new, nominate=True)
        owner.transport.send_rtp(rtp(2))
        await far_side.rtp.get()
        assert (old.media.qsize(), new.media.qsize()) == (1, 1)
        far_side.secure.send_rtp(rtp(3))
        assert await owner.rtp.get() == rtp(3)
        # The old credentials are worth nothing any more.
        assert port.registry._receivers.keys() == {far_side.local.ice_ufrag.encode()}
        assert owner.transport._connect_timer is None
        assert owner.states.empty()


async def test_a_restart_over_the_same_socket_works():
    async with media_port() as port, connected(port) as (owner, far_side, way):
        for sequence, ufrag in enumerate(("second", "third")):
            far_side.ufrag = ufrag
            far_side.local = owner.transport.negotiate(far_side.remote())
            owner.transport.start()
            await far_side.check(way)
            await far_side.check(way, nominate=True)
            await exchange(owner, far_side, sequence)
        assert owner.states.empty()


async def test_a_restart_that_leads_nowhere_fails_in_time():
    async with media_port() as port, connected(port) as (owner, far_side, _):
        owner.transport._connect_timeout_seconds = 0.01
        far_side.ufrag = "again"
        owner.transport.negotiate(far_side.remote())
        owner.transport.start()
        assert await owner.states.get() == (PeerState.FAILED, "ICE found no working path within 0.01 s")


async def test_a_far_side_that_never_comes_is_given_up():
    async with media_port() as port:
        owner = Owner(port, connect_timeout_seconds=0.01)
        owner.transport.negotiate(FarSide(owner.transport.local_transport()).remote())
        owner.transport.start()
        assert await owner.state() is PeerState.CONNECTING
        assert await owner.states.get() == (PeerState.FAILED, "ICE found no working path within 0.01 s")
        assert port.registry._receivers == {}


async def test_a_handshake_that_never_ends_is_given_up():
    async with media_port() as port:
        owner = Owner(port, connect_timeout_seconds=0.01)
        far_side = FarSide(owner.transport.local_transport())
        way = await far_side.udp(port)
        await far_side.check(way)
        owner.transport.negotiate(far_side.remote())
        owner.transport.start()
        assert await owner.state() is PeerState.CONNECTING
        assert await owner.states.get() == (PeerState.FAILED, "the DTLS handshake did not finish within 0.01 s")
        far_side.close()


async def test_a_far_side_with_another_certificate_than_it_said_is_refused():
    async with media_port() as port:
        owner = Owner(port)
        far_side = FarSide(owner.transport.local_transport())
        owner.transport.negotiate(far_side.remote(generate_certificate().fingerprint))
        owner.transport.start()
        way = await far_side.udp(port)
        await far_side.check(way, nominate=True)
        far_side.begin()
        assert await owner.state() is PeerState.CONNECTING
        state, detail = await owner.states.get()
        assert state is PeerState.FAILED
        assert "does not match the fingerprint" in detail
        far_side.close()


async def test_a_far_side_that_comes_back_as_another_is_given_up():
    async with media_port() as port, connected(port) as (owner, far_side, _):
        with pytest.raises(ProtocolError, match="another certificate"):
            owner.transport.negotiate(far_side.remote(generate_certificate().fingerprint))
        assert await owner.states.get() == (PeerState.FAILED, "the far side came back with another certificate")
        with pytest.raises(StateError):
            owner.transport.negotiate(far_side.remote())
        owner.transport.start()
        assert owner.transport.state is PeerState.FAILED


class Watched:
    """A connection whose time is told."""

    def __init__(self, owner: Owner) -> None:
        self.now = 1000.0
        self._transport = owner.transport
        self._transport._now = lambda: self.now
        self._transport._agent.heard_at = self.now

    def watch_at(self, now: float) -> PeerState:
        self.now = now
        self._transport._watch()
        return self._transport.state


async def test_silence_is_the_end():
    async with media_port() as port, connected(port) as (owner, _, _):
        owner.transport._secure.heard = False
        watched = Watched(owner)
        assert watched.watch_at(1000.0 + MAX_SILENCE_SECONDS) is PeerState.CONNECTED
        assert watched.watch_at(1000.1 + MAX_SILENCE_SECONDS) is PeerState.FAILED
        assert await owner.states.get() == (PeerState.FAILED, "nothing came from the far side for 15 s")
        assert port.registry._receivers == {}
        assert port._endpoints[0].receivers == {}


async def test_checks_or_media_are_signs_of_life_but_forged_packets_are_not():
    async with media_port() as port, connected(port) as (owner, far_side, way):
        owner.transport._secure.heard = False
        watched = Watched(owner)
        watched.now = 1010.0
        await far_side.check(way)
        assert watched.watch_at(1024.0) is PeerState.CONNECTED
        far_side.secure.send_rtp(rtp(1))
        await owner.rtp.get()
        assert watched.watch_at(1026.0) is PeerState.CONNECTED
        assert watched.watch_at(1040.0) is PeerState.CONNECTED
        owner.transport._secure.heard = False
        way.send(b"\x80\x60" + bytes(40))
        way.send(b"\x16" + bytes(40))
        assert (await far_side.check(way)).error_code is None  # so the others have come
        assert owner.transport.authentication_failures == 1
        assert not owner.transport._secure.heard


async def test_closing_says_good_bye_and_lets_go_of_everything():
    async with media_port() as port, connected(port) as (owner, far_side, way):
        owner.transport.close()
        assert await owner.states.get() == (PeerState.CLOSED, "")
        assert await far_side.failed.get() == "the far side closed the DTLS association"
        assert port.registry._receivers == {}
        assert port._endpoints[0].receivers == {}
        owner.transport.send_rtp(rtp(1))
        owner.transport.send_rtcp(RECEIVER_REPORT)
        owner.transport.send_application_data(b"late")
        owner.transport.close()
        with pytest.raises(StateError):
            owner.transport.negotiate(far_side.remote())
        assert way.media.empty()
        assert owner.states.empty()


async def test_a_handler_may_close_the_transport():
    async with media_port() as port:
        owner = Owner(port)
        ended: list[PeerState] = []

        def close(_: bytes) -> None:
            transport.close()

        transport = ServingTransport(
            port,
            ServingHandlers(
                on_rtp=close,
                on_rtcp=close,
                on_application_data=close,
                on_state=lambda state, _: ended.append(state),
            ),
        )
        far_side = FarSide(transport.local_transport())
        transport.negotiate(far_side.remote())
        transport.start()
        await far_side.connect(await far_side.udp(port))
        far_side.secure.send_application_data(b"one")
        assert await far_side.failed.get() == "the far side closed the DTLS association"
        assert ended[-1] is PeerState.CLOSED
        far_side.close()
        owner.transport.close()


async def test_nobody_takes_the_address_of_another():
    """Whoever is in the room can forge where a check comes from. The one who was there first keeps his media."""
    async with media_port() as port, connected(port) as (owner, far_side, way):
        attacker = Owner(port)
        stolen = FarSide(attacker.transport.local_transport())
        attacker.transport.negotiate(stolen.remote())
        attacker.transport.start()
        way.send(stolen.check_message(nominate=True))
        reply = await far_side.check(way)
        assert reply.check_message_integrity(far_side.local.ice_pwd.encode())
        assert way.replies.empty()
        await exchange(owner, far_side)
        assert attacker.transport._agent.selected is None
        attacker.transport.close()


async def test_an_address_is_free_once_its_session_is_gone():
    async with media_port() as port, connected(port) as (owner, _, way):
        owner.transport.close()
        successor = Owner(port)
        again = FarSide(successor.transport.local_transport())
        successor.transport.negotiate(again.remote())
        assert (await again.check(way)).error_code is None
        successor.transport.close()


async def test_many_sessions_share_the_port():
    async with media_port() as port:
        owners = [Owner(port) for _ in range(20)]
        far_sides = [FarSide(owner.transport.local_transport()) for owner in owners]
        for owner, far_side in zip(owners, far_sides, strict=True):
            owner.transport.negotiate(far_side.remote())
            owner.transport.start()
        ways = [await far_side.udp(port) for far_side in far_sides]
        await asyncio.gather(*(far_side.connect(way) for far_side, way in zip(far_sides, ways, strict=True)))
        for number, (owner, far_side) in enumerate(zip(owners, far_sides, strict=True)):
            far_side.secure.send_rtp(rtp(number, ssrc=number))
            assert await owner.rtp.get() == rtp(number, ssrc=number)
            owner.transport.send_rtp(rtp(number, ssrc=100 + number))
            assert await far_side.rtp.get() == rtp(number, ssrc=100 + number)
        assert all(owner.rtp.empty() for owner in owners)
        for owner, far_side in zip(owners, far_sides, strict=True):
            far_side.close()
            owner.transport.close()
        assert port._endpoints[0].receivers == {}


async def test_what_is_sent_after_the_port_closed_is_counted():
    port = await MediaPort.open("127.0.0.1", 0)
    async with connected(port) as (owner, _, _):
        await port.close()
        owner.transport.send_rtp(rtp(1))
        assert port.drops == {"not_sent": 1}
