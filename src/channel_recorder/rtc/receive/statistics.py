"""What the receive path counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Drop(StrEnum):
    """Why a packet was not used."""

    MALFORMED = "malformed"
    UNKNOWN_SSRC = "unknown_ssrc"
    UNKNOWN_PAYLOAD_TYPE = "unknown_payload_type"
    MALFORMED_RTCP = "malformed_rtcp"
    MALFORMED_FRAME = "malformed_frame"
    """The packets of a frame were all there, but do not make a frame."""


@dataclass(slots=True)
class Counters:
    """Of one m-line, over every SSRC it had. Packets and bytes are counted where they arrive."""

    packets: int = 0
    bytes: int = 0
    frames: int = 0
    key_frames: int = 0
    lost_packets: int = 0
    recovered_packets: int = 0
    duplicate_packets: int = 0
    late_packets: int = 0
    dropped_frames: int = 0
    blank_frames: int = 0
    sealed_frames: int = 0
    key_frame_requests: int = 0
    nacked_packets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveStatistics:
    """One m-line since it was added."""

    packets: int
    """RTP packets received, duplicates and retransmissions included."""
    bytes: int
    """Of these packets, headers included."""
    frames: int
    """Delivered."""
    key_frames: int
    lost_packets: int
    """Given up for lost."""
    recovered_packets: int
    """Came after they had been asked for again."""
    duplicate_packets: int
    late_packets: int
    """Came after they had been given up."""
    dropped_frames: int
    """Pictures left out: incomplete, or what they depend on is missing."""
    blank_frames: int
    """Pictures the server made up for a muted track, left out."""
    sealed_frames: int
    """Encrypted for the members of the channel, and not opened."""
    key_frame_requests: int
    nacked_packets: int
    """Requests for packets, every retry counted."""
    jitter_seconds: float
    """Interarrival jitter (RFC 3550 section 6.4.1)."""
    round_trip_seconds: float | None
    """From asking for a packet to its arrival, smoothed; None until one came."""
    fraction_lost: float
    """0 to 1, in the last report interval, before retransmission."""
    ended: bool
    """The sender said good-bye (RTCP BYE) and nothing came since."""
