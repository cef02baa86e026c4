"""What whoever runs the channel server may choose."""

from __future__ import annotations

from dataclasses import dataclass, field

from livekit.protocol import rtc as pb

from channel_recorder.model import Codec
from channel_recorder.sfu.limits import Limits

SERVER_VERSION = "1.9.12"
"""The livekit-server whose behaviour clients may expect. They read it as semver and allow themselves RPC from 1.8.0 on
and a single peer connection from 1.9.10 on."""
PROTOCOL_VERSION = 16
ALL_CODECS = (Codec.VP8, Codec.H264, Codec.VP9, Codec.AV1, Codec.H265, Codec.OPUS)
"""What clients fall back to comes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    limits: Limits = field(default_factory=Limits)
    codecs: tuple[Codec, ...] = ALL_CODECS
    """What clients are told to publish with, the preferred ones first."""
    auto_create: bool = True
    """False: only rooms that were created by RoomService, or whose members may create rooms, can be joined."""
    max_participants: int = 0
    """Per room, recorders and agents not counted; 0: as `limits` say."""
    empty_timeout_seconds: int = 300
    """How long a room waits for its first member."""
    departure_timeout_seconds: int = 20
    """How long a room stays after its last member left."""
    remote_unmute: bool = False
    """RoomService may unmute tracks. Few people want to be heard by somebody else's doing."""
    ping_interval_seconds: int = 5
    ping_timeout_seconds: int = 15
    connect_timeout_seconds: float = 60.0
    """Who has no media connection by then is removed."""
    answer_timeout_seconds: float = 20.0
    signal_grace_seconds: float = 5.0
    """A member whose WebSocket broke keeps sending and receiving media for so long. Clients are back within a second,
    with a new seat that replaces the old one."""
    token_refresh_seconds: float = 300.0
    ice_servers: tuple[pb.ICEServer, ...] = ()
    region: str = ""
