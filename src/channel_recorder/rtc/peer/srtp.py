"""SRTP both ways (RFC 3711, RFC 7714) over libsrtp: unprotect what comes, protect what we send."""

# pylibsrtp's constants come from C, without types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pylibsrtp
from pylibsrtp import Policy, Session

REPLAY_WINDOW_PACKETS = 2048
"""Sequence numbers a late packet may lie behind the newest: a second of retransmissions at 20 Mbit/s. libsrtp shifts
them all with every packet: 8192 took 3 % of the processor time of a recording."""
MAX_RECENT_SOURCES = 512
"""SSRCs of one generation, see BoundedSrtpSessions."""


@dataclass(frozen=True, slots=True)
class SrtpProfile:
    """A protection profile of RFC 5764 section 4.1.2 and RFC 7714 section 14.2."""

    openssl_name: bytes
    libsrtp_profile: int
    key_bytes: int
    salt_bytes: int


AEAD_AES_128_GCM = SrtpProfile(b"SRTP_AEAD_AES_128_GCM", Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12)
AEAD_AES_256_GCM = SrtpProfile(b"SRTP_AEAD_AES_256_GCM", Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12)
AES128_CM_SHA1_80 = SrtpProfile(b"SRTP_AES128_CM_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14)

PROFILES = (AEAD_AES_128_GCM, AEAD_AES_256_GCM, AES128_CM_SHA1_80)
"""In order of preference: the cheapest per packet first, all are strong."""


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Master key and salt, joined, of each direction."""

    profile: SrtpProfile
    local: bytes
    remote: bytes

    def __repr__(self) -> str:
        return f"SrtpKeys({self.profile.openssl_name.decode()})"


class SrtpSessions:
    """The two directions of one DTLS association."""

    __slots__ = ("_inbound", "_outbound", "authentication_failures", "unsendable_packets")

    def __init__(self, keys: SrtpKeys) -> None:
        self._inbound = Session(_policy(keys.profile, keys.remote, Policy.SSRC_ANY_INBOUND))
        self._outbound = Session(_policy(keys.profile, keys.local, Policy.SSRC_ANY_OUTBOUND))
        self.authentication_failures = 0
        """Packets dropped: forged, replayed, or longer than libsrtp's buffer of 1500 bytes."""
        self.unsendable_packets = 0
        """RTP of ours that libsrtp refused: no RTP, too long, or too far behind what was sent before."""

    def unprotect(self, packet: bytes) -> bytes | None:
        """The RTP packet in clear; None, counted, if it is not genuine. Hot path."""
        try:
            return self._inbound.unprotect(packet)
        except (pylibsrtp.Error, ValueError):
            self.authentication_failures += 1
            return None

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """The compound RTCP packet in clear; None, counted, if it is not genuine."""
        try:
            return self._inbound.unprotect_rtcp(packet)
        except (pylibsrtp.Error, ValueError):
            self.authentication_failures += 1
            return None

    def protect(self, packet: bytes) -> bytes | None:
        """The RTP packet to send; None, counted, if it can't be. Hot path.

        A number that was sent before must come with the very same packet: other content would be encrypted with the
        same nonce (RFC 7714 section 8.4)."""
        try:
            return self._outbound.protect(packet)
        except (pylibsrtp.Error, ValueError):
            self.unsendable_packets += 1
            return None

    def protect_rtcp(self, packet: bytes) -> bytes:
        return self._outbound.protect_rtcp(packet)

    def forget_sent_source(self, ssrc: int) -> None:
        """Free what libsrtp keeps of an SSRC of ours, which must never be used again (its nonces would repeat)."""
        with contextlib.suppress(pylibsrtp.Error):  # nothing was sent with it
            self._outbound.remove_stream(ssrc)


class BoundedSrtpSessions(SrtpSessions):
    """For far sides nobody vouches for: libsrtp keeps half a kilobyte of every SSRC that it ever saw, and looks
    through them all for each packet (8 us more with 5000).

    SSRCs are counted in generations: with more than MAX_RECENT_SOURCES in one, those are forgotten that were heard
    in neither it nor the one before.
    """

    __slots__ = ("_earlier", "_recent")

    def __init__(self, keys: SrtpKeys) -> None:
        super().__init__(keys)
        self._recent: set[bytes] = set()
        self._earlier: set[bytes] = set()

    def unprotect(self, packet: bytes) -> bytes | None:
        try:
            clear = self._inbound.unprotect(packet)
        except (pylibsrtp.Error, ValueError):
            self.authentication_failures += 1
            return None
        ssrc = packet[8:12]
        if ssrc not in self._recent:
            self._note(ssrc)
        return clear

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        clear = super().unprotect_rtcp(packet)
        if clear is not None and packet[4:8] not in self._recent:
            self._note(packet[4:8])
        return clear

    def _note(self, ssrc: bytes) -> None:
        self._recent.add(ssrc)
        if len(self._recent) > MAX_RECENT_SOURCES:
            for silent in self._earlier - self._recent:
                self._inbound.remove_stream(int.from_bytes(silent, "big"))
            self._earlier, self._recent = self._recent, set()


def _policy(profile: SrtpProfile, key: bytes, ssrc_type: int) -> Policy:
    policy = Policy(key=key, ssrc_type=ssrc_type, srtp_profile=profile.libsrtp_profile)
    policy.window_size = REPLAY_WINDOW_PACKETS
    # Sound is sent again under its own number where RTX was not agreed on.
    policy.allow_repeat_tx = True
    return policy
