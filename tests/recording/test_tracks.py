"""Announcements and media come in any order; what is wanted is asked for and recorded, the rest is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest

from channel_recorder.model import Codec, EncodedFrame, MediaKind, Source, User
from channel_recorder.recording.contract import RecordedTrack
from channel_recorder.recording.tracks import Tracks
from channel_recorder.timeline import Timeline

ALICE = User(uid=7, account="7")


@dataclass
class FakeUplink:
    said: list[tuple[object, ...]] = field(default_factory=list[tuple[object, ...]])

    def subscribe(self, track_sids: Iterable[str], wanted: bool) -> None:
        self.said.extend(("subscribe" if wanted else "unsubscribe", sid) for sid in track_sids)

    def choose_layer(self, track_sid: str, *, low: bool) -> None:
        self.said.append(("low" if low else "high", track_sid))

    def request_key_frame(self, track_sid: str) -> None:
        self.said.append(("key frame", track_sid))


@dataclass
class FakeSink:
    track: RecordedTrack
    opened_at: float
    numbers: list[int] = field(default_factory=list[int])
    closed_at: list[float] = field(default_factory=list[float])

    def write(self, frame: EncodedFrame) -> None:
        assert not self.closed_at, "written to after its close"
        self.numbers.append(frame.timestamp)

    def close(self, at_seconds: float) -> None:
        self.closed_at.append(at_seconds)


@dataclass
class FakeRecorder:
    sinks: list[FakeSink] = field(default_factory=list[FakeSink])
    said: list[tuple[object, ...]] = field(default_factory=list[tuple[object, ...]])

    def add_track(self, track: RecordedTrack, at_seconds: float) -> FakeSink:
        self.sinks.append(FakeSink(track, at_seconds))
        return self.sinks[-1]

    def mute_track(self, sid: str, muted: bool, at_seconds: float) -> None:
        self.said.append(("muted" if muted else "unmuted", sid, at_seconds))

    def user_joined(self, user: User, at_seconds: float) -> None:
        self.said.append(("joined", user.uid, at_seconds))

    def user_left(self, user: User, at_seconds: float) -> None:
        self.said.append(("left", user.uid, at_seconds))

    def advance(self, now_seconds: float) -> None:
        self.said.append(("advance", now_seconds))

    def close(self, at_seconds: float) -> None:
        raise AssertionError("nobody here closes the recorder")


class Bench:
    def __init__(self, *, low_layer: bool = False) -> None:
        self.uplink = FakeUplink()
        self.recorder = FakeRecorder()
        self.first: list[str] = []
        self.tracks = Tracks(
            recorder=self.recorder,
            timeline=Timeline(0.0),
            low_layer=low_layer,
            on_first_frame=lambda track, _: self.first.append(track.sid),
        )
        self.tracks.uplink = self.uplink

    @property
    def sink(self) -> FakeSink:
        return self.recorder.sinks[-1]


def track(sid: str = "TR_v", *, muted: bool = False) -> RecordedTrack:
    is_video = sid.startswith("TR_v")
    kind = MediaKind.VIDEO if is_video else MediaKind.AUDIO
    source = Source.CAMERA if is_video else Source.MICROPHONE
    return RecordedTrack(sid=sid, user=ALICE, kind=kind, source=source, muted=muted)


def frame(number: int) -> EncodedFrame:
    return EncodedFrame(Codec.VP8, b"data", number, number / 10, lost_packets=1)


def test_media_after_its_announcement_is_recorded_from_the_first_frame() -> None:
    bench = Bench()
    bench.tracks.begin_span(0.0, 0.0)
    bench.tracks.publish(track(), True, 1.0)
    assert bench.uplink.said == [("subscribe", "TR_v")]
    pipe = bench.tracks.begin_media("TR_v", MediaKind.VIDEO, "PA_1", 2.0)
    pipe.on_frame(frame(1))
    assert bench.sink.opened_at == 1.0
    assert bench.sink.numbers == [1]
    assert bench.first == ["TR_v"]


def test_media_before_its_announcement_is_recorded_from_the_first_frame() -> None:
    bench = Bench()
    bench.tracks.begin_span(0.0, 0.0)
    pipe = bench.tracks.begin_media("TR_v", MediaKind.VIDEO, "PA_1", 1.0)
    pipe.on_frame(frame(1))
    pipe.on_frame(frame(2))
    assert bench.recorder.sinks == []
    bench.tracks.publish(track(), True, 2.0)
    pipe.on_frame(frame(3))
    assert bench.sink.numbers == [1, 2, 3]


def test_what_is_not_wanted_is_neither_asked_for_nor_recorded() -> None:
    bench = Bench()
    bench.tracks.begin_span(0.0, 0.0)
    pipe = bench.tracks.begin_media("TR_v", MediaKind.VIDEO, "PA_1", 1.0)
    pipe.on_frame(frame(1))
    bench.tracks.publish(track(), False, 1.0)
    pipe.on_frame(frame(2))
    assert bench.uplink.said == []
    assert bench.recorder.sinks == []


def test_a_change_of_the_filter_holds_at_once() -> None:
    bench = Bench()
    bench.tracks.begin_span(0.0, 0.0)
    bench.tracks.publish(track(), True, 0.0)
    pipe = bench.tracks.begin_media("TR_v", MediaKind.VIDEO, "PA_1", 0.0)
    pipe.on_frame(frame(1))
    bench.tracks.want("TR_v", False, 2.0)
    pipe.on_frame(frame(2))
    assert bench.sink.closed_at == [2.0]
    assert bench.uplink.said[-1] == ("unsubscribe", "TR_v")
    bench.tracks.want("TR_v", False, 3.0)
    bench.tracks.want("TR_v", True, 4.0)
    pipe.on_frame(frame(3))
    assert [sink.numbers for sink in bench.recorder.sinks] == [[1], [3]]
    assert bench.uplink.said == [("subscribe", "TR_v"), ("unsubscribe", "TR_v"), ("subscribe", "TR_v")]


def test_spans_open_and_close_sinks_and_keep_the_subscription() -> None:
    bench = Bench()
    bench.tracks.publish(track("TR_v"), True, 0.0)
    bench.tracks.publish(track("TR_a"), True, 0.0)
    pictures = bench.tracks.begin_media("TR_v", MediaKind.VIDEO, "PA_1", 0.0)
    bench.tracks.begin_media("TR_a", MediaKind.AUDIO, "PA_1", 0.0)
    pictures.on_frame(frame(1))
    assert bench.recorder.sinks == []
    bench.tracks.begin_span(5.0, 0.0)
    assert bench.uplink.said == [("subscribe", "TR_v"), ("subscribe", "TR_a"), ("key frame", "TR_v")]
    pictures.on_frame(frame(60))
    bench.tracks.end_span(2.0)
    pictures.on_frame(frame(80))
    bench.tracks.begin_span(5.0, 4.0)
    pictures.on_frame(frame(100))
    by_sid = [(sink.track.sid, sink.numbers, sink.closed_at) for sink in bench.recorder.sinks]
    assert by_sid == [("TR_v", [60], [2.0]), ("TR_a", [], [2.0]), ("TR_v", [100], []), ("TR_a", [], [])]


def test_a_track_muted_between_two_spans_is_muted_in_the_next() -> None:
    bench = Bench()
    bench.tracks.publish(track("TR_a"), True, 0.0)
    bench.tracks.mute("TR_a", True, 1.0)
    bench.tracks.begin_span(0.0, 2.0)
    assert bench.sink.track.muted
    bench.tracks.mute("TR_a", False, 3.0)
    assert bench.recorder.said[-1] == ("unmuted", "TR_a", 3.0)


def test_an_unpublished_track_ends_and_stays_counted() -> None:
    bench = Bench()
    bench.tracks.begin_span(0.0, 0.0)
    bench.tracks.publish(track(), True, 0.0)
    pipe = bench.tracks.begin_media("TR_v", MediaKind.VIDEO, "PA_1", 0.0)
    pipe.on_frame(frame(1))
    bench.tracks.unpublish("TR_v", 3.0)
    pipe.on_frame(frame(2))
    assert bench.sink.closed_at == [3.0]
    assert bench.sink.numbers == [1]
    total = bench.tracks.reception()
    assert (total.video_frames, total.video_bytes, total.recorded_bytes, total.lost_packets) == (1, 4, 4, 1)
    bench.tracks.unpublish("TR_v", 4.0)
    bench.tracks.end_media("TR_v")
    assert bench.tracks.reception() == total


def test_a_cut_ends_every_track_and_asks_the_lost_connection_nothing_more() -> None:
    bench = Bench()
    bench.tracks.begin_span(0.0, 0.0)
    bench.tracks.publish(track(), True, 0.0)
    bench.tracks.begin_media("TR_v", MediaKind.VIDEO, "PA_1", 0.0).on_frame(frame(1))
    unannounced = bench.tracks.begin_media("TR_v2", MediaKind.VIDEO, "PA_1", 0.0)
    said = list(bench.uplink.said)
    bench.tracks.cut(3.0)
    bench.tracks.request_key_frames()
    unannounced.on_frame(frame(9))
    assert bench.sink.closed_at == [3.0]
    bench.tracks.uplink = bench.uplink
    bench.tracks.publish(track("TR_v9"), True, 4.0)
    pipe = bench.tracks.begin_media("TR_v9", MediaKind.VIDEO, "PA_9", 4.0)
    pipe.on_frame(frame(50))
    assert bench.uplink.said == [*said, ("subscribe", "TR_v9")]
    assert [sink.numbers for sink in bench.recorder.sinks] == [[1], [50]]
    assert bench.tracks.reception().video_frames == 2


@pytest.mark.parametrize(("low", "asked"), [(True, [("low", "TR_v")]), (False, [])])
def test_the_low_layer_is_chosen_for_pictures_only(low: bool, asked: list[tuple[str, str]]) -> None:
    bench = Bench(low_layer=low)
    bench.tracks.publish(track("TR_v"), True, 0.0)
    bench.tracks.publish(track("TR_a"), True, 0.0)
    assert bench.uplink.said == [("subscribe", "TR_v"), *asked, ("subscribe", "TR_a")]


def test_key_frames_are_asked_for_of_pictures_being_recorded() -> None:
    bench = Bench()
    bench.tracks.begin_span(0.0, 0.0)
    for sid, wanted in (("TR_v", True), ("TR_a", True), ("TR_v2", False)):
        bench.tracks.publish(track(sid), wanted, 0.0)
        bench.tracks.begin_media(sid, track(sid).kind, "PA_1", 0.0)
    bench.uplink.said.clear()
    bench.tracks.request_key_frames()
    assert bench.uplink.said == [("key frame", "TR_v")]


def test_what_nobody_announced_is_muted_and_wanted_without_effect() -> None:
    bench = Bench()
    bench.tracks.mute("TR_x", True, 0.0)
    bench.tracks.want("TR_x", True, 0.0)
    assert bench.recorder.said == []
    assert bench.uplink.said == []


def test_a_shared_screen_has_a_clock_of_its_own() -> None:
    """Its sound begins later than the microphone: it must not be put where that one's happens to lie."""
    bench = Bench()
    for sid, source in (("TR_a", Source.MICROPHONE), ("TR_as", Source.SCREEN_SHARE_AUDIO)):
        bench.tracks.publish(replace(track(sid), source=source), True, 0.0)
        bench.tracks.begin_media(sid, MediaKind.AUDIO, "PA_1", 0.0)
    bench.tracks.publish(replace(track("TR_vs"), source=Source.SCREEN_SHARE), True, 0.0)
    bench.tracks.begin_media("TR_vs", MediaKind.VIDEO, "PA_1", 0.0)
    senders = [pipe._track._sender for pipe in bench.tracks._pipes.values()]
    assert senders[0] is not senders[1]
    assert senders[1] is senders[2]
