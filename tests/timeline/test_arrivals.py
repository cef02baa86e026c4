from __future__ import annotations

import pytest

from channel_recorder.timeline.arrivals import BLOCK_SECONDS, FIRST_BLOCK_SECONDS, FIRST_BLOCKS, Arrivals


def _lag(delays: list[float]) -> float:
    arrivals = Arrivals()
    for n, delay in enumerate(delays):
        arrivals.add(n * 48_000, n + delay)
    return arrivals.lag_seconds(1 / 48_000, 0.0)


def test_the_first_second_is_looked_at_closely():
    arrivals = Arrivals()
    lengths = [arrivals.add(n, n) for n in range(FIRST_BLOCKS + 5)]
    assert lengths[0] == FIRST_BLOCK_SECONDS
    assert lengths[-1] == BLOCK_SECONDS
    assert sum(lengths[: FIRST_BLOCKS - 1]) == pytest.approx(0.9)


def test_a_queue_of_20_seconds_is_not_taken_for_the_way():
    assert _lag([0.05] * 10 + [0.6] * 20) == pytest.approx(0.05)


def test_a_way_that_became_longer_is():
    assert _lag([0.05] * 10 + [0.6] * 30) == pytest.approx(0.6)


def test_a_few_packets_with_foreign_time_stamps_do_not_count():
    assert _lag([0.05] * 20 + [0.03] * 2) == pytest.approx(0.05)


def test_only_what_comes_now_counts_after_the_time_stamps_moved():
    arrivals = Arrivals()
    for n in range(9):
        arrivals.add(n * 48_000, n + (0.05 if n < 8 else 0.15))
    assert arrivals.newest_lag_seconds(1 / 48_000, 0.0) == pytest.approx(0.15)
    arrivals.keep_newest()
    assert arrivals.lag_seconds(1 / 48_000, 0.0) == pytest.approx(0.15)


def test_lags_are_told_against_any_line():
    arrivals = Arrivals()
    arrivals.add(48_000, 500.0)
    assert arrivals.lag_seconds(1 / 48_000, 400.0) == pytest.approx(99.0)
