"""What a synthetic camera shows besides counter and flash: a plain moving bar, or a card with a name and a clock."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from testbed.picture import i420, moving_background, paint

Look = Callable[[int, float, bool], bytes]
"""(frame counter, seconds since the start, flash) -> the picture as I420."""
CARD_COLOURS = ("#1f4e79", "#7a3b69", "#2d6a4f", "#8a5a00")


def plain(width: int, height: int) -> Look:
    def picture(counter: int, seconds: float, flash: bool) -> bytes:
        luma = moving_background(width, height, counter)
        paint(luma, counter, flash)
        return i420(luma)

    return picture


def card(width: int, height: int, name: str) -> Look:
    """The name, a running clock and a ball on an orbit."""
    background = Image.new("RGB", (width, height), CARD_COLOURS[ord(name[0]) % len(CARD_COLOURS)])
    large, small = ImageFont.load_default(height // 7), ImageFont.load_default(height // 10)

    def picture(counter: int, seconds: float, flash: bool) -> bytes:
        image = background.copy()
        draw = ImageDraw.Draw(image)
        draw.text((width * 0.3, height * 0.36), name, "white", large)
        minutes, rest = divmod(seconds, 60)
        draw.text((width * 0.3, height * 0.6), f"{int(minutes):02}:{rest:05.2f}", "#d0e8ff", small)
        x, y = width * (0.82 + 0.1 * math.cos(2 * seconds)), height * (0.65 + 0.2 * math.sin(2 * seconds))
        draw.ellipse((x - height / 16, y - height / 16, x + height / 16, y + height / 16), "#ffd166")
        return _painted_i420(image, counter, flash)

    return picture


def _painted_i420(image: Image.Image, counter: int, flash: bool) -> bytes:
    luma, cb, cr = (np.asarray(band) for band in image.convert("YCbCr").split())
    luma = luma.copy()
    paint(luma, counter, flash)
    # Grey where counter and flash are: the colour of the card must not tint them.
    cb, cr = cb[::2, ::2].copy(), cr[::2, ::2].copy()
    for chroma in (cb, cr):
        chroma[: chroma.shape[0] // 4] = 128
        chroma[chroma.shape[0] // 2 :, : chroma.shape[1] // 4] = 128
    return i420(luma, cb, cr)
