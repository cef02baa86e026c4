"""Reads a recorded file back, as another program would."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import av
import numpy as np


@dataclass
class Stream:
    codec: str
    pts_seconds: list[float] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    packets: list[bytes] = field(default_factory=list)
    key_frames: int = 0

    @property
    def end_seconds(self) -> float:
        return self.pts_seconds[-1] + self.durations[-1]

    @property
    def holes(self) -> list[float]:
        """Distances between the end of a packet and the next one that are no rounding."""
        ends = [pts + duration for pts, duration in zip(self.pts_seconds, self.durations, strict=True)]
        distances = [start - end for end, start in zip(ends[:-1], self.pts_seconds[1:], strict=True)]
        return [distance for distance in distances if abs(distance) > 0.0015]

    @property
    def increases(self) -> bool:
        return all(later > earlier for earlier, later in pairwise(self.pts_seconds))


@dataclass
class Playback:
    video: Stream | None = None
    audio: Stream | None = None


def read(path: Path) -> Playback:
    """Every packet of a file."""
    playback = Playback()
    with av.open(str(path)) as container:
        for stream in container.streams:
            name = stream.codec_context.codec.canonical_name
            setattr(playback, stream.type, Stream(name))
        for packet in container.demux():
            if packet.pts is None:
                continue
            stream = getattr(playback, packet.stream.type)
            stream.pts_seconds.append(float(packet.pts * packet.time_base))
            stream.durations.append(float((packet.duration or 0) * packet.time_base))
            stream.packets.append(bytes(packet))
            stream.key_frames += packet.is_keyframe
    return playback


def decoded_pictures(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def decoded_sound(path: Path) -> np.ndarray:
    """The first channel at 48 kHz, in the order it is played, without regard to time stamps."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=48_000)
    with av.open(str(path)) as container:
        chunks = [out.to_ndarray()[0] for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate(chunks)


def loud_span(samples: np.ndarray) -> tuple[float, float]:
    """Seconds from the first to the last loud sample."""
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() * 0.3)
    return loud[0] / 48_000, (loud[-1] + 1) / 48_000
