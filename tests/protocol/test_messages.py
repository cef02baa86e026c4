"""The server's words for tracks, members and reasons, in ours."""

from __future__ import annotations

import math
from typing import Any

import pytest
from livekit.protocol import models as pb

from channel_recorder.events import LeaveReason
from channel_recorder.model import ConnectionQuality, MediaKind, Participant, Source, Track
from channel_recorder.protocol.messages import (
    has_left,
    leave_reason_from,
    leave_reason_name,
    participant_from,
    quality_from,
    speaker_level_from,
    track_from,
    was_dropped,
)

UNKNOWN_ENUM: Any = 99


def participant_info(**fields: Any) -> pb.ParticipantInfo:
    return pb.ParticipantInfo(sid="PA_1", identity="alice", **fields)


def test_a_camera_with_layers_becomes_a_simulcast_track() -> None:
    info = pb.TrackInfo(
        sid="TR_VC1",
        type=pb.TrackType.VIDEO,
        source=pb.TrackSource.CAMERA,
        name="cam",
        muted=True,
        width=1280,
        height=720,
        mime_type="video/VP8",
        stream="camera",
        layers=[pb.VideoLayer(), pb.VideoLayer()],
        encryption=pb.Encryption.GCM,
    )
    assert track_from(info) == Track(
        sid="TR_VC1",
        kind=MediaKind.VIDEO,
        source=Source.CAMERA,
        name="cam",
        muted=True,
        width=1280,
        height=720,
        mime_type="video/VP8",
        stream="camera",
        simulcast=True,
        encrypted=True,
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (pb.TrackSource.MICROPHONE, Source.MICROPHONE),
        (pb.TrackSource.SCREEN_SHARE, Source.SCREEN_SHARE),
        (pb.TrackSource.SCREEN_SHARE_AUDIO, Source.SCREEN_SHARE_AUDIO),
        (pb.TrackSource.UNKNOWN, Source.UNKNOWN),
        (UNKNOWN_ENUM, Source.UNKNOWN),
    ],
)
def test_sources(source: Any, expected: Source) -> None:
    track = track_from(pb.TrackInfo(sid="TR_1", type=pb.TrackType.AUDIO, source=source))
    assert track is not None
    assert (track.source, track.kind, track.simulcast, track.encrypted) == (expected, MediaKind.AUDIO, False, False)


def test_a_codec_is_taken_from_the_list_where_the_track_itself_names_none() -> None:
    codecs = [pb.SimulcastCodecInfo(mime_type="video/AV1"), pb.SimulcastCodecInfo(mime_type="video/VP8")]
    track = track_from(pb.TrackInfo(sid="TR_1", type=pb.TrackType.VIDEO, codecs=codecs))
    assert track is not None
    assert track.mime_type == "video/AV1"


@pytest.mark.parametrize(
    "info",
    [
        pb.TrackInfo(sid="", type=pb.TrackType.AUDIO),
        pb.TrackInfo(sid="TR_D", type=pb.TrackType.DATA),
        pb.TrackInfo(sid="TR_U", type=UNKNOWN_ENUM),
    ],
)
def test_what_is_neither_sound_nor_picture_is_no_track(info: pb.TrackInfo) -> None:
    assert track_from(info) is None
    participant = participant_from(participant_info(tracks=[info]))
    assert participant is not None
    assert participant.tracks == {}


