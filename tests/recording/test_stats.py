"""The figures of every two seconds."""

from __future__ import annotations

import pytest

from channel_recorder import clock
from channel_recorder.handler import RecordingStats
from channel_recorder.recording.stats import StatsMeter
from channel_recorder.recording.tracks import Reception


def measure(meter: StatsMeter, reception: Reception, now: float) -> RecordingStats:
    return meter.measure(reception, now, duration_seconds=now - 10, user_count=2, open_files=3, dropped_frames=4)


def test_rates_are_of_the_time_since_the_last_measurement_and_sums_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = iter([1.0, 1.5, 1.5])
    monkeypatch.setattr(clock, "process_cpu_seconds", lambda: next(cpu))
    meter = StatsMeter(10.0)
    first = measure(meter, Reception(audio_bytes=8_000, video_bytes=250_000, recorded_bytes=200_000), 12.0)
    assert (first.received_audio_kbps, first.received_video_kbps, first.received_kbps) == (32, 1000, 1032)
    assert (first.received_bytes, first.written_bytes, first.cpu_percent) == (258_000, 200_000, 25.0)
    assert (first.user_count, first.open_files, first.dropped_frames, first.duration_seconds) == (3, 3, 4, 2.0)
    second = measure(meter, Reception(audio_bytes=8_000, video_bytes=500_000, lost_packets=5), 16.0)
    assert (second.received_audio_kbps, second.received_video_kbps) == (0, 500)
    assert (second.received_bytes, second.lost_packets, second.cpu_percent) == (508_000, 5, 0.0)


def test_two_measurements_at_one_instant_do_no_harm() -> None:
    meter = StatsMeter(10.0)
    assert measure(meter, Reception(), 10.0).received_kbps == 0


def test_receiving_means_frames_since_the_last_measurement() -> None:
    meter = StatsMeter(0.0)
    reception = Reception(audio_frames=5)
    assert meter.is_receiving(reception) == (True, False)
    measure(meter, reception, 2.0)
    assert meter.is_receiving(reception) == (False, False)
    assert meter.is_receiving(Reception(audio_frames=5, video_frames=1)) == (False, True)
