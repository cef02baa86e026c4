"""The frame counter survives real encoders at low bitrates, and says so where it does not."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.looks import Look, card, plain
from testbed.picture import COUNTER_BITS, Luma, Reading, moving_background, paint, read


def painted(counter: int, flash: bool, width: int, height: int) -> Luma:
    luma = moving_background(width, height, counter)
    paint(luma, counter, flash)
    return luma


@given(st.integers(0, 2**COUNTER_BITS - 1), st.booleans(), st.sampled_from([(160, 90), (320, 240), (641, 361)]))
@settings(deadline=None)
def test_every_counter_reads_back(counter: int, flash: bool, size: tuple[int, int]) -> None:
    assert read(painted(counter, flash, *size)) == Reading(counter, flash)


@pytest.mark.parametrize("size", [(2, 2), (8, 8), (320, 240)])
def test_a_picture_without_a_counter_reads_as_none(size: tuple[int, int]) -> None:
    assert read(np.zeros(size, np.uint8)) is None
    assert read(np.full(size, 128, np.uint8)) is None


def test_two_pictures_blended_read_as_none() -> None:
    blend = painted(0x5555, False, 320, 240) // 2 + painted(0xAAAA, False, 320, 240) // 2
    assert read(blend) is None


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
        ("libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    ],
)
@pytest.mark.parametrize("look", [plain(320, 240), card(320, 240, "Ada")], ids=["plain", "card"])
def test_counter_and_flash_survive_an_encoder_at_100_kbps(codec: str, options: dict[str, str], look: Look) -> None:
    pictures = [look(900 + n, n / 15, n % 15 < 3) for n in range(45)]
    readings = [read(luma) for luma in encoded_and_decoded(pictures, codec, options)]
    assert readings == [Reading(900 + n, n % 15 < 3) for n in range(45)]


def encoded_and_decoded(pictures: list[bytes], codec: str, options: dict[str, str]) -> list[Luma]:
    encoder = cast("VideoCodecContext", VideoCodecContext.create(codec, "w"))
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.bit_rate = Fraction(1, 15), Fraction(15), 100_000
    encoder.options = options
    packets: list[Any] = []
    for number, picture in enumerate(pictures):
        planes = np.frombuffer(picture, np.uint8).reshape(360, 320)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 15)
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoder = cast("VideoCodecContext", VideoCodecContext.create(encoder.codec.canonical_name, "r"))
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    return [frame.to_ndarray(format="gray").astype(np.uint8, copy=False) for frame in frames]
