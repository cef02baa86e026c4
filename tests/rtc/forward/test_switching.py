"""Simulcast: which layer a subscriber gets, and that joined layers are one stream."""

from __future__ import annotations

import itertools

from tests.rtc.forward.publisher import Publisher, Simulcast, layer
from tests.rtc.forward.stage import (
    Stage,
    Subscriber,
    assert_decodable,
    assert_no_number_is_missing,
    assert_once_and_in_order,
    assert_pictures_are_continuous,
    assert_times_are_true,
    delivered,
)
from tests.sim.network import CELLULAR, PERFECT, WIFI_LOSSY, NetworkConditions


def simulcast(seed: int = 1, frames: int = 300, **changes: dict[str, object]) -> tuple[Publisher, Simulcast]:
    layers = tuple(layer(rid, **({"frames": frames} | changes.get(rid, {}))) for rid in ("f", "h", "q"))
    return Publisher(*layers, seed=seed), Simulcast(layers)


def assert_one_stream(publisher: Publisher, subscriber: Subscriber, tolerance_seconds: float = 0.034) -> list[str]:
    """The rids of the pictures."""
    frames = delivered(publisher, subscriber.collectors["video"])
    assert_once_and_in_order(frames)
    assert_decodable(frames)
    assert_times_are_true(frames, tolerance_seconds)
    assert_pictures_are_continuous(subscriber.media_sent())
    return [rid for _, rid, _ in frames]


def runs(rids: list[str]) -> list[str]:
    return [rid for index, rid in enumerate(rids) if not index or rid != rids[index - 1]]


def test_the_highest_layer_is_forwarded_as_soon_as_it_comes() -> None:
    publisher, track = simulcast()
    stage = Stage(publisher, [track.description])
    subscriber = stage.subscriber()
    down = subscriber.subscribe(stage.tracks["0"], "video", 0.0)
    assert down.layer is None
    stage.run(12.0)
    rids = assert_one_stream(publisher, subscriber)
    assert runs(rids)[-1] == "f"
    assert rids.count("f") >= 299
    assert down.layer == 2
    assert_no_number_is_missing(subscriber.media_sent())


def test_a_subscriber_goes_down_and_up_at_key_frames() -> None:
    publisher, track = simulcast()
    stage = Stage(publisher, [track.description])
    subscriber = stage.subscriber()
    down = subscriber.subscribe(stage.tracks["0"], "video", 0.0)
    for until, highest in ((2.0, 0), (4.0, 1), (6.0, 2), (8.0, 0)):
        stage.run(until)
        down.set_layer(highest)
    stage.run(12.0)
    rids = assert_one_stream(publisher, subscriber, tolerance_seconds=0.001)
    assert runs(rids)[-5:] == ["f", "q", "h", "f", "q"]
    assert len(rids) >= 299
    assert_no_number_is_missing(subscriber.media_sent())


def test_the_old_layer_goes_on_until_the_key_frame_of_the_new_one() -> None:
    """The publisher takes no requests, its key frames come every second."""
    silent: dict[str, object] = {"answers_key_frame_requests": False, "key_interval": 30}
    publisher, track = simulcast(q=silent, h=silent, f=silent)
    stage = Stage(publisher, [track.description])
    subscriber = stage.subscriber()
    down = subscriber.subscribe(stage.tracks["0"], "video", 0.0)
    stage.run(2.5)
    down.set_layer(0)
    stage.run(2.9)
    assert down.layer == 2
    stage.run(12.0)
    rids = assert_one_stream(publisher, subscriber)
    assert runs(rids)[-2:] == ["f", "q"]
    assert len(rids) >= 299


def test_a_layer_that_falls_silent_is_replaced_and_comes_back() -> None:
    publisher, track = simulcast(f={"silent": ((3.0, 6.0),)})
    stage = Stage(publisher, [track.description])
    subscriber = stage.subscriber()
    down = subscriber.subscribe(stage.tracks["0"], "video", 0.0)
    stage.run(4.0)
    assert down.layer == 1
    stage.run(12.0)
    rids = assert_one_stream(publisher, subscriber, tolerance_seconds=0.001)
    assert runs(rids)[-3:] == ["f", "h", "f"]
    frames = delivered(publisher, subscriber.collectors["video"])
    pauses = [b.arrival_seconds - a.arrival_seconds for (a, _, _), (b, _, _) in itertools.pairwise(frames)]
    assert max(pauses) < 1.0


def test_only_the_lowest_layer_is_left_above_the_wanted_one() -> None:
    """A publisher without the layers that a subscriber is limited to sends what it has."""
    publisher, track = simulcast(q={"silent": ((0.0, 20.0),)})
    stage = Stage(publisher, [track.description])
    subscriber = stage.subscriber()
    down = subscriber.subscribe(stage.tracks["0"], "video", 0.0)
    down.set_layer(0)
    stage.run(3.0)
    assert down.layer == 1
    assert runs(assert_one_stream(publisher, subscriber))[-1] == "h"


