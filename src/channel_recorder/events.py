"""What a channel tells the recording. Rare things only: media never travels as events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from channel_recorder.model import ConnectionQuality, Participant, Track


class LeaveReason(StrEnum):
    """Why the server, the network or we ended a connection, each kept apart."""

    CLIENT_INITIATED = "client_initiated"
    DUPLICATE_IDENTITY = "duplicate_identity"
    SERVER_SHUTDOWN = "server_shutdown"
    PARTICIPANT_REMOVED = "participant_removed"
    ROOM_DELETED = "room_deleted"
    ROOM_CLOSED = "room_closed"
    STATE_MISMATCH = "state_mismatch"
    JOIN_FAILURE = "join_failure"
    MIGRATION = "migration"
    SIGNAL_CLOSED = "signal_closed"
    """The WebSocket closed without a Leave message."""
    SIGNAL_TIMEOUT = "signal_timeout"
    """The server stopped answering pings."""
    MEDIA_FAILED = "media_failed"
    """ICE or DTLS failed, or consent was lost."""
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Rejoining makes no sense: the channel ended or does not want us."""
        return self in _FINAL


_FINAL = frozenset(
    {
        LeaveReason.CLIENT_INITIATED,
        LeaveReason.DUPLICATE_IDENTITY,
        LeaveReason.PARTICIPANT_REMOVED,
        LeaveReason.ROOM_DELETED,
        LeaveReason.ROOM_CLOSED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The server let us in. Participants that are there already follow as ParticipantJoined."""

    room_sid: str
    room_name: str
    identity: str
    participant_sid: str
    server_version: str = ""
    server_region: str = ""
    server_trailer: bytes = b""
    """In encrypted channels: what frames end with that the server made up itself (LiveKit's sif_trailer)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantJoined:
    """Tracks that the participant publishes already follow as TrackPublished."""

    participant: Participant


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantUpdated:
    """Name, metadata, attributes or permission changed."""

    participant: Participant


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantLeft:
    """Every track of the participant was announced as TrackUnpublished before."""

    participant: Participant
    dropped: bool = False
    """True: it did not say good-bye (connection lost), as far as the server tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPublished:
    participant: Participant
    track: Track


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackUpdated:
    """Mute state, size or codec changed. `previous` is what was known before."""

    participant: Participant
    track: Track
    previous: Track


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackUnpublished:
    participant: Participant
    track: Track


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakersChanged:
    """Levels 0..1 by identity, of those whose state changed; 0 = stopped speaking."""

    levels: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityChanged:
    """Connection quality by identity."""

    qualities: Mapping[str, ConnectionQuality]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomUpdated:
    metadata: str
    active_recording: bool
    participant_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPaused:
    """The server starves a track for lack of bandwidth, or feeds it again."""

    track_sid: str
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReceived:
    """A data packet that a participant sent: chat, text stream, user data."""

    identity: str
    kind: str
    """user, chat, stream_header, stream_chunk, stream_trailer, transcription, ..."""
    topic: str = ""
    payload: bytes = b""
    reliable: bool = True
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The connection is over. `can_rejoin`: the far side expects us back."""

    reason: LeaveReason
    detail: str = ""
    wanted_back: bool = False
    """The server asked for a new connection (Leave with action RESUME or RECONNECT), whatever its reason."""

    @property
    def can_rejoin(self) -> bool:
        return self.wanted_back or not self.reason.is_final


ChannelEvent = (
    Joined
    | ParticipantJoined
    | ParticipantUpdated
    | ParticipantLeft
    | TrackPublished
    | TrackUpdated
    | TrackUnpublished
    | SpeakersChanged
    | QualityChanged
    | RoomUpdated
    | StreamPaused
    | DataReceived
    | Disconnected
)
