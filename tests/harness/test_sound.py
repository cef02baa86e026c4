"""Tones and beeps are found where they were put, also after Opus at a low bitrate."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from testbed import sound
from testbed.readback import read_back

Make = Callable[[int, int, float], NDArray[np.float64]]


def heard(seconds: float, hz: float = 440, has_beeps: bool = True) -> sound.Samples:
    count = round(seconds * sound.SAMPLE_RATE_HZ)
    samples = sound.tone(0, count, hz) + (sound.beeps(0, count) if has_beeps else 0)
    return samples.astype(np.float32)


def silence(seconds: float) -> sound.Samples:
    return np.zeros(round(seconds * sound.SAMPLE_RATE_HZ), np.float32)


@pytest.mark.parametrize("start_seconds", [0.0, 0.25, 0.4321])
def test_beeps_are_found_to_the_millisecond(start_seconds: float) -> None:
    samples = np.concatenate([silence(start_seconds), heard(3)])
    assert sound.beep_starts(samples) == pytest.approx([start_seconds + n for n in range(3)], abs=0.001)


def test_a_pause_of_a_tone_is_found() -> None:
    samples = np.concatenate([heard(2), silence(0.5), heard(1)])
    assert np.array(sound.spans(samples, 440)) == pytest.approx(np.array([(0, 2), (2.5, 3.5)]), abs=0.02)


def test_a_lost_packet_of_sound_is_found_where_it_was_not_concealed() -> None:
    samples = heard(1)
    samples[24_000 : 24_000 + 2 * 960 + 960] = 0
    assert len(sound.spans(samples, 440)) == 2


def test_another_tone_is_not_heard() -> None:
    assert sound.spans(heard(2, 440), 500) == []
    assert sound.beep_starts(heard(2, 440, has_beeps=False)) == []


def test_nothing_is_heard_in_silence_or_in_nothing() -> None:
    assert sound.spans(silence(1), 440) == []
    assert sound.beep_starts(silence(0)) == []


@pytest.mark.parametrize("make", [sound.tone, sound.voice], ids=["tone", "voice"])
def test_beeps_survive_opus_at_24_kbps(tmp_path: Path, make: Make) -> None:
    count = 4 * sound.SAMPLE_RATE_HZ
    write_opus(tmp_path / "beeps.ogg", make(0, count, 180) + sound.beeps(0, count), 24_000)
    assert read_back(tmp_path / "beeps.ogg").beeps == pytest.approx([0, 1, 2, 3], abs=0.010)


def write_opus(path: Path, samples: NDArray[np.float64], bit_rate: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libopus", sound.SAMPLE_RATE_HZ, layout="mono")
        stream.bit_rate = bit_rate
        for start in range(0, len(samples), 960):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 960].astype(np.float32), "flt", "mono")
            frame.sample_rate, frame.pts = sound.SAMPLE_RATE_HZ, start
            frame.time_base = Fraction(1, sound.SAMPLE_RATE_HZ)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("hz", [180, 440, 1200])
def test_the_tone_of_a_live_sound_is_told_beside_its_beep(hz: float) -> None:
    heard = sound.tone(0, sound.LISTEN_SAMPLES, hz) + sound.beeps(0, sound.LISTEN_SAMPLES)
    assert sound.loudest_hz(heard.astype(np.float32)) == pytest.approx(hz, abs=6)


def test_silence_has_no_tone() -> None:
    assert sound.loudest_hz(np.zeros(sound.LISTEN_SAMPLES, np.float32)) == 0
