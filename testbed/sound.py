"""Tones and beeps: made for the synthetic participants, found again in what was recorded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 48_000
BEEP_HZ = 3_000
BEEP_SECONDS = 0.1
"""A beep begins with each whole second, together with the flash of the picture."""
TONE_LEVEL, BEEP_LEVEL = 0.2, 0.4
AUDIBLE = 0.05
"""Level, of full scale, from which a tone counts as there."""
ENVELOPE_WINDOW_SECONDS = 0.005
LISTEN_SAMPLES = 8192
"""Of a live sound, to tell its tone: its frequency to 6 Hz."""
MERGE_GAP_SECONDS = 0.045
"""Shorter breaks of a tone are no breaks: a lost packet that the decoder concealed, an encoder's ripple."""

Samples = NDArray[np.float32]


def _seconds(start_sample: int, count: int) -> NDArray[np.float64]:
    return np.arange(start_sample, start_sample + count, dtype=np.float64) / SAMPLE_RATE_HZ


def tone(start_sample: int, count: int, hz: float) -> NDArray[np.float64]:
    return TONE_LEVEL * np.sin(2 * np.pi * hz * _seconds(start_sample, count))


def voice(start_sample: int, count: int, hz: float) -> NDArray[np.float64]:
    """Vowel-like: a few harmonics, opened and closed four times a second."""
    seconds = _seconds(start_sample, count)
    mouth = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * seconds)
    partials = [np.sin(2 * np.pi * hz * n * seconds) / n for n in range(1, 6)]
    return TONE_LEVEL * mouth * np.sum(partials, axis=0)


def beeps(start_sample: int, count: int) -> NDArray[np.float64]:
    seconds = _seconds(start_sample, count)
    return np.where(seconds % 1 < BEEP_SECONDS, BEEP_LEVEL * np.sin(2 * np.pi * BEEP_HZ * seconds), 0.0)


def pcm16(samples: NDArray[np.float64]) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def envelope(samples: Samples, hz: float, window_seconds: float = ENVELOPE_WINDOW_SECONDS) -> Samples:
    """Level of one frequency over time, a value for each sample: down to base band, then a moving average."""
    if not len(samples):
        return samples
    window = max(1, round(window_seconds * SAMPLE_RATE_HZ))
    phase = np.exp(-2j * np.pi * hz / SAMPLE_RATE_HZ * np.arange(len(samples)))
    sums = np.cumsum(np.concatenate([np.zeros(window // 2), samples * phase, np.zeros(window - window // 2)]))
    return (2 / window * np.abs(sums[window:] - sums[:-window])).astype(np.float32)


def spans(samples: Samples, hz: float, threshold: float = AUDIBLE) -> list[tuple[float, float]]:
    """When a tone sounds, as (start, end) in seconds. A tone of `hz` shorter than 20 ms is no tone."""
    audible = np.concatenate([[False], envelope(samples, hz, 0.02) > threshold, [False]])
    edges = np.flatnonzero(np.diff(audible.astype(np.int8))) / SAMPLE_RATE_HZ
    found: list[tuple[float, float]] = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if found and start - found[-1][1] < MERGE_GAP_SECONDS:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return [(start, end) for start, end in found if end - start >= 0.02]


def beep_starts(samples: Samples) -> list[float]:
    """Seconds at which beeps begin, to about a millisecond: where the level passes half of its height."""
    level = envelope(samples, BEEP_HZ)
    loud = np.concatenate([[False], level > BEEP_LEVEL / 2])
    starts = np.flatnonzero(np.diff(loud.astype(np.int8)) == 1) / SAMPLE_RATE_HZ
    found: list[float] = []
    for start in starts.tolist():
        if not found or start - found[-1] > 0.5:
            found.append(start)
    return found


def loudest_hz(samples: Samples) -> float:
    """The loudest frequency well below the beeps; 0 where none is audible."""
    window = np.hanning(len(samples))
    levels = 2 / window.sum() * np.abs(np.fft.rfft(samples * window))
    spacing_hz = SAMPLE_RATE_HZ / len(samples)
    first, end = round(100 / spacing_hz), round(BEEP_HZ / 2 / spacing_hz)
    loudest = first + int(np.argmax(levels[first:end]))
    return loudest * spacing_hz if levels[loudest] > AUDIBLE else 0.0