def test_layers_are_ordered_by_name_and_else_as_offered() -> None:
    publisher, track = simulcast()
    stage = Stage(publisher, [track.description])
    assert [each.rid for each in stage.tracks["0"].layers] == ["q", "h", "f"]
    others = tuple(layer(rid, ssrc=0x300 + index, rtx_ssrc=0x400 + index) for index, rid in enumerate(("lo", "hi")))
    stage = Stage(Publisher(*others), [Simulcast(others).description])
    assert [each.rid for each in stage.tracks["0"].layers] == ["lo", "hi"]


def test_a_paused_track_sends_nothing_and_goes_on_with_a_key_frame() -> None:
    publisher, track = simulcast()
    stage = Stage(publisher, [track.description])
    subscriber = stage.subscriber()
    down = subscriber.subscribe(stage.tracks["0"], "video", 0.0)
    stage.run(2.0)
    down.set_paused(True)
    assert down.layer is None
    before = len(subscriber.sent)
    stage.run(5.0)
    assert len(subscriber.sent) == before
    down.set_paused(False)
    stage.run(12.0)
    rids = assert_one_stream(publisher, subscriber, tolerance_seconds=0.001)
    assert runs(rids)[-1] == "f"
    assert_no_number_is_missing(subscriber.media_sent())
    frames = delivered(publisher, subscriber.collectors["video"])
    resumed = next(sent for frame, _, sent in frames if frame.arrival_seconds > 5.0)
    assert resumed.key_frame
    assert resumed.sent_seconds < 5.2


def test_time_stamps_follow_arrival_before_reports_come() -> None:
    publisher, track = simulcast()
    publisher._report_seconds = 1e9  # pyright: ignore[reportPrivateUsage]
    stage = Stage(publisher, [track.description])
    subscriber = stage.subscriber()
    down = subscriber.subscribe(stage.tracks["0"], "video", 0.0)
    for until, highest in ((2.0, 0), (4.0, 2), (6.0, 1)):
        stage.run(until)
        down.set_layer(highest)
    stage.run(12.0)
    assert_one_stream(publisher, subscriber, tolerance_seconds=0.034)


def test_time_stamps_stay_true_over_many_switches_on_a_network_that_jitters() -> None:
    """By reports they don't depend on arrival: no switch adds to the error of the ones before."""
    publisher, track = simulcast(frames=1800)
    stage = Stage(publisher, [track.description], up=NetworkConditions(delay_seconds=0.05, jitter_seconds=0.08))
    subscriber = stage.subscriber()
    down = subscriber.subscribe(stage.tracks["0"], "video", 0.0)
    for second in range(2, 60):
        stage.run(float(second))
        down.set_layer(second % 3)
    stage.run(65.0)
    rids = assert_one_stream(publisher, subscriber, tolerance_seconds=0.1)
    assert len(runs(rids)) > 50
    frames = delivered(publisher, subscriber.collectors["video"])
    first, _, first_sent = next(each for each in frames if each[0].arrival_seconds > 2.0)
    for frame, _, sent in frames[200:]:
        seconds = (frame.timestamp - first.timestamp) / 90_000
        assert abs(seconds - (sent.sent_seconds - first_sent.sent_seconds)) < 0.034


def test_a_publisher_that_restarts_is_one_stream_with_what_it_sent_before() -> None:
    """The encoder was made anew: the same m-line, another SSRC, other counters."""
    before, after = layer("f", frames=90), layer("f", frames=90, start_seconds=4.0, ssrc=0x177, rtx_ssrc=0x277)
    after.first_sequence, after.first_timestamp, after.first_picture_id = 7, 99, 5
    publisher = Publisher(before, after)
    stage = Stage(publisher, [Simulcast((before,)).description])
    subscriber = stage.subscriber()
    subscriber.subscribe(stage.tracks["0"], "video", 0.0)
    stage.run(10.0)
    frames = delivered(publisher, subscriber.collectors["video"])
    assert len(frames) == 180
    assert_once_and_in_order(frames)
    assert_decodable(frames)
    assert_times_are_true(frames, 0.034)
    assert_pictures_are_continuous(subscriber.media_sent())
    assert_no_number_is_missing(subscriber.media_sent())
    assert subscriber.collectors["video"].restarts == 0


def test_switches_are_clean_on_bad_networks() -> None:
    for conditions in (WIFI_LOSSY, CELLULAR):
        publisher, track = simulcast(seed=3, frames=900)
        stage = Stage(publisher, [track.description], seed=3, up=conditions, back=conditions)
        subscribers = [stage.subscriber(down, up) for down, up in ((PERFECT, PERFECT), (conditions, conditions))]
        downs = [each.subscribe(stage.tracks["0"], "video", 0.0) for each in subscribers]
        for second in range(2, 30):
            stage.run(float(second))
            for index, down in enumerate(downs):
                down.set_layer((second + index) % 3)
        stage.run(35.0)
        for subscriber in subscribers:
            frames = delivered(publisher, subscriber.collectors["video"])
            assert_once_and_in_order(frames, behind_seconds=0.11)
            assert_decodable(frames)
            assert_times_are_true(frames, 0.15)
            assert len(frames) > 700
            assert {rid for _, rid, _ in frames} == {"q", "h", "f"}
