"""Encoded pictures and sound from real encoders, made once per test run."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from channel_recorder.model import Codec

FPS = 25
PACKET_SECONDS = 0.02

_ENCODERS = {
    Codec.VP8: ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    Codec.VP9: ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    Codec.H264: ("libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    Codec.H265: (
        "libx265",
        {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=none:repeat-headers=1:pools=1"},
    ),
    Codec.AV1: ("libsvtav1", {"preset": "12", "crf": "50", "svtav1-params": "pred-struct=1:lp=1"}),
}


@dataclass(frozen=True, slots=True)
class Picture:
    data: bytes
    key_frame: bool
    width: int
    height: int


@cache
def pictures(codec: Codec, count: int = 50, width: int = 64, height: int = 48, key_every: int = 25) -> list[Picture]:
    """`count` pictures whose brightness changes, a key frame every `key_every`."""
    name, options = _ENCODERS[codec]
    encoder = cast("VideoCodecContext", av.CodecContext.create(name, "w"))
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.gop_size = 10_000
    encoder.options = options
    packets = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(_grey(number, width, height), format="yuv420p")
        frame.pts = number
        if number % key_every == 0:
            frame.pict_type = PictureType.I
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [Picture(bytes(packet), packet.is_keyframe, width, height) for packet in packets]


def _grey(number: int, width: int, height: int) -> np.ndarray:
    return np.full((height * 3 // 2, width), 40 + number * 3 % 160, np.uint8)


@cache
def sound(
    seconds: float = 4.0, frequency_hz: float = 1000.0, packet_ms: int = 20, silent_seconds: float = 0.0
) -> list[bytes]:
    """Opus packets of a tone, of which the first `silent_seconds` are silent.

    A decoder that heard silence needs 100 ms to get as loud as an encoder that was loud all the time:
    to find a tone to the millisecond, it must begin in the packets.
    """
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = 48_000, "mono", "s16", 48_000
    encoder.options = {"application": "lowdelay", "frame_duration": str(packet_ms)}
    size = 48 * packet_ms
    tone = (np.sin(2 * np.pi * frequency_hz * np.arange(int(seconds * 48_000)) / 48_000) * 8000).astype(np.int16)
    tone[: int(silent_seconds * 48_000)] = 0
    packets = []
    for start in range(0, len(tone) - size + 1, size):
        frame = av.AudioFrame.from_ndarray(tone[None, start : start + size], "s16", "mono")
        frame.sample_rate, frame.pts = 48_000, start
        packets += encoder.encode(frame)
    return [bytes(packet) for packet in packets][: len(tone) // size]
