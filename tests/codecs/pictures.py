"""One encoded picture of any size and format, from real encoders."""

from __future__ import annotations

from fractions import Fraction

import av
import av.codec.context
import numpy as np


def encode_pictures(
    encoder_name: str,
    width: int,
    height: int,
    *,
    pixel_format: str = "yuv420p",
    count: int = 1,
    options: dict[str, str] | None = None,
    interlaced: bool = False,
) -> list[bytes]:
    encoder = av.CodecContext.create(encoder_name, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, pixel_format
    encoder.time_base, encoder.framerate = Fraction(1, 30), Fraction(30)
    encoder.thread_count = 1
    encoder.options = options or {}
    if interlaced:
        encoder.flags |= av.codec.context.Flags.interlaced_dct
    packets: list[bytes] = []
    for index in range(count):
        image = np.full((height, width, 3), 40 + index * 10, np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixel_format)
        frame.pts, frame.time_base = index, encoder.time_base
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets + [bytes(packet) for packet in encoder.encode(None)]


def decode_all(decoder_name: str, frames: list[bytes]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create(decoder_name, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    pictures = [picture for frame in frames for picture in decoder.decode(av.Packet(frame))]
    return pictures + list(decoder.decode(None))
