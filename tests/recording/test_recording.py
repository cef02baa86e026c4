"""One recording in virtual time: what the channel says, what is recorded of it, and what the handler hears."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from channel_recorder.config import RecordingConfig
from channel_recorder.errors import StateError
from channel_recorder.events import (
    ChannelEvent,
    DataReceived,
    LeaveReason,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    StreamPaused,
    TrackPublished,
    TrackUnpublished,
    TrackUpdated,
)
from channel_recorder.handler import LeavePath, RecordingHandler, UserJoinInfo
from channel_recorder.model import Codec, EncodedFrame, MediaKind, Participant, Source, Track
from channel_recorder.recording.contract import FileClosed, FileCreated, StorageFailed
from channel_recorder.recording.notices import Notices
from channel_recorder.recording.recording import Recording, leave_reason
from tests.recording.test_tracks import FakeRecorder, FakeUplink

JOINED = 1000.0
FOLDER = Path("/recordings/lesson")


class Witness(RecordingHandler):
    """Writes down every callback: name and plain arguments."""

    def __init__(self) -> None:
        self.said: list[tuple[object, ...]] = []

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("on_"):
            return super().__getattribute__(name)
        return lambda *arguments: self.said.append((name, *map(plain, arguments)))


def plain(argument: object) -> object:
    return argument.name if isinstance(argument, Enum | Path) else argument


class FakeArchive:
    """Keeps what would be written."""

    def __init__(self) -> None:
        self.recorder = FakeRecorder()
        self.dropped_frames = 0
        self.has_failed = False
        self.notes: list[tuple[str, float, dict[str, Any]]] = []
        self.events: list[ChannelEvent] = []
        self.spans: list[tuple[str, float]] = []
        self.begun: list[datetime] = []
        self.finished: tuple[str, float] | None = None

    def note(self, fact: str, at_seconds: float, **fields: Any) -> None:
        self.notes.append((fact, at_seconds, fields))

    def channel_event(self, event: ChannelEvent, at_seconds: float, uid_of: Callable[[str], int]) -> None:
        del at_seconds, uid_of
        self.events.append(event)

    def begin_recording(self, started_at: datetime) -> None:
        self.begun.append(started_at)

    def begin_span(self, at_seconds: float) -> None:
        self.spans.append(("begin", at_seconds))

    def end_span(self, at_seconds: float) -> None:
        self.spans.append(("end", at_seconds))

    async def finish(self, reason: str, duration_seconds: float) -> None:
        self.finished = (reason, duration_seconds)

    @property
    def facts(self) -> list[str]:
        return [fact for fact, _, _ in self.notes]


class Scene:
    """A recording that has joined; `at` is counted in seconds from the join."""

    def __init__(self, **config: Any) -> None:
        self.witness = Witness()
        self.archive = FakeArchive()
        self.uplink = FakeUplink()
        self.left: list[LeavePath] = []

        def call(callback: Callable[..., None], *arguments: object) -> None:
            callback(*arguments)

        self.recording = Recording(
            RecordingConfig(**config),
            open_archive=lambda _: self.archive,  # pyright: ignore[reportArgumentType]
            notices=Notices(self.witness, call, FOLDER),
            joined_seconds=JOINED,
            leave=self.left.append,
        )
        self.recording.connected(self.uplink, JOINED)

    def tell(self, at: float, *events: ChannelEvent) -> None:
        for event in events:
            self.recording.on_event(event, JOINED + at)

    def media(self, at: float, track: Track, participant: Participant) -> Callable[[int, float], None]:
        pipe = self.recording.begin_media(track.sid, track.kind, participant.sid, JOINED + at)
        codec = Codec.OPUS if track.kind is MediaKind.AUDIO else Codec.VP8

        def send(number: int, at: float) -> None:
            pipe.on_frame(EncodedFrame(codec, b"data", number, JOINED + at, width=320, height=240))

        return send

    def timer(self, at: float) -> None:
        self.recording.handle_timer(JOINED + at)

    @property
    def said(self) -> list[tuple[object, ...]]:
        """Since the last look."""
        said, self.witness.said = self.witness.said, []
        return said

    @property
    def sinks(self) -> list[tuple[str, float, list[int], list[float]]]:
        sinks = self.archive.recorder.sinks
        return [(sink.track.sid, sink.opened_at, sink.numbers, sink.closed_at) for sink in sinks]


def person(identity: str, sid: str = "", **fields: Any) -> Participant:
    return Participant(sid=sid or f"PA_{identity}", identity=identity, **fields)


def camera(sid: str = "TR_v7", **fields: Any) -> Track:
    return Track(sid=sid, kind=MediaKind.VIDEO, source=Source.CAMERA, **fields)


def microphone(sid: str = "TR_a7", **fields: Any) -> Track:
    return Track(sid=sid, kind=MediaKind.AUDIO, source=Source.MICROPHONE, **fields)


ALICE, BOB = person("7"), person("bob")


def came(who: Participant) -> ParticipantJoined:
    return ParticipantJoined(participant=who)


def went(who: Participant, *, dropped: bool = False) -> ParticipantLeft:
    return ParticipantLeft(participant=who, dropped=dropped)


def published(who: Participant, track: Track) -> TrackPublished:
    return TrackPublished(participant=who, track=track)


@contextmanager
def unchanged(scene: Scene) -> Generator[None]:
    """Nothing is told, asked for or recorded meanwhile."""
    before = (list(scene.witness.said), list(scene.uplink.said), len(scene.sinks), list(scene.archive.recorder.said))
    yield
    assert before == (scene.witness.said, scene.uplink.said, len(scene.sinks), scene.archive.recorder.said)


def test_a_call_from_the_first_user_to_the_idle_limit_in_classic_order() -> None:
    scene = Scene(idle_limit_sec=5)
    scene.tell(2.0, came(ALICE), published(ALICE, camera()), published(ALICE, microphone()))
    picture, sound = scene.media(2.1, camera(), ALICE), scene.media(2.1, microphone(), ALICE)
    sound(1, 2.2)
    picture(2, 2.3)
    muted = microphone(muted=True)
    scene.tell(4.0, TrackUpdated(participant=ALICE, track=muted, previous=microphone()))
    scene.tell(5.0, TrackUnpublished(participant=ALICE, track=camera()))
    scene.tell(5.0, TrackUnpublished(participant=ALICE, track=muted), went(ALICE, dropped=True))
    assert scene.recording.next_timer() == JOINED + 10.0
    scene.timer(10.0)
    assert scene.said == [
        ("on_user_joined", 7, UserJoinInfo(storage_dir=FOLDER, account="7")),
        ("on_remote_video_stream_state_changed", 7, "RUNNING", "STARTED"),
        ("on_remote_audio_stream_state_changed", 7, "RUNNING", "STARTED"),
        ("on_first_remote_audio_frame", 7, 2200),
        ("on_first_remote_video_frame", 7, 320, 240, 2300),
        ("on_remote_audio_stream_state_changed", 7, "STOPPED", "STOPPED"),
        ("on_remote_video_stream_state_changed", 7, "STOPPED", "STOPPED"),
        ("on_user_offline", 7, "DROPPED"),
    ]
    assert scene.left == [LeavePath.NOBODY_LEFT]
    assert scene.archive.spans == [("begin", 0.0), ("end", 8.0)]
    assert scene.sinks == [("TR_v7", 0.0, [2], [3.0]), ("TR_a7", 0.0, [1], [3.0])]
    assert scene.archive.recorder.said == [("joined", 7, 0.0), ("muted", "TR_a7", 2.0), ("left", 7, 3.0)]


def test_recording_time_begins_when_somebody_is_there() -> None:
    scene = Scene()
    assert scene.recording.recording_seconds(JOINED + 30) == 0.0
    assert scene.archive.begun == []
    scene.recording.advance(JOINED + 30)
    scene.tell(40.0, came(ALICE))
    scene.recording.advance(JOINED + 41)
    assert len(scene.archive.begun) == 1
    assert scene.recording.recording_seconds(JOINED + 42.5) == 2.5
    assert scene.archive.recorder.said == [("joined", 7, 0.0), ("advance", 1.0)]


def test_a_user_with_a_text_account_is_told_as_a_pair_before_he_joins() -> None:
    scene = Scene()
    scene.tell(1.0, came(BOB))
    pair, joined = scene.said
    assert pair[0] == "on_user_info_updated"
    assert pair[2] == "bob"
    uid = pair[1]
    assert isinstance(uid, int) and uid >= 2**31
    assert joined[:2] == ("on_user_joined", uid)
    user = scene.recording.users.by_account("bob")
    assert user is not None
    assert scene.recording.users.by_uid(uid) is user


def test_manual_mode_records_between_start_and_stop_in_new_files() -> None:
    scene = Scene(trigger_mode=1)
    scene.tell(1.0, came(ALICE), published(ALICE, microphone()))
    sound = scene.media(1.0, microphone(), ALICE)
    sound(1, 2.0)
    assert scene.sinks == []
    scene.recording.start_service(JOINED + 10.0)
    sound(2, 11.0)
    scene.recording.stop_service(JOINED + 12.0)
    sound(3, 13.0)
    scene.recording.start_service(JOINED + 20.0)
    sound(4, 21.0)
    assert scene.sinks == [("TR_a7", 0.0, [2], [2.0]), ("TR_a7", 10.0, [4], [])]
    assert scene.archive.spans == [("begin", 0.0), ("end", 2.0), ("begin", 10.0)]
    assert len(scene.archive.begun) == 1, "one recording, one time"
    assert [said[0] for said in scene.said].count("on_first_remote_audio_frame") == 1


def test_an_automatic_recording_refuses_start_and_stop() -> None:
    scene = Scene()
    with pytest.raises(StateError):
        scene.recording.start_service(JOINED)
    with pytest.raises(StateError):
        scene.recording.stop_service(JOINED)


def test_a_changed_list_drops_at_once_what_it_excludes_and_has_it_sent_no_more() -> None:
    scene = Scene(auto_subscribe=False, subscribe_audio_uids="7", subscribe_video_uids="7")
    scene.tell(1.0, came(ALICE), published(ALICE, camera()), published(ALICE, microphone()))
    picture, sound = scene.media(1.0, camera(), ALICE), scene.media(1.0, microphone(), ALICE)
    picture(1, 2.0)
    sound(1, 2.0)
    scene.recording.subscribe_to(JOINED + 3.0, video_uids=())
    picture(2, 3.0)
    sound(2, 3.0)
    scene.recording.subscribe_to(JOINED + 5.0, video_uids=(7,), audio_uids=())
    picture(3, 5.1)
    sound(3, 5.1)
    assert scene.sinks == [("TR_v7", 0.0, [1], [2.0]), ("TR_a7", 0.0, [1, 2], [4.0]), ("TR_v7", 4.0, [3], [])]
    assert [said for said in scene.uplink.said if said[0] != "key frame"] == [
        ("subscribe", "TR_v7"),
        ("subscribe", "TR_a7"),
        ("unsubscribe", "TR_v7"),
        ("subscribe", "TR_v7"),
        ("unsubscribe", "TR_a7"),
    ]
    changes = [(at, fields) for fact, at, fields in scene.archive.notes if fact == "subscription_changed"]
    assert changes == [(2.0, {"audio": ["7"], "video": []}), (4.0, {"audio": [], "video": ["7"]})]


def test_a_changed_list_holds_for_who_comes_later() -> None:
    scene = Scene(auto_subscribe=False)
    scene.recording.subscribe_to(JOINED, audio_uids=(7,))
    scene.tell(1.0, came(ALICE), published(ALICE, camera()), published(ALICE, microphone()))
    assert [sid for sid, *_ in scene.sinks] == ["TR_a7"]


def test_lists_cannot_be_changed_where_everybody_is_recorded() -> None:
    with pytest.raises(StateError, match="auto_subscribe=False"):
        Scene().recording.subscribe_to(JOINED, audio_uids=(7,))


def test_an_encrypted_track_is_told_and_left_out() -> None:
    scene = Scene()
    scene.tell(1.0, came(ALICE), published(ALICE, camera(encrypted=True)))
    scene.media(1.0, camera(), ALICE)(1, 1.1)
    assert scene.sinks == []
    assert scene.uplink.said == []
    (warning,) = [said for said in scene.said if said[0] == "on_warning"]
    assert warning[1] == "ENCRYPTED_TRACK"
    assert "user 7" in str(warning[2])


def test_another_recorder_and_its_tracks_are_nobody() -> None:
    scene = Scene(idle_limit_sec=3)
    other = person("900", is_recorder=True)
    with unchanged(scene):
        scene.tell(1.0, came(other), published(other, camera("TR_v900")))
        scene.tell(2.0, TrackUnpublished(participant=other, track=camera("TR_v900")), went(other))
    scene.timer(3.0)
    assert scene.left == [LeavePath.NOBODY_LEFT]


def test_in_a_live_broadcast_only_hosts_are_users() -> None:
    scene = Scene(channel_profile=1)
    viewer = person("8", can_publish=False)
    with unchanged(scene):
        scene.tell(1.0, came(viewer))
    assert scene.archive.spans == []
    scene.tell(2.0, ParticipantUpdated(participant=person("8")))
    assert [said[:2] for said in scene.said] == [("on_user_joined", 8)]
    assert scene.recording.user_count == 1
    scene.tell(3.0, ParticipantUpdated(participant=viewer))
    assert scene.said == [("on_user_offline", 8, "BECAME_AUDIENCE")]
    assert scene.recording.user_count == 0


def cut_and_rejoin(scene: Scene) -> None:
    scene.tell(1.0, came(ALICE), came(BOB), published(ALICE, microphone()))
    scene.media(1.0, microphone(), ALICE)(1, 1.5)
    scene.recording.connection_lost(LeaveReason.SIGNAL_CLOSED, JOINED + 4.0)
    scene.recording.connected(scene.uplink, JOINED + 6.0)


def test_after_an_outage_users_go_on_and_their_new_tracks_are_recorded() -> None:
    scene = Scene()
    cut_and_rejoin(scene)
    _ = scene.said
    back, track = person("7", "PA_new"), microphone("TR_new")
    scene.tell(6.1, came(back), came(person("bob", "PA_b2")), published(back, track))
    scene.media(6.1, track, back)(2, 6.5)
    scene.timer(8.0)
    assert [said[0] for said in scene.said] == ["on_remote_audio_stream_state_changed", "on_first_remote_audio_frame"]
    assert scene.sinks == [("TR_a7", 0.0, [1], [3.0]), ("TR_new", pytest.approx(5.1), [2], [])]
    assert scene.archive.spans == [("begin", 0.0)], "the files go on"
    assert ("connection_lost", 3.0, {"reason": "signal_closed"}) in scene.archive.notes
    assert scene.uplink.said == [("subscribe", "TR_a7"), ("subscribe", "TR_new")]


def test_who_is_not_there_any_more_after_an_outage_has_gone() -> None:
    scene = Scene()
    cut_and_rejoin(scene)
    _ = scene.said
    scene.tell(6.1, came(person("7", "PA_new")))
    timer = scene.recording.next_timer()
    assert timer is not None
    scene.recording.handle_timer(timer)
    (offline,) = scene.said
    assert offline[0] == "on_user_offline"
    assert offline[2] == "DROPPED"
    assert scene.recording.user_count == 1
    assert scene.left == []


def test_during_an_outage_nobody_goes_and_nothing_is_asked_of_the_lost_connection() -> None:
    scene = Scene(idle_limit_sec=3)
    scene.tell(1.0, came(ALICE), published(ALICE, camera()))
    scene.media(1.0, camera(), ALICE)(1, 1.1)
    scene.recording.connection_lost(LeaveReason.MEDIA_FAILED, JOINED + 2.0)
    with unchanged(scene):
        scene.timer(1000.0)
        scene.recording.request_key_frames()
        scene.recording.on_key_frame_wanted("TR_v7")
    assert scene.left == []
    assert scene.recording.user_count == 1


@pytest.mark.parametrize(
    ("reason", "present", "path"),
    [
        (LeaveReason.ROOM_DELETED, True, LeavePath.CHANNEL_ENDED),
        (LeaveReason.ROOM_CLOSED, False, LeavePath.CHANNEL_ENDED | LeavePath.NOBODY_LEFT),
        (LeaveReason.PARTICIPANT_REMOVED, True, LeavePath.CHANNEL_ENDED),
    ],
)
def test_a_channel_that_ends_is_left_once(reason: LeaveReason, present: bool, path: LeavePath) -> None:
    scene = Scene()
    scene.tell(1.0, came(ALICE))
    if not present:
        scene.tell(2.0, went(ALICE))
    scene.recording.channel_ended(reason, JOINED + 3.0)
    scene.recording.leave(LeavePath.SIGNAL, JOINED + 4.0)
    assert scene.left == [path]
    assert scene.archive.spans == [("begin", 0.0), ("end", 2.0)]


async def test_the_end_closes_what_is_open_and_the_books() -> None:
    scene = Scene()
    scene.tell(1.0, came(ALICE), published(ALICE, microphone()))
    sound = scene.media(1.0, microphone(), ALICE)
    scene.recording.leave(LeavePath.SIGNAL, JOINED + 5.0)
    sound(9, 5.1)
    await scene.recording.finish(LeavePath.SIGNAL, JOINED + 5.2)
    assert scene.sinks == [("TR_a7", 0.0, [], [4.0])]
    assert scene.archive.finished == ("signal", pytest.approx(4.2))


def test_why_it_ended_is_one_word() -> None:
    assert leave_reason(LeavePath.CLIENT_INITIATED) == "left"
    assert leave_reason(LeavePath.CHANNEL_ENDED | LeavePath.NOBODY_LEFT) == "channel_ended"
    assert leave_reason(LeavePath.NOBODY_LEFT | LeavePath.STORAGE_FAILED) == "storage_failed"
    assert leave_reason(LeavePath.FAILED_INIT) == "failed"


def test_what_the_server_cannot_or_will_not_send_is_told() -> None:
    scene = Scene()
    scene.tell(1.0, came(ALICE), published(ALICE, camera()))
    _ = scene.said
    scene.tell(2.0, StreamPaused(track_sid="TR_v7", paused=True), StreamPaused(track_sid="TR_v7", paused=False))
    scene.recording.subscription_failed("TR_v7", "codec unsupported", JOINED + 3.0)
    scene.recording.subscription_failed("TR_x", "unknown", JOINED + 3.0)
    assert [said[1] for said in scene.said] == ["STREAM_PAUSED_BY_SERVER", "UNSUPPORTED_CODEC"]
    assert scene.archive.facts.count("subscription_failed") == 2


def test_a_disk_that_does_not_keep_up_is_told_and_a_key_frame_asked_for() -> None:
    scene = Scene()
    scene.recording.on_overload("TR_v7", 12)
    assert scene.uplink.said == [("key frame", "TR_v7")]
    (warning,) = scene.said
    assert warning[:2] == ("on_warning", "VIDEO_DROPPED_BY_OVERLOAD")
    assert "12" in str(warning[2])


def test_a_recorder_that_failed_does_not_stay_and_pretend() -> None:
    scene = Scene()
    scene.tell(1.0, came(ALICE))
    scene.archive.has_failed = True
    scene.recording.advance(JOINED + 2.0)
    scene.recording.advance(JOINED + 2.1)
    assert scene.left == [LeavePath.STORAGE_FAILED]
    assert scene.archive.spans == [("begin", 0.0), ("end", 1.0)]


def test_a_disk_that_takes_no_more_ends_the_recording() -> None:
    scene = Scene()
    scene.tell(1.0, came(ALICE))
    scene.recording.on_file_event(StorageFailed(at_seconds=1.0, name="a.webm", message="too many open files"))
    scene.recording.advance(JOINED + 2.0)
    assert scene.left == []
    scene.recording.on_file_event(StorageFailed(at_seconds=1.0, name="", message="the disk is full", final=True))
    scene.recording.advance(JOINED + 2.1)
    assert scene.left == [LeavePath.STORAGE_FAILED]
    assert scene.said[-1] == ("on_error", "GENERIC", "OK", "the disk is full")


def test_files_are_told_where_they_lie() -> None:
    scene = Scene()
    user = scene.recording.users.add("7")
    source = Source.CAMERA
    scene.recording.on_file_event(FileCreated(at_seconds=0.0, name="a.webm", user=user, source=source))
    closed = FileClosed(
        at_seconds=3.0,
        name="a.webm",
        user=user,
        source=source,
        start_seconds=0.0,
        duration_seconds=3.0,
        bytes=9,
        streams=(),
    )
    scene.recording.on_file_event(closed)
    scene.recording.on_file_event(StorageFailed(at_seconds=3.0, name="b.webm", message="disk full"))
    scene.recording.on_archive_failed(OSError("no space"))
    created, closing, failed, archive = scene.said
    assert created[:2] == ("on_file_created", "a.webm")
    assert closing[0] == "on_file_closed"
    assert failed == ("on_error", "GENERIC", "OK", "b.webm: disk full")
    assert archive == ("on_error", "GENERIC", "OK", "writing failed: no space")


def test_who_only_sends_data_is_known_too() -> None:
    scene = Scene()
    with unchanged(scene):
        scene.tell(1.0, DataReceived(identity="agent", kind="chat", payload=b"hello"))
    assert scene.recording.users.by_account("agent") is not None
    assert len(scene.archive.events) == 1


def test_the_settings_are_in_the_journal_but_no_secret() -> None:
    scene = Scene(idle_limit_sec=9, is_audio_only=True)
    assert scene.archive.notes[0] == ("config", 0.0, {"idle_limit_sec": 9, "is_audio_only": True})
