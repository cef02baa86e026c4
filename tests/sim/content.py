"""What the people of a simulated call send: real pictures and packets of sound that tell their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from typing import cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from channel_recorder.codecs.annexb import nal_units
from channel_recorder.model import Codec

_BITS = 16
_COLUMNS = 8
_DARK, _LIGHT = 32, 222
_VP8_DESCRIPTOR = b"\x80\x80"
_VP8_START = 0x10
_FU_A, _FU_START, _FU_END = 28, 0x80, 0x40
LOOP_SECONDS = 12
"""So long is the sound until its packets begin anew: numbers are told apart by where they lie."""

_ENCODERS = {
    Codec.VP8: ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    Codec.H264: ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1"}),
}


class NumberedPictures:
    """A camera before a board of 16 lamps that shows the number of the picture."""

    def __init__(self, codec: Codec, width: int = 64, height: int = 48) -> None:
        name, options = _ENCODERS[codec]
        encoder = cast("VideoCodecContext", av.CodecContext.create(name, "w"))
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base, encoder.framerate = Fraction(1, 15), Fraction(15)
        encoder.gop_size, encoder.thread_count = 1_000_000, 1
        encoder.options = options
        self._encoder = encoder
        self._size = width, height

    def encode(self, number: int, key_frame: bool) -> bytes:
        width, height = self._size
        planes = np.full((height * 3 // 2, width), 128, np.uint8)
        lamps = np.array([number >> bit & 1 for bit in range(_BITS)], np.uint8).reshape(-1, _COLUMNS)
        planes[:height] = np.kron(lamps * (_LIGHT - _DARK) + _DARK, np.ones((height // 2, width // _COLUMNS), np.uint8))
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = number
        if key_frame:
            frame.pict_type = PictureType.I
        (packet,) = self._encoder.encode(frame)
        return bytes(packet)


def number_shown(frame: av.VideoFrame) -> int:
    """What a decoded picture says. Raises `ValueError` for one whose lamps are neither dark nor light."""
    luma = frame.to_ndarray(format="gray")
    height, width = luma.shape
    rows, columns = height // 2, width // _COLUMNS
    lamps = luma.reshape(2, rows, _COLUMNS, columns).mean(axis=(1, 3)).ravel()
    if np.any(np.abs(lamps - (_DARK + _LIGHT) / 2) < (_LIGHT - _DARK) / 6):
        raise ValueError(f"a picture is smeared: lamps at {lamps}")
    return sum(1 << bit for bit, lamp in enumerate(lamps) if lamp > (_DARK + _LIGHT) / 2)


@cache
def sound_loop(packet_ms: int) -> list[bytes]:
    """Real Opus packets, no two alike: noise over a tone."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = 48_000, "mono", "s16", 24_000
    encoder.options = {"frame_duration": str(packet_ms)}
    size = 48 * packet_ms
    times = np.arange(LOOP_SECONDS * 48_000) / 48_000
    noise = np.random.default_rng(1).normal(0, 2000, len(times))
    samples = (np.sin(2 * np.pi * 440 * times) * 6000 + noise).astype(np.int16)
    packets = []
    for start in range(0, len(samples), size):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + size], "s16", "mono")
        frame.sample_rate, frame.pts = 48_000, start
        packets += encoder.encode(frame)
    loop = [bytes(packet) for packet in packets]
    assert len(set(loop)) == len(loop)
    return loop


def vp8_payloads(data: bytes, picture_id: int, packets: int) -> list[bytes]:
    descriptor = _VP8_DESCRIPTOR + (picture_id & 0x7FFF | 0x8000).to_bytes(2, "big")
    payloads = [descriptor + piece for piece in _pieces(data, packets)]
    payloads[0] = bytes((payloads[0][0] | _VP8_START,)) + payloads[0][1:]
    return payloads


def h264_payloads(data: bytes, picture_id: int, packets: int) -> list[bytes]:
    """Parameter sets as they are, slices in fragments (RFC 6184 section 5.8)."""
    del picture_id
    return [payload for unit in nal_units(data) for payload in _h264_unit(unit, packets)]


def _h264_unit(unit: bytes, packets: int) -> Iterator[bytes]:
    if unit[0] & 0x1F > 5 or packets == 1 or len(unit) <= packets:
        yield unit
        return
    pieces = _pieces(unit[1:], packets)
    for index, piece in enumerate(pieces):
        flags = (_FU_START if index == 0 else 0) | (_FU_END if index == len(pieces) - 1 else 0)
        yield bytes((unit[0] & 0xE0 | _FU_A, unit[0] & 0x1F | flags)) + piece


def _pieces(data: bytes, count: int) -> list[bytes]:
    size = -(-len(data) // count)
    return [data[start : start + size] for start in range(0, len(data), size)]


PAYLOADERS: dict[Codec, Callable[[bytes, int, int], list[bytes]]] = {
    Codec.VP8: vp8_payloads,
    Codec.H264: h264_payloads,
}
