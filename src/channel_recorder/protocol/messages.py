"""LiveKit's protobuf messages in the words of `model` and `events`. Unknown enum values are tolerated."""

from __future__ import annotations

import math
from collections.abc import Iterable

from livekit.protocol import models as pb

from channel_recorder.events import LeaveReason
from channel_recorder.model import ConnectionQuality, MediaKind, Participant, Source, Track

_KINDS: dict[int, MediaKind] = {pb.TrackType.AUDIO: MediaKind.AUDIO, pb.TrackType.VIDEO: MediaKind.VIDEO}

_SOURCES: dict[int, Source] = {
    pb.TrackSource.CAMERA: Source.CAMERA,
    pb.TrackSource.MICROPHONE: Source.MICROPHONE,
    pb.TrackSource.SCREEN_SHARE: Source.SCREEN_SHARE,
    pb.TrackSource.SCREEN_SHARE_AUDIO: Source.SCREEN_SHARE_AUDIO,
}

_QUALITIES: dict[int, ConnectionQuality] = {
    pb.ConnectionQuality.POOR: ConnectionQuality.POOR,
    pb.ConnectionQuality.GOOD: ConnectionQuality.GOOD,
    pb.ConnectionQuality.EXCELLENT: ConnectionQuality.EXCELLENT,
    pb.ConnectionQuality.LOST: ConnectionQuality.LOST,
}

_LEAVE_REASONS: dict[int, LeaveReason] = {
    pb.DisconnectReason.CLIENT_INITIATED: LeaveReason.CLIENT_INITIATED,
    pb.DisconnectReason.DUPLICATE_IDENTITY: LeaveReason.DUPLICATE_IDENTITY,
    pb.DisconnectReason.SERVER_SHUTDOWN: LeaveReason.SERVER_SHUTDOWN,
    pb.DisconnectReason.PARTICIPANT_REMOVED: LeaveReason.PARTICIPANT_REMOVED,
    pb.DisconnectReason.ROOM_DELETED: LeaveReason.ROOM_DELETED,
    pb.DisconnectReason.ROOM_CLOSED: LeaveReason.ROOM_CLOSED,
    pb.DisconnectReason.STATE_MISMATCH: LeaveReason.STATE_MISMATCH,
    pb.DisconnectReason.JOIN_FAILURE: LeaveReason.JOIN_FAILURE,
    pb.DisconnectReason.MIGRATION: LeaveReason.MIGRATION,
    pb.DisconnectReason.SIGNAL_CLOSE: LeaveReason.SIGNAL_CLOSED,
    pb.DisconnectReason.CONNECTION_TIMEOUT: LeaveReason.MEDIA_FAILED,
    pb.DisconnectReason.MEDIA_FAILURE: LeaveReason.MEDIA_FAILED,
}

_DROPPED: frozenset[int] = frozenset(
    {
        pb.DisconnectReason.DUPLICATE_IDENTITY,
        pb.DisconnectReason.SERVER_SHUTDOWN,
        pb.DisconnectReason.STATE_MISMATCH,
        pb.DisconnectReason.JOIN_FAILURE,
        pb.DisconnectReason.MIGRATION,
        pb.DisconnectReason.SIGNAL_CLOSE,
        pb.DisconnectReason.CONNECTION_TIMEOUT,
        pb.DisconnectReason.MEDIA_FAILURE,
    }
)
"""livekit-server reports lost media as CONNECTION_TIMEOUT, before 1.9 as STATE_MISMATCH."""


def track_from(info: pb.TrackInfo) -> Track | None:
    """None for what carries neither sound nor pictures, or has no sid."""
    kind = _KINDS.get(info.type)
    if kind is None or not info.sid:
        return None
    return Track(
        sid=info.sid,
        kind=kind,
        source=_SOURCES.get(info.source, Source.UNKNOWN),
        name=info.name,
        muted=info.muted,
        mime_type=info.mime_type or (info.codecs[0].mime_type if info.codecs else ""),
        width=info.width,
        height=info.height,
        stream=info.stream,
        encrypted=info.encryption != pb.Encryption.NONE,
        simulcast=info.simulcast or len(info.layers) > 1,
    )


def participant_from(info: pb.ParticipantInfo) -> Participant | None:
    """None for one without sid or identity."""
    if not info.sid or not info.identity:
        return None
    return Participant(
        sid=info.sid,
        identity=info.identity,
        name=info.name,
        can_publish=info.permission.can_publish if info.HasField("permission") else True,
        is_recorder=_is_recorder(info),
        metadata=info.metadata,
        attributes=dict(info.attributes),
        tracks=_tracks_from(info.tracks),
    )


def has_left(info: pb.ParticipantInfo) -> bool:
    return info.state == pb.ParticipantInfo.DISCONNECTED


def was_dropped(info: pb.ParticipantInfo) -> bool:
    """It left without a good-bye, as far as the server tells."""
    return info.disconnect_reason in _DROPPED


def leave_reason_from(reason: int) -> LeaveReason:
    return _LEAVE_REASONS.get(reason, LeaveReason.UNKNOWN)


def leave_reason_name(reason: int) -> str:
    """The server's own word, for reasons that are one to us."""
    known = pb.DisconnectReason.DESCRIPTOR.values_by_number.get(reason)
    return known.name if known else f"reason {reason}"


def quality_from(quality: int) -> ConnectionQuality | None:
    return _QUALITIES.get(quality)


def speaker_level_from(speaker: pb.SpeakerInfo) -> float:
    """0..1; 0 when the speaker stopped."""
    if not speaker.active or not math.isfinite(speaker.level):
        return 0.0
    return min(1.0, max(0.0, speaker.level))


def _tracks_from(infos: Iterable[pb.TrackInfo]) -> dict[str, Track]:
    tracks = (track_from(info) for info in infos)
    return {track.sid: track for track in tracks if track is not None}


def _is_recorder(info: pb.ParticipantInfo) -> bool:
    """Agents are none: they talk, and what they say is recorded."""
    permission = info.permission
    return info.kind == pb.ParticipantInfo.EGRESS or permission.recorder or permission.hidden
