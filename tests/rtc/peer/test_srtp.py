from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from channel_recorder.rtc.peer.srtp import PROFILES, REPLAY_WINDOW_PACKETS, SrtpKeys, SrtpProfile, SrtpSessions

RECEIVER_REPORT = struct.pack("!BBHI", 0x80, 201, 1, 77)


def keys(profile: SrtpProfile) -> SrtpKeys:
    size = profile.key_bytes + profile.salt_bytes
    return SrtpKeys(profile, local=bytes(range(size)), remote=bytes(range(100, 100 + size)))


class FarSide:
    """Plain libsrtp with the same keys, the other way round."""

    def __init__(self, profile: SrtpProfile) -> None:
        def session(key: bytes, ssrc_type: int) -> Session:
            return Session(Policy(key=key, ssrc_type=ssrc_type, srtp_profile=profile.libsrtp_profile))

        self._out = session(keys(profile).remote, Policy.SSRC_ANY_OUTBOUND)
        self._in = session(keys(profile).local, Policy.SSRC_ANY_INBOUND)

    def rtp(self, sequence: int, payload: bytes = b"payload", ssrc: int = 1) -> tuple[bytes, bytes]:
        packet = struct.pack("!BBHII", 0x80, 96, sequence & 0xFFFF, 1000, ssrc) + payload
        return packet, self._out.protect(packet)

    def rtcp(self) -> bytes:
        return self._out.protect_rtcp(RECEIVER_REPORT)

    def read_rtcp(self, packet: bytes) -> bytes:
        return self._in.unprotect_rtcp(packet)


@pytest.fixture(params=PROFILES, ids=lambda profile: profile.openssl_name.decode())
def ends(request: pytest.FixtureRequest) -> tuple[SrtpSessions, FarSide]:
    return SrtpSessions(keys(request.param)), FarSide(request.param)


def test_media_and_reports_are_opened(ends: tuple[SrtpSessions, FarSide]):
    ours, far_side = ends
    clear, protected = far_side.rtp(1)
    assert protected != clear
    assert ours.unprotect(protected) == clear
    assert ours.unprotect_rtcp(far_side.rtcp()) == RECEIVER_REPORT
    assert ours.authentication_failures == 0


def test_our_reports_reach_the_far_side(ends: tuple[SrtpSessions, FarSide]):
    ours, far_side = ends
    protected = ours.protect_rtcp(RECEIVER_REPORT)
    assert len(protected) > len(RECEIVER_REPORT)
    assert far_side.read_rtcp(protected) == RECEIVER_REPORT


def test_a_forged_packet_is_counted_and_dropped(ends: tuple[SrtpSessions, FarSide]):
    ours, far_side = ends
    _, protected = far_side.rtp(1)
    forged = protected[:15] + bytes([protected[15] ^ 1]) + protected[16:]
    assert ours.unprotect(forged) is None
    assert ours.unprotect_rtcp(forged) is None
    assert ours.authentication_failures == 2
    assert ours.unprotect(protected) is not None


def test_a_replayed_packet_is_dropped(ends: tuple[SrtpSessions, FarSide]):
    ours, far_side = ends
    _, protected = far_side.rtp(1)
    assert ours.unprotect(protected) is not None
    assert ours.unprotect(protected) is None


def test_a_packet_a_second_late_is_still_taken():
    ours, far_side = SrtpSessions(keys(PROFILES[0])), FarSide(PROFILES[0])
    clear, late = far_side.rtp(0)
    for sequence in range(1, REPLAY_WINDOW_PACKETS):
        assert ours.unprotect(far_side.rtp(sequence)[1]) is not None
    assert ours.unprotect(late) == clear


def test_a_packet_too_long_for_libsrtp_is_dropped():
    ours = SrtpSessions(keys(PROFILES[0]))
    assert ours.unprotect(b"\x80\x60" + bytes(1600)) is None
    assert ours.authentication_failures == 1


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=120))
def test_garbage_is_dropped(packet: bytes):
    ours = SrtpSessions(keys(PROFILES[-1]))
    assert ours.unprotect(packet) is None
    assert ours.unprotect_rtcp(packet) is None
