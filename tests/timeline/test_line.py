from __future__ import annotations

import random

import pytest

from channel_recorder.timeline.line import ReportLine

RATE_HZ = 48_000


def _line(reports: int, *, drift_ppm: float = 0.0, late_seconds: float = 0.0, seed: int = 1) -> ReportLine:
    """Every 3 s a report, up to `late_seconds` too late. True NTP time is 1000 + time stamp / rate, and the drift."""
    line, chance = ReportLine(RATE_HZ), random.Random(seed)
    for n in range(reports):
        line.add(n * 3 * RATE_HZ, 1000 + n * 3 * (1 + drift_ppm * 1e-6) + chance.random() * late_seconds)
    return line


def _error(line: ReportLine, at_seconds: float, drift_ppm: float = 0.0) -> float:
    return line.ntp_seconds(round(at_seconds * RATE_HZ)) - (1000 + at_seconds * (1 + drift_ppm * 1e-6))


def test_one_report_is_believed():
    assert _error(_line(1), 5.0) == pytest.approx(0.0, abs=1e-6)


def test_the_least_late_report_counts():
    line = ReportLine(RATE_HZ)
    for at, late in ((0, 0.02), (3, 0.0), (6, 0.047), (9, 0.031)):
        line.add(at * RATE_HZ, 1000.0 + at + late)
    assert _error(line, 10.0) == pytest.approx(0.0, abs=0.004)


@pytest.mark.parametrize("seed", range(20))
def test_noise_of_50_ms_feigns_no_drift(seed: int):
    for reports in (10, 22, 40, 100):
        line = _line(reports, late_seconds=0.05, seed=seed)
        assert line.seconds_per_tick * RATE_HZ == pytest.approx(1.0, abs=2e-4 if reports < 40 else 1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_noise_of_50_ms_leaves_little_error_after_a_minute(seed: int):
    line = _line(22, late_seconds=0.05, seed=seed)
    assert -0.005 < _error(line, 63.0) < 0.025


@pytest.mark.parametrize("drift_ppm", [-300, 300])
def test_drift_is_followed_before_it_is_measured(drift_ppm: int):
    for reports in (3, 8, 20):
        assert _error(_line(reports, drift_ppm=drift_ppm), reports * 3.0, drift_ppm) == pytest.approx(0.0, abs=0.002)


@pytest.mark.parametrize("drift_ppm", [-300, 300])
def test_drift_is_measured_after_a_while(drift_ppm: int):
    line = _line(60, drift_ppm=drift_ppm, late_seconds=0.005)
    assert line.seconds_per_tick * RATE_HZ - 1 == pytest.approx(drift_ppm * 1e-6, abs=5e-5)


def test_a_clock_that_was_set_moves_the_line():
    line = _line(10)
    line.move_ntp(7.0)
    assert _error(line, 30.0) == pytest.approx(7.0, abs=1e-6)
    line.add(30 * RATE_HZ, 1037.0)
    assert _error(line, 30.0) == pytest.approx(7.0, abs=1e-6)


def test_reports_before_the_first_packet_are_brought_into_its_cycle():
    line = _line(2)
    line.unwrap_near(5 * 2**32 + 6 * RATE_HZ)
    assert line.ntp_seconds(5 * 2**32 + 6 * RATE_HZ) == pytest.approx(1006.0, abs=0.01)
