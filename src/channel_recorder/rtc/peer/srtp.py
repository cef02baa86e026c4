"""SRTP both ways (RFC 3711, RFC 7714) over libsrtp: unprotect what comes, protect our RTCP."""

# pylibsrtp's constants come from C, without types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass

import pylibsrtp
from pylibsrtp import Policy, Session

REPLAY_WINDOW_PACKETS = 2048
"""Sequence numbers a late packet may lie behind the newest: a second of retransmissions at 20 Mbit/s. libsrtp shifts
them all with every packet: 8192 took 3 % of the processor time of a recording."""


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

    __slots__ = ("_inbound", "_outbound", "authentication_failures")

    def __init__(self, keys: SrtpKeys) -> None:
        self._inbound = Session(_policy(keys.profile, keys.remote, Policy.SSRC_ANY_INBOUND))
        self._outbound = Session(_policy(keys.profile, keys.local, Policy.SSRC_ANY_OUTBOUND))
        self.authentication_failures = 0
        """Packets dropped: forged, replayed, or longer than libsrtp's buffer of 1500 bytes."""

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

    def protect_rtcp(self, packet: bytes) -> bytes:
        return self._outbound.protect_rtcp(packet)


def _policy(profile: SrtpProfile, key: bytes, ssrc_type: int) -> Policy:
    policy = Policy(key=key, ssrc_type=ssrc_type, srtp_profile=profile.libsrtp_profile)
    policy.window_size = REPLAY_WINDOW_PACKETS
    return policy
