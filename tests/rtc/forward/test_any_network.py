"""What subscribers may rely on, whatever the networks on both sides do."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rtc.forward.publisher import Publisher, Simulcast, layer
from tests.rtc.forward.stage import (
    Stage,
    assert_decodable,
    assert_once_and_in_order,
    assert_pictures_are_continuous,
    assert_times_are_true,
    delivered,
)
from tests.rtc.receive.test_loss import HOSTILE, REPAIRABLE, SEEDS, SEQUENCE_STARTS, TIMESTAMP_STARTS, sound
from tests.sim.network import NetworkConditions

SWITCHES = st.lists(st.tuples(st.floats(0.2, 1.5), st.integers(0, 2), st.booleans()), max_size=8)


@given(SEEDS, REPAIRABLE, REPAIRABLE, SEQUENCE_STARTS, TIMESTAMP_STARTS, st.sampled_from([0, 1, 7]))
@settings(deadline=None, max_examples=25)
def test_every_picture_arrives_once_and_in_order_where_losses_can_be_repaired(
    seed: int, up: NetworkConditions, down: NetworkConditions, sequence: int, timestamp: int, probe_interval: int
) -> None:
    if up.loss:
        probe_interval = 0  # nobody repeats padding
    stream = layer(
        "",
        frames=200,
        first_sequence=sequence,
        first_timestamp=timestamp,
        probe_interval=probe_interval,
        packets_per_frame=3,
    )
    stage = Stage(Publisher(stream, seed=seed), [Simulcast((stream,)).description], seed=seed, up=up)
    subscriber = stage.subscriber(down)
    subscriber.subscribe(stage.tracks["0"], "video", 0.0)
    stage.run(10.0)
    frames = delivered(stage.publisher, subscriber.collectors["video"])
    assert_once_and_in_order(frames)
    assert_decodable(frames)
    assert_times_are_true(frames, 0.0001)
    assert_pictures_are_continuous(subscriber.media_sent())
    # What was lost before the first key frame is not missed.
    assert frames[-1][2].number - frames[0][2].number == len(frames) - 1
    assert len(frames) > 150


@given(SEEDS, HOSTILE, HOSTILE, SWITCHES)
@settings(deadline=None, max_examples=30)
def test_whatever_is_lost_and_switched_every_picture_can_be_decoded(
    seed: int, up: NetworkConditions, down: NetworkConditions, switches: list[tuple[float, int, bool]]
) -> None:
    layers = tuple(layer(rid, frames=240) for rid in ("q", "h", "f"))
    stage = Stage(Publisher(*layers, seed=seed), [Simulcast(layers).description], seed=seed, up=up, back=down)
    subscriber = stage.subscriber(down, up)
    track = subscriber.subscribe(stage.tracks["0"], "video", 0.0)
    now = 0.0
    for wait_seconds, highest, paused in switches:
        now += wait_seconds
        stage.run(now)
        track.set_layer(highest)
        track.set_paused(paused)
    track.set_paused(False)
    stage.run(14.0)
    frames = delivered(stage.publisher, subscriber.collectors["video"])
    if frames:
        assert_decodable(frames)
        assert len({frame.data for frame, _, _ in frames}) == len(frames)
        for (before, _, _), (frame, _, _) in itertools.pairwise(frames):
            assert frame.timestamp > before.timestamp


@given(SEEDS, REPAIRABLE, SEQUENCE_STARTS, TIMESTAMP_STARTS, st.booleans())
@settings(deadline=None, max_examples=25)
def test_sound_arrives_whole_and_in_time(
    seed: int, conditions: NetworkConditions, sequence: int, timestamp: int, rtx: bool
) -> None:
    settings_ = sound(first_sequence=sequence, first_timestamp=timestamp, rtx=rtx)
    stage = Stage(Publisher(settings_, seed=seed), [settings_.description()], seed=seed, up=conditions)
    subscriber = stage.subscriber(conditions)
    subscriber.subscribe(stage.tracks["sound"], "sound", 0.0)
    stage.run(9.0)
    frames = delivered(stage.publisher, subscriber.collectors["sound"])
    assert_once_and_in_order(frames)
    assert_times_are_true(frames, 0.0001)
    assert frames[-1][2].number - frames[0][2].number == len(frames) - 1
    assert len(frames) > 250
