"""The nouns every room uses: codecs, tracks, participants and encoded frames.

Imports nothing of ours. Plain data only; what is done with it lives in the rooms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

MAX_UID = 2**32 - 1
FIRST_ASSIGNED_UID = 2**31
"""Accounts that are no decimal uid get a number from here upwards."""


class MediaKind(StrEnum):
    AUDIO = "audio"
    VIDEO = "video"


class Codec(StrEnum):
    OPUS = "opus"
    VP8 = "vp8"
    VP9 = "vp9"
    H264 = "h264"
    H265 = "h265"
    AV1 = "av1"

    @property
    def kind(self) -> MediaKind:
        return MediaKind.AUDIO if self is Codec.OPUS else MediaKind.VIDEO

    @property
    def clock_rate_hz(self) -> int:
        """The RTP clock: RFC 7587 for Opus, 90 kHz for every video format."""
        return 48_000 if self is Codec.OPUS else 90_000


class Source(StrEnum):
    """What a track shows or carries, as its publisher declared it."""

    CAMERA = "camera"
    MICROPHONE = "microphone"
    SCREEN_SHARE = "screen_share"
    SCREEN_SHARE_AUDIO = "screen_share_audio"
    UNKNOWN = "unknown"

    @property
    def is_screen(self) -> bool:
        return self in (Source.SCREEN_SHARE, Source.SCREEN_SHARE_AUDIO)


class ChannelProfile(IntEnum):
    """Who counts as present (classic SDK, channelProfile)."""

    COMMUNICATION = 0
    LIVE_BROADCASTING = 1


class ConnectionQuality(StrEnum):
    POOR = "poor"
    GOOD = "good"
    EXCELLENT = "excellent"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A published track, as the channel announces it."""

    sid: str
    kind: MediaKind
    source: Source
    name: str = ""
    muted: bool = False
    mime_type: str = ""
    width: int = 0
    height: int = 0
    stream: str = ""
    encrypted: bool = False
    simulcast: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A member of the channel. `can_publish` tells a host from the audience."""

    sid: str
    identity: str
    name: str = ""
    can_publish: bool = True
    is_recorder: bool = False
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    tracks: Mapping[str, Track] = field(default_factory=dict[str, Track])
    """By track sid."""


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server as signalling names it: URLs that share one credential."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A participant under the number the classic API and the file names use."""

    uid: int
    account: str
    """The participant's identity; equals `str(uid)` where that is a decimal uid."""


class EncodedFrame:
    """One encoded picture or one packet of sound, on its way from the wire to a file.

    One object travels the whole way, so stages fill in what they know:
    the receiver everything but `time_seconds`, the timeline `time_seconds`.
    A plain slots class because a frozen dataclass costs 0.9 us to make, this one 0.3.
    """

    __slots__ = (
        "arrival_seconds",
        "codec",
        "data",
        "error_seconds",
        "height",
        "key_frame",
        "lost_packets",
        "rotation",
        "time_seconds",
        "timestamp",
        "width",
    )

    def __init__(
        self,
        codec: Codec,
        data: bytes,
        timestamp: int,
        arrival_seconds: float,
        key_frame: bool = True,
        width: int = 0,
        height: int = 0,
        rotation: int = 0,
        lost_packets: int = 0,
    ) -> None:
        self.codec = codec
        self.data = data
        """Video: Annex B (H.264, H.265), low-overhead OBUs (AV1) or the bare frame (VP8, VP9)."""
        self.timestamp = timestamp
        """RTP time stamp, unwrapped: never wraps at 2**32, may restart with a new SSRC."""
        self.arrival_seconds = arrival_seconds
        """Monotonic clock, when the last packet of the frame arrived; one that was repeated counts from when it was
        missed."""
        self.key_frame = key_frame
        """Decodable without any other frame. Always true for sound."""
        self.width = width
        """Key frames of video: coded size in pixels as the bitstream says; else 0."""
        self.height = height
        self.rotation = rotation
        """0, 90, 180 or 270 degrees clockwise to turn the picture for display."""
        self.lost_packets = lost_packets
        """RTP packets given up for lost between the frame delivered before and this one."""
        self.time_seconds = 0.0
        """Recording time: seconds since the recording began, set by the timeline."""
        self.error_seconds = 0.0
        """How much later than where it belongs, by what is known of the clocks, the timeline has put it: corrections
        take time."""
