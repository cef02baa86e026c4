from __future__ import annotations

import itertools
import random

import pytest

from channel_recorder.timeline.sender_clock import SenderClock


def _report(clock: SenderClock, at_seconds: float, delay_seconds: float, ahead_seconds: float = 1000.0) -> None:
    clock.report(at_seconds + ahead_seconds, at_seconds + delay_seconds)


def _settled(until_seconds: int = 30) -> SenderClock:
    clock = SenderClock()
    for at in range(0, until_seconds, 3):
        _report(clock, at, 0.05)
    return clock


def test_nothing_is_known_before_the_first_report():
    assert SenderClock().offset_seconds is None


def test_the_least_delayed_report_counts():
    clock = _settled()
    for at in range(30, 60, 3):
        _report(clock, at, 0.3)
    assert clock.offset_seconds == pytest.approx(-999.95, abs=0.02), "500 ppm of the time of congestion"


@pytest.mark.parametrize("drift_ppm", [-300, 300])
def test_drift_is_followed_through_jitter(drift_ppm: int):
    clock, chance = SenderClock(), random.Random(7)
    for at in range(0, 1200, 3):
        ahead = 1000.0 + at * drift_ppm * 1e-6
        _report(clock, at, 0.05 + chance.random() * 0.03, ahead)
        if at > 120:
            assert clock.offset_seconds == pytest.approx(0.05 - ahead, abs=0.02)


def test_one_report_that_came_impossibly_soon_is_not_believed():
    clock = _settled()
    _report(clock, 30, -2.0)
    _report(clock, 33, 0.05)
    _report(clock, 36, -2.0)
    assert clock.offset_seconds == pytest.approx(-999.95, abs=0.001)


def test_reports_of_two_tracks_in_one_packet_do_not_confirm_each_other():
    clock = _settled()
    _report(clock, 30, -2.0)
    _report(clock, 30, -2.0)
    assert clock.offset_seconds == pytest.approx(-999.95, abs=0.001)
    _report(clock, 33, -2.0)
    assert clock.offset_seconds == pytest.approx(-1002.0, abs=0.001)


def test_a_way_that_became_much_longer_is_believed_after_a_while():
    clock = _settled()
    for at in range(30, 39, 3):
        _report(clock, at, 5.0 + at / 100)
    assert clock.offset_seconds == pytest.approx(-999.95, abs=0.001)
    for at in range(39, 60, 3):
        _report(clock, at, 5.0 + at / 100)
    assert clock.offset_seconds == pytest.approx(-994.7, abs=0.02)


def test_the_offset_glides_so_that_all_tracks_of_a_sender_can_follow():
    clock = SenderClock()
    _report(clock, 0, 0.09)
    offsets: list[float] = []
    for at in range(3, 90, 3):
        _report(clock, at, 0.05)
        assert clock.offset_seconds is not None
        offsets.append(clock.offset_seconds)
    assert max(before - after for before, after in itertools.pairwise(offsets)) <= 0.0031
    assert offsets[-1] == pytest.approx(-999.95, abs=0.001)


def test_a_clock_that_was_set_keeps_what_was_learned():
    clock = _settled(60)
    clock.step(7.0)
    assert clock.offset_seconds == pytest.approx(-1006.95, abs=0.001)
    for at in range(60, 90, 3):
        _report(clock, at, 0.05, ahead_seconds=1007.0)
    assert clock.offset_seconds == pytest.approx(-1006.95, abs=0.001)
