"""What the journal says: small functions that make a fact's name and fields of what happened.

Text that participants send is bounded; nothing here ever holds a token, a key or a secret.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from channel_recorder.config import SECRET_FIELDS, RecordingConfig
from channel_recorder.events import (
    ChannelEvent,
    DataReceived,
    Disconnected,
    Joined,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    QualityChanged,
    RoomUpdated,
    SpeakersChanged,
    StreamPaused,
    TrackPublished,
    TrackUnpublished,
    TrackUpdated,
)
from channel_recorder.model import Participant, Track
from channel_recorder.recording.contract import (
    AudioInfo,
    FileClosed,
    FileCreated,
    FileEvent,
    FileProgress,
    Gap,
    Rotated,
    StorageFailed,
    StreamSummary,
    VideoInfo,
)

Fields = dict[str, Any]
Fact = tuple[str, Fields]
UidOf = Callable[[str], int]
"""From identity to uid."""

TEXT_MAX_CHARACTERS = 4096
ATTRIBUTES_MAX = 64
DATA_MAX_BYTES = 64 * 2**10
"""The greatest message livekit-server passes on."""
_SECRET_SETTINGS = SECRET_FIELDS | {"proxy_server"}


def channel_fact(event: ChannelEvent, uid_of: UidOf) -> Fact:
    """Of anything the channel tells."""
    match event:
        case Joined():
            return "joined", _joined(event)
        case ParticipantJoined(participant=participant):
            return "user_joined", _participant(participant, uid_of)
        case ParticipantUpdated(participant=participant):
            return "user_updated", _participant(participant, uid_of)
        case ParticipantLeft(participant=participant, dropped=dropped):
            return "user_left", _who(participant, uid_of) | {"dropped": dropped}
        case TrackPublished(participant=participant, track=track):
            return "track_published", _who(participant, uid_of) | _track(track)
        case TrackUpdated(participant=participant, track=track, previous=previous):
            return _track_updated(track, previous), _who(participant, uid_of) | _track(track)
        case TrackUnpublished(participant=participant, track=track):
            return "track_unpublished", _who(participant, uid_of) | {"sid": track.sid}
        case SpeakersChanged(levels=levels):
            return "speakers", {"levels": {str(uid_of(who)): round(level, 3) for who, level in levels.items()}}
        case QualityChanged(qualities=qualities):
            return "quality", {"qualities": {str(uid_of(who)): quality for who, quality in qualities.items()}}
        case RoomUpdated():
            return "channel_updated", _room(event)
        case StreamPaused(track_sid=sid, paused=paused):
            return "stream_paused" if paused else "stream_resumed", {"sid": sid}
        case DataReceived():
            return "data", _data(event, uid_of)
        case Disconnected(reason=reason, detail=detail):
            return "disconnected", {"reason": reason, "detail": bounded(detail)}


def file_fact(event: FileEvent) -> Fact:
    """Of anything a recorder tells about its files."""
    match event:
        case FileCreated():
            return "file_created", _file(event) | {"source": event.source, "codec_switch": event.codec_switch}
        case AudioInfo(channels=channels):
            return "audio_info", _file(event) | {"channels": channels}
        case VideoInfo():
            return "video_info", _file(event) | {
                "width": event.width,
                "height": event.height,
                "rotation": event.rotation,
            }
        case Rotated(rotation=rotation):
            return "rotated", _file(event) | {"rotation": rotation}
        case Gap():
            return "gap", _file(event) | {
                "kind": event.kind,
                "duration": round(event.duration_seconds, 6),
                "lost_packets": event.lost_packets,
            }
        case FileProgress():
            return "file_progress", _file(event) | _progress(event)
        case FileClosed():
            return "file_closed", _file(event) | _closed(event)
        case StorageFailed(name=name, message=message):
            return "storage_failed", {"name": name, "message": bounded(message)}


def config_fact(config: RecordingConfig) -> Fact:
    """The settings that differ from their defaults. Of secret ones only that they were given."""
    fields = config.model_dump(mode="json", exclude_defaults=True, exclude=set(_SECRET_SETTINGS))
    given = {name: "(given)" for name in sorted(_SECRET_SETTINGS) if getattr(config, name)}
    return "config", fields | given


def stream_fields(stream: StreamSummary) -> Fields:
    fields: Fields = {
        "kind": stream.kind,
        "codec": stream.codec,
        "frames": stream.frames,
        "key_frames": stream.key_frames,
        "filled_frames": stream.filled_frames,
        "lost_frames": stream.lost_frames,
        "gaps": stream.gaps,
        "gap_seconds": round(stream.gap_seconds, 6),
        "start": round(stream.start_seconds, 6),
    }
    if (offset := stream.sound_offset) is not None:
        seconds = {"mean": offset.mean_seconds, "p95": offset.p95_seconds, "worst": offset.worst_seconds}
        fields["sound_offset"] = {name: round(value, 4) for name, value in seconds.items()}
    if stream.width:
        fields |= {"width": stream.width, "height": stream.height, "rotation": stream.rotation}
    return fields


def bounded(text: str) -> str:
    """Foreign text, cut if it is longer than any honest one."""
    return text if len(text) <= TEXT_MAX_CHARACTERS else text[:TEXT_MAX_CHARACTERS] + "…"


def _joined(event: Joined) -> Fields:
    return {
        "channel": event.room_name,
        "room_sid": event.room_sid,
        "account": event.identity,
        "sid": event.participant_sid,
        "server_version": bounded(event.server_version),
        "server_region": bounded(event.server_region),
    }


def _who(participant: Participant, uid_of: UidOf) -> Fields:
    return {"uid": uid_of(participant.identity), "account": participant.identity, "participant": participant.sid}


def _participant(participant: Participant, uid_of: UidOf) -> Fields:
    return _who(participant, uid_of) | {
        "name": bounded(participant.name),
        "can_publish": participant.can_publish,
        "is_recorder": participant.is_recorder,
        "metadata": bounded(participant.metadata),
        "attributes": _attributes(participant.attributes),
    }


def _attributes(attributes: Mapping[str, str]) -> dict[str, str]:
    return {bounded(key): bounded(value) for key, value in list(attributes.items())[:ATTRIBUTES_MAX]}


def _track(track: Track) -> Fields:
    return {
        "sid": track.sid,
        "kind": track.kind,
        "source": track.source,
        "name": bounded(track.name),
        "muted": track.muted,
        "mime_type": track.mime_type,
        "width": track.width,
        "height": track.height,
        "encrypted": track.encrypted,
    }


def _track_updated(track: Track, previous: Track) -> str:
    if track.muted == previous.muted:
        return "track_updated"
    return "track_muted" if track.muted else "track_unmuted"


def _room(event: RoomUpdated) -> Fields:
    return {
        "metadata": bounded(event.metadata),
        "active_recording": event.active_recording,
        "participant_count": event.participant_count,
    }


def _data(event: DataReceived, uid_of: UidOf) -> Fields:
    fields: Fields = {
        "uid": uid_of(event.identity) if event.identity else 0,
        "account": event.identity,
        "kind": event.kind,
        "topic": bounded(event.topic),
        "reliable": event.reliable,
        "bytes": len(event.payload),
    }
    if event.attributes:
        fields["attributes"] = _attributes(event.attributes)
    return fields | payload_fields(event.payload)


def payload_fields(payload: bytes) -> Fields:
    """`text` where it is UTF-8, else `base64`; cut to the greatest size a channel passes on."""
    payload = payload[:DATA_MAX_BYTES]
    try:
        return {"text": payload.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(payload).decode()}


def _file(event: FileCreated | AudioInfo | VideoInfo | Rotated | Gap | FileProgress | FileClosed) -> Fields:
    return {"name": event.name, "uid": event.user.uid, "account": event.user.account}


def _progress(event: FileProgress) -> Fields:
    return {
        "duration": round(event.duration_seconds, 6),
        "streams": [stream_fields(stream) for stream in event.streams],
    }


def _closed(event: FileClosed) -> Fields:
    return {
        "source": event.source,
        "start": round(event.start_seconds, 6),
        "duration": round(event.duration_seconds, 6),
        "bytes": event.bytes,
        "streams": [stream_fields(stream) for stream in event.streams],
    }
