"""Pictures that freeze are noticed, and asked for again."""

from __future__ import annotations

from channel_recorder.model import MediaKind
from channel_recorder.recording.frozen import FrozenWatch, Remedy
from tests.recording.test_tracks import Bench, frame, track


def asked(watch: FrozenWatch, frames: int, since: int, until: int) -> list[tuple[int, Remedy]]:
    looks = ((now, watch.look(frames, float(now))) for now in range(since, until))
    return [(now, remedy) for now, remedy in looks if remedy is not None]


def test_a_key_frame_is_asked_for_then_the_track_anew_ever_more_rarely() -> None:
    assert asked(FrozenWatch(), 10, 0, 200) == [
        (3, Remedy.KEY_FRAME),
        (8, Remedy.SUBSCRIPTION),
        (18, Remedy.SUBSCRIPTION),
        (38, Remedy.SUBSCRIPTION),
        (78, Remedy.SUBSCRIPTION),
        (138, Remedy.SUBSCRIPTION),
        (198, Remedy.SUBSCRIPTION),
    ]


def test_pictures_that_come_are_left_alone() -> None:
    watch = FrozenWatch()
    assert all(watch.look(now // 2, float(now)) is None for now in range(100))


def test_a_still_picture_that_answers_is_asked_again_only() -> None:
    watch = FrozenWatch()
    assert asked(watch, 1, 0, 5) == [(3, Remedy.KEY_FRAME)]
    assert asked(watch, 2, 5, 12) == [(8, Remedy.KEY_FRAME)]


def test_a_frozen_track_is_subscribed_to_anew_and_recorded_on() -> None:
    bench = Bench()
    bench.tracks.begin_span(0.0, 0.0)
    bench.tracks.publish(track(), True, 0.0)
    pipe = bench.tracks.begin_media("TR_v", MediaKind.VIDEO, "PA_1", 0.0)
    pipe.on_frame(frame(1))
    told = [(now, each) for now in range(10) for each in bench.tracks.advance(float(now))]
    assert told == [(3, ("TR_v", Remedy.KEY_FRAME)), (8, ("TR_v", Remedy.SUBSCRIPTION))]
    assert bench.uplink.said[1:] == [("key frame", "TR_v"), ("unsubscribe", "TR_v"), ("subscribe", "TR_v")]
    bench.tracks.end_media("TR_v")
    bench.tracks.begin_media("TR_v", MediaKind.VIDEO, "PA_1", 9.0).on_frame(frame(2))
    assert bench.sink.numbers == [1, 2]
    assert bench.sink.closed_at == []


def test_nothing_is_asked_for_while_nothing_is_to_be_expected() -> None:
    """Muted, sound, excluded, or before the media is there; after that the time counts anew."""
    bench = Bench()
    bench.tracks.begin_span(0.0, 0.0)
    for sid, wanted in (("TR_v1", True), ("TR_v2", False), ("TR_v3", True), ("TR_a", True)):
        bench.tracks.publish(track(sid), wanted, 0.0)
    for sid, kind in (("TR_v1", MediaKind.VIDEO), ("TR_v2", MediaKind.VIDEO), ("TR_a", MediaKind.AUDIO)):
        bench.tracks.begin_media(sid, kind, "PA_1", 0.0)
    bench.tracks.mute("TR_v1", True, 0.0)
    assert [bench.tracks.advance(float(now)) for now in range(60)] == [[]] * 60
    bench.tracks.mute("TR_v1", False, 60.0)
    assert [bench.tracks.advance(float(now)) for now in range(60, 63)] == [[]] * 3
    assert bench.tracks.advance(63.0) == [("TR_v1", Remedy.KEY_FRAME)]
