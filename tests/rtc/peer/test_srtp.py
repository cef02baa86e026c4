from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from channel_recorder.rtc.peer.srtp import (
    MAX_RECENT_SOURCES,
    PROFILES,
    REPLAY_WINDOW_PACKETS,
    BoundedSrtpSessions,
    SrtpKeys,
    SrtpProfile,
    SrtpSessions,
)

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

    def read_rtp(self, packet: bytes) -> bytes:
        return self._in.unprotect(packet)

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


def rtp(sequence: int, ssrc: int = 9) -> bytes:
    return struct.pack("!BBHII", 0x80, 111, sequence & 0xFFFF, 960, ssrc) + b"sound"


def test_our_media_reaches_the_far_side(ends: tuple[SrtpSessions, FarSide]):
    ours, far_side = ends
    for sequence in (65534, 65535, 0, 1):
        protected = ours.protect(rtp(sequence))
        assert protected is not None
        assert far_side.read_rtp(protected) == rtp(sequence)


def test_the_same_packet_can_be_sent_again(ends: tuple[SrtpSessions, FarSide]):
    ours, far_side = ends
    lost, later = ours.protect(rtp(1)), ours.protect(rtp(2))
    repeated = ours.protect(rtp(1))
    assert repeated == lost
    assert later is not None
    assert repeated is not None
    assert [far_side.read_rtp(later), far_side.read_rtp(repeated)] == [rtp(2), rtp(1)]


@pytest.mark.parametrize("packet", [b"", b"\x80", b"\x80\x60" + bytes(9), b"\x80\x60" + bytes(1500)])
def test_what_is_no_packet_is_not_sent_but_counted(packet: bytes):
    ours = SrtpSessions(keys(PROFILES[-1]))
    assert ours.protect(packet) is None
    assert ours.unsendable_packets == 1


def test_a_source_of_ours_can_be_forgotten():
    ours, far_side = SrtpSessions(keys(PROFILES[0])), FarSide(PROFILES[0])
    ours.protect(rtp(1, ssrc=5))
    ours.forget_sent_source(5)
    ours.forget_sent_source(6)  # nothing was ever sent with it
    protected = ours.protect(rtp(1))
    assert protected is not None
    assert far_side.read_rtp(protected) == rtp(1)


def test_a_far_side_that_invents_sources_fills_no_memory():
    """A replay is noticed as long as a source is remembered, and of those there are only so many."""
    ours, far_side = BoundedSrtpSessions(keys(PROFILES[0])), FarSide(PROFILES[0])
    first = far_side.rtp(1, ssrc=1)[1]
    assert ours.unprotect(first) is not None
    assert ours.unprotect(first) is None
    for ssrc in range(2, 2 * MAX_RECENT_SOURCES + 4):
        assert ours.unprotect(far_side.rtp(1, ssrc=ssrc)[1]) is not None
        assert ours.unprotect(far_side.rtp(ssrc, ssrc=4_000_000_000)[1]) is not None
    remembered = ours._recent | ours._earlier
    assert len(remembered) <= 2 * MAX_RECENT_SOURCES
    assert (4_000_000_000).to_bytes(4, "big") in remembered
    assert ours.unprotect(first) is not None  # was forgotten
    assert ours.authentication_failures == 1


def test_reports_of_invented_sources_fill_no_memory_either():
    ours, far_side = BoundedSrtpSessions(keys(PROFILES[0])), FarSide(PROFILES[0])
    for ssrc in range(3 * MAX_RECENT_SOURCES):
        report = struct.pack("!BBHI", 0x80, 201, 1, ssrc)
        assert ours.unprotect_rtcp(far_side._out.protect_rtcp(report)) == report
    assert len(ours._recent | ours._earlier) <= 2 * MAX_RECENT_SOURCES


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=120))
def test_a_bounded_end_drops_garbage_too(packet: bytes):
    ours = BoundedSrtpSessions(keys(PROFILES[-1]))
    assert ours.unprotect(packet) is None
    assert ours.unprotect_rtcp(packet) is None
