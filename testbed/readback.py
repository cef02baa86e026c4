"""Reads a recorded file back: which pictures it shows when, and what sounds when."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import av
import av.logging
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.error import FFmpegError
from av.video.frame import VideoFrame

from testbed import picture, sound

MAX_PAIR_SECONDS = 0.5
"""A beep belongs to the flash nearest to it, if that is no further away."""


@dataclass(frozen=True, slots=True)
class Picture:
    seconds: float
    """From the file's zero."""
    width: int
    height: int
    counter: int | None
    """None where the picture shows no whole counter."""
    flash: bool


@dataclass(frozen=True, slots=True)
class Sync:
    """How much later the beeps come than their flashes; negative: earlier."""

    median_seconds: float
    worst_seconds: float
    pairs: int


@dataclass(frozen=True)
class Playback:
    """All that a file plays."""

    pictures: tuple[Picture, ...]
    samples: sound.Samples
    """Mono at 48 kHz; sample 0 is the first that plays."""
    sound_start_seconds: float
    sound_breaks: tuple[tuple[float, float], ...]
    """Where the time stamps of the sound jump by more than 2 ms: (at seconds, by seconds)."""
    decode_errors: tuple[str, ...]
    duration_seconds: float
    """As the container says; 0 where it does not."""
    codecs: tuple[str, ...]
    rotation: int
    """Of the container's display matrix, degrees clockwise."""

    @cached_property
    def counters(self) -> list[int]:
        return [one.counter for one in self.pictures if one.counter is not None]

    @property
    def missing_counters(self) -> list[int]:
        """Between the first picture and the last."""
        seen = set(self.counters)
        return [n for n in range(min(seen), max(seen)) if n not in seen] if seen else []

    @property
    def repeated_counters(self) -> list[int]:
        """Shown again, or after a later one."""
        pairs = zip(self.counters, self.counters[1:], strict=False)
        return [later for earlier, later in pairs if later <= earlier]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """In order of appearance, a change at a time."""
        found: list[tuple[int, int]] = []
        for one in self.pictures:
            if not found or found[-1] != (one.width, one.height):
                found.append((one.width, one.height))
        return found

    @property
    def sound_seconds(self) -> float:
        return len(self.samples) / sound.SAMPLE_RATE_HZ

    def tone_spans(self, hz: float) -> list[tuple[float, float]]:
        """When a tone sounds, in seconds from the file's zero."""
        spans = sound.spans(self.samples, hz)
        return [(start + self.sound_start_seconds, end + self.sound_start_seconds) for start, end in spans]

    @cached_property
    def beeps(self) -> list[float]:
        return [start + self.sound_start_seconds for start in sound.beep_starts(self.samples)]

    @property
    def flashes(self) -> list[float]:
        """When pictures turn bright, where the picture just before was seen dark."""
        return [
            later.seconds
            for earlier, later in zip(self.pictures, self.pictures[1:], strict=False)
            if later.flash
            and not earlier.flash
            and earlier.counter is not None
            and later.counter == earlier.counter + 1
        ]

    @property
    def offsets(self) -> list[float]:
        """Of each beep from its flash, in seconds."""
        found: list[float] = []
        for flash in self.flashes:
            nearest = min(self.beeps, key=lambda beep: abs(beep - flash), default=None)
            if nearest is not None and abs(nearest - flash) <= MAX_PAIR_SECONDS:
                found.append(nearest - flash)
        return found

    @property
    def sync(self) -> Sync | None:
        """None without a flash that has its beep."""
        if not (offsets := self.offsets):
            return None
        return Sync(statistics.median(offsets), max(offsets, key=abs), len(offsets))


def _picture(frame: VideoFrame, turn: int) -> Picture:
    luma = frame.to_ndarray(format="gray").astype(np.uint8, copy=False)
    reading = picture.read(np.rot90(luma, turn // 90))
    seconds = float(frame.time or 0.0)
    if reading is None:
        return Picture(seconds, frame.width, frame.height, None, False)
    return Picture(seconds, frame.width, frame.height, reading.counter, reading.flash)


class _Sound:
    def __init__(self) -> None:
        self._resampler = AudioResampler(format="flt", layout="mono", rate=sound.SAMPLE_RATE_HZ)
        self._parts: list[sound.Samples] = []
        self._expected_seconds: float | None = None
        self.start_seconds = 0.0
        self.breaks: list[tuple[float, float]] = []

    def add(self, frame: AudioFrame) -> None:
        seconds = float(frame.time or 0.0)
        if self._expected_seconds is None:
            self.start_seconds = seconds
        elif abs(seconds - self._expected_seconds) > 0.002:
            self.breaks.append((seconds, seconds - self._expected_seconds))
        self._expected_seconds = seconds + frame.samples / frame.sample_rate
        self._resample(frame)

    def _resample(self, frame: AudioFrame | None) -> None:
        self._parts += [np.asarray(part.to_ndarray()[0]) for part in self._resampler.resample(frame)]

    def samples(self) -> sound.Samples:
        if self._expected_seconds is not None:
            self._resample(None)
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)


def read_back(path: Path, turn: int = 0) -> Playback:
    """Decodes the whole file with PyAV. A packet that does not decode counts as an error, as does FFmpeg's own log.

    `turn`: degrees counter-clockwise to turn the pictures by before their counters are read.
    """
    pictures: list[Picture] = []
    heard = _Sound()
    errors: list[str] = []
    rotation = 0
    av.logging.set_level(av.logging.ERROR)
    with av.logging.Capture(local=True) as log, av.open(str(path)) as container:
        duration = container.duration / av.time_base if container.duration else 0.0
        codecs = tuple(stream.codec_context.name for stream in container.streams)
        for packet in container.demux():
            try:
                for frame in packet.decode():
                    if isinstance(frame, VideoFrame):
                        pictures.append(_picture(frame, turn))
                        rotation = -frame.rotation % 360
                    elif isinstance(frame, AudioFrame):
                        heard.add(frame)
            except FFmpegError as error:
                errors.append(f"at {packet.pts}: {error}")
    errors += [f"{name}: {message.strip()}" for level, name, message in log if level <= av.logging.ERROR]
    return Playback(
        pictures=tuple(pictures),
        samples=heard.samples(),
        sound_start_seconds=heard.start_seconds,
        sound_breaks=tuple(heard.breaks),
        decode_errors=tuple(errors),
        duration_seconds=duration,
        codecs=codecs,
        rotation=rotation,
    )
