from __future__ import annotations

import base64
import json
from typing import get_args

import pytest

from channel_recorder.config import RecordingConfig
from channel_recorder.events import (
    ChannelEvent,
    DataReceived,
    Disconnected,
    Joined,
    LeaveReason,
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
from channel_recorder.model import ConnectionQuality, MediaKind, Participant, Source, Track, User
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
from channel_recorder.recording.facts import (
    DATA_MAX_BYTES,
    TEXT_MAX_CHARACTERS,
    channel_fact,
    config_fact,
    file_fact,
)

ALICE = Participant(sid="PA_a", identity="7", name="Alice", metadata="x" * 10_000, attributes={"role": "guest"})
CAMERA = Track(sid="TR_v", kind=MediaKind.VIDEO, source=Source.CAMERA, mime_type="video/vp8", width=640, height=360)
MUTED = Track(sid="TR_v", kind=MediaKind.VIDEO, source=Source.CAMERA, muted=True)
USER = User(uid=7, account="7")
WHO: dict[str, object] = {"uid": 7, "account": "7", "participant": "PA_a"}

CHANNEL_EVENTS: list[tuple[ChannelEvent, str, dict[str, object]]] = [
    (
        Joined(room_sid="RM_1", room_name="lesson", identity="1001", participant_sid="PA_r", server_version="1.13.5"),
        "joined",
        {"channel": "lesson", "room_sid": "RM_1", "server_version": "1.13.5"},
    ),
    (ParticipantJoined(participant=ALICE), "user_joined", WHO | {"name": "Alice", "attributes": {"role": "guest"}}),
    (ParticipantUpdated(participant=ALICE), "user_updated", WHO | {"can_publish": True}),
    (ParticipantLeft(participant=ALICE, dropped=True), "user_left", WHO | {"dropped": True}),
    (
        TrackPublished(participant=ALICE, track=CAMERA),
        "track_published",
        WHO | {"sid": "TR_v", "kind": "video", "source": "camera", "width": 640},
    ),
    (TrackUpdated(participant=ALICE, track=MUTED, previous=CAMERA), "track_muted", WHO | {"muted": True}),
    (TrackUpdated(participant=ALICE, track=CAMERA, previous=MUTED), "track_unmuted", WHO | {"muted": False}),
    (TrackUpdated(participant=ALICE, track=CAMERA, previous=CAMERA), "track_updated", WHO | {"height": 360}),
    (TrackUnpublished(participant=ALICE, track=CAMERA), "track_unpublished", WHO | {"sid": "TR_v"}),
    (SpeakersChanged(levels={"7": 0.12345}), "speakers", {"levels": {"7": 0.123}}),
    (QualityChanged(qualities={"7": ConnectionQuality.POOR}), "quality", {"qualities": {"7": "poor"}}),
    (
        RoomUpdated(metadata="m", active_recording=True, participant_count=3),
        "channel_updated",
        {"active_recording": True, "participant_count": 3},
    ),
    (StreamPaused(track_sid="TR_v", paused=True), "stream_paused", {"sid": "TR_v"}),
    (StreamPaused(track_sid="TR_v", paused=False), "stream_resumed", {"sid": "TR_v"}),
    (DataReceived(identity="7", kind="chat", payload=b"hi"), "data", {"uid": 7, "kind": "chat", "text": "hi"}),
    (Disconnected(reason=LeaveReason.SERVER_SHUTDOWN), "disconnected", {"reason": "server_shutdown"}),
]

CLOSED = FileClosed(
    at_seconds=9.0,
    name="7_x.webm",
    user=USER,
    source=Source.CAMERA,
    start_seconds=1.0,
    duration_seconds=8.0,
    bytes=1234,
    streams=(
        StreamSummary(kind=MediaKind.VIDEO, codec="vp8", frames=200, lost_frames=3, width=640, height=360),
        StreamSummary(kind=MediaKind.AUDIO, codec="opus", frames=400, filled_frames=5),
    ),
)
FILE_EVENTS: list[tuple[FileEvent, str, dict[str, object]]] = [
    (
        FileCreated(at_seconds=1.0, name="7_x.webm", user=USER, source=Source.CAMERA),
        "file_created",
        {"name": "7_x.webm", "uid": 7, "source": "camera", "codec_switch": False},
    ),
    (AudioInfo(at_seconds=1.0, name="7_x.webm", user=USER, channels=2), "audio_info", {"channels": 2}),
    (
        VideoInfo(at_seconds=1.0, name="7_x.webm", user=USER, width=640, height=360, rotation=90),
        "video_info",
        {"width": 640, "height": 360, "rotation": 90},
    ),
    (Rotated(at_seconds=2.0, name="7_x.webm", user=USER, rotation=270), "rotated", {"rotation": 270}),
    (
        Gap(at_seconds=3.0, name="7_x.webm", user=USER, kind=MediaKind.AUDIO, duration_seconds=0.5, lost_packets=2),
        "gap",
        {"kind": "audio", "duration": 0.5, "lost_packets": 2},
    ),
    (
        FileProgress(at_seconds=8.0, name="7_x.webm", user=USER, duration_seconds=7.0, streams=CLOSED.streams),
        "file_progress",
        {"name": "7_x.webm", "uid": 7, "duration": 7.0},
    ),
    (CLOSED, "file_closed", {"start": 1.0, "duration": 8.0, "bytes": 1234}),
    (StorageFailed(at_seconds=4.0, name="", message="full"), "storage_failed", {"message": "full"}),
]


def _uid(identity: str) -> int:
    return int(identity)


@pytest.mark.parametrize(("event", "fact", "expected"), CHANNEL_EVENTS)
def test_what_the_channel_tells_is_written_down(event: ChannelEvent, fact: str, expected: dict[str, object]):
    name, fields = channel_fact(event, _uid)
    said = json.loads(json.dumps(fields))
    assert name == fact
    assert {key: said[key] for key in expected} == expected


@pytest.mark.parametrize(("event", "fact", "expected"), FILE_EVENTS)
def test_what_happens_to_files_is_written_down(event: FileEvent, fact: str, expected: dict[str, object]):
    name, fields = file_fact(event)
    said = json.loads(json.dumps(fields))
    assert name == fact
    assert {key: said[key] for key in expected} == expected


def test_no_kind_of_event_is_forgotten():
    assert {type(event) for event, _, _ in CHANNEL_EVENTS} == set(get_args(ChannelEvent))
    assert {type(event) for event, _, _ in FILE_EVENTS} == set(get_args(FileEvent))


def test_pictures_have_a_size_and_sound_has_none():
    _, fields = file_fact(CLOSED)
    video, audio = fields["streams"]
    assert (video["width"], video["height"], video["lost_frames"]) == (640, 360, 3)
    assert "width" not in audio
    assert audio["filled_frames"] == 5


def test_data_that_is_no_text_is_kept_as_base64():
    _, fields = channel_fact(DataReceived(identity="7", kind="user", payload=b"\xff\x00"), _uid)
    assert base64.b64decode(fields["base64"]) == b"\xff\x00"
    assert "text" not in fields


def test_data_and_text_of_participants_are_bounded():
    _, fields = channel_fact(DataReceived(identity="", kind="user", payload=b"a" * 100_000, topic="t" * 9999), _uid)
    assert len(fields["text"]) == DATA_MAX_BYTES
    assert fields["bytes"] == 100_000
    assert len(fields["topic"]) == TEXT_MAX_CHARACTERS + 1
    crowd = Participant(sid="PA_a", identity="7", attributes={str(n): "v" for n in range(1000)})
    _, fields = channel_fact(ParticipantJoined(participant=crowd), _uid)
    assert len(fields["attributes"]) == 64


def test_the_settings_are_written_down_without_secrets():
    config = RecordingConfig(idle_limit_sec=7, is_audio_only=True)
    assert config_fact(config) == ("config", {"idle_limit_sec": 7, "is_audio_only": True})
    secret = RecordingConfig.model_construct(secret="hunter2", proxy_server="user:pw@host")
    assert config_fact(secret) == ("config", {"secret": "(given)", "proxy_server": "(given)"})
