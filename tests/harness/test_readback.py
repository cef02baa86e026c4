"""A file with known faults: the readback tells each of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from testbed import sound
from testbed.looks import plain
from testbed.picture import FLASH_SECONDS
from testbed.readback import Playback, read_back

FPS = 15


def write_clip(
    path: Path,
    counters: list[int],
    *,
    sound_delay_seconds: float = 0.0,
    sound_hole: tuple[float, float] | None = None,
) -> Path:
    """Picture n lies at its counter's time; the sound may be late, or miss a span of time."""
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "tune": "zerolatency"}
        video = container.add_stream("libx264", FPS, options=options)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        audio = container.add_stream("libopus", sound.SAMPLE_RATE_HZ, layout="mono")
        look = plain(320, 240)
        for number, counter in enumerate(counters):
            picture = np.frombuffer(look(counter, counter / FPS, counter / FPS % 1 < FLASH_SECONDS), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture.reshape(360, 320), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for frame in sound_frames(len(counters) / FPS, sound_delay_seconds, sound_hole):
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


def sound_frames(seconds: float, delay: float, hole: tuple[float, float] | None) -> list[av.AudioFrame]:
    frames: list[av.AudioFrame] = []
    shift = round(delay * sound.SAMPLE_RATE_HZ)
    for start in range(0, round(seconds * sound.SAMPLE_RATE_HZ), 960):
        if hole and hole[0] <= start / sound.SAMPLE_RATE_HZ < hole[1]:
            continue
        samples = sound.tone(start - shift, 960, 440) + sound.beeps(start - shift, 960)
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), "flt", "mono")
        frame.sample_rate, frame.pts = sound.SAMPLE_RATE_HZ, start
        frame.time_base = Fraction(1, sound.SAMPLE_RATE_HZ)
        frames.append(frame)
    return frames


def clip(tmp_path: Path, counters: list[int], **faults: Any) -> Playback:
    return read_back(write_clip(tmp_path / "clip.mp4", counters, **faults))


def test_a_clip_without_fault(tmp_path: Path) -> None:
    playback = clip(tmp_path, list(range(60)))
    assert playback.counters == list(range(60))
    assert (playback.missing_counters, playback.repeated_counters) == ([], [])
    assert playback.sizes == [(320, 240)]
    assert playback.decode_errors == ()
    assert playback.sound_breaks == ()
    assert playback.sound_seconds == pytest.approx(4, abs=0.03)
    assert playback.flashes == pytest.approx([1, 2, 3])
    assert playback.codecs == ("h264", "opus")


@pytest.mark.parametrize("delay", [0.0, 0.030, 0.120, 0.450])
def test_late_sound_is_measured(tmp_path: Path, delay: float) -> None:
    sync = clip(tmp_path, list(range(90)), sound_delay_seconds=delay).sync
    assert sync is not None
    assert sync.pairs == 5
    assert sync.median_seconds == pytest.approx(delay, abs=0.008)
    assert sync.worst_seconds == pytest.approx(delay, abs=0.008)


def test_missing_and_repeated_pictures_are_told(tmp_path: Path) -> None:
    playback = clip(tmp_path, [*range(10), *range(12, 20), 19, *range(20, 30)])
    assert playback.missing_counters == [10, 11]
    assert playback.repeated_counters == [19]


def test_a_hole_in_the_sound_is_told(tmp_path: Path) -> None:
    (hole,) = clip(tmp_path, list(range(45)), sound_hole=(1.5, 2.0)).sound_breaks
    assert hole == pytest.approx((2.0, 0.5), abs=0.03)


def test_broken_pictures_are_told(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", list(range(45)))
    data = bytearray(path.read_bytes())
    start = data.find(b"mdat") + 3_000
    data[start : start + 20_000] = bytes(byte ^ 0x55 for byte in data[start : start + 20_000])
    path.write_bytes(data)
    assert read_back(path).decode_errors != ()