def test_a_host_and_an_audience_member() -> None:
    host = participant_info(
        name="Alice",
        metadata="m",
        attributes={"a": "b"},
        permission=pb.ParticipantPermission(can_publish=True),
        tracks=[pb.TrackInfo(sid="TR_1", type=pb.TrackType.AUDIO)],
    )
    assert participant_from(host) == Participant(
        sid="PA_1",
        identity="alice",
        name="Alice",
        metadata="m",
        attributes={"a": "b"},
        tracks={"TR_1": Track(sid="TR_1", kind=MediaKind.AUDIO, source=Source.UNKNOWN)},
    )
    audience = participant_from(participant_info(permission=pb.ParticipantPermission(can_subscribe=True)))
    assert audience is not None
    assert not audience.can_publish
    unspecified = participant_from(participant_info())
    assert unspecified is not None
    assert unspecified.can_publish


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"kind": pb.ParticipantInfo.EGRESS}, True),
        ({"permission": pb.ParticipantPermission(recorder=True)}, True),
        ({"permission": pb.ParticipantPermission(hidden=True)}, True),
        ({"kind": pb.ParticipantInfo.AGENT, "permission": pb.ParticipantPermission(agent=True)}, False),
        ({"kind": pb.ParticipantInfo.SIP}, False),
        ({"kind": UNKNOWN_ENUM}, False),
        ({}, False),
    ],
)
def test_who_counts_as_a_recorder(fields: dict[str, Any], expected: bool) -> None:
    participant = participant_from(participant_info(**fields))
    assert participant is not None
    assert participant.is_recorder is expected


def test_one_without_sid_or_identity_is_nobody() -> None:
    assert participant_from(pb.ParticipantInfo(sid="PA_1")) is None
    assert participant_from(pb.ParticipantInfo(identity="alice")) is None


@pytest.mark.parametrize(
    ("reason", "dropped"),
    [
        (pb.DisconnectReason.CLIENT_INITIATED, False),
        (pb.DisconnectReason.PARTICIPANT_REMOVED, False),
        (pb.DisconnectReason.UNKNOWN_REASON, False),
        (pb.DisconnectReason.CONNECTION_TIMEOUT, True),
        (pb.DisconnectReason.STATE_MISMATCH, True),
        (pb.DisconnectReason.SIGNAL_CLOSE, True),
        (UNKNOWN_ENUM, False),
    ],
)
def test_who_left_and_who_was_dropped(reason: Any, dropped: bool) -> None:
    info = participant_info(state=pb.ParticipantInfo.DISCONNECTED, disconnect_reason=reason)
    assert has_left(info)
    assert was_dropped(info) is dropped
    assert not has_left(participant_info(state=pb.ParticipantInfo.ACTIVE))


def test_every_reason_of_the_protocol_has_its_word() -> None:
    same = {name.name: name.value for name in LeaveReason}
    for value in pb.DisconnectReason.DESCRIPTOR.values:
        reason = leave_reason_from(value.number)
        if value.name in same:
            assert reason is LeaveReason[value.name]
        assert leave_reason_name(value.number) == value.name
    assert leave_reason_from(pb.DisconnectReason.SIGNAL_CLOSE) is LeaveReason.SIGNAL_CLOSED
    assert leave_reason_from(pb.DisconnectReason.CONNECTION_TIMEOUT) is LeaveReason.MEDIA_FAILED
    assert leave_reason_from(UNKNOWN_ENUM) is LeaveReason.UNKNOWN
    assert leave_reason_name(UNKNOWN_ENUM) == "reason 99"


def test_qualities() -> None:
    assert quality_from(pb.ConnectionQuality.POOR) is ConnectionQuality.POOR
    assert quality_from(pb.ConnectionQuality.GOOD) is ConnectionQuality.GOOD
    assert quality_from(pb.ConnectionQuality.EXCELLENT) is ConnectionQuality.EXCELLENT
    assert quality_from(pb.ConnectionQuality.LOST) is ConnectionQuality.LOST
    assert quality_from(UNKNOWN_ENUM) is None


@pytest.mark.parametrize(
    ("level", "active", "expected"),
    [(0.5, True, 0.5), (0.5, False, 0.0), (7.0, True, 1.0), (-1.0, True, 0.0), (math.nan, True, 0.0)],
)
def test_speaker_levels_stay_between_0_and_1(level: float, active: bool, expected: float) -> None:
    assert speaker_level_from(pb.SpeakerInfo(level=level, active=active)) == expected
