"""A frame counter and a flash that survive lossy video: painted into the luma plane, read back from it.

The upper quarter holds the counter: 16 cells, a bit each, and below them their complement, so that every bit
is a comparison of two neighbours and any smear shows as a cell that does not differ. The patch at the lower
left flashes. Everything is relative to the size, so a scaled picture reads the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]

COUNTER_BITS = 16
DARK, BRIGHT = 40, 215
MIN_CELL_CONTRAST = 48
MIN_CELL_PIXELS = 4
FLASH_SECONDS = 0.2
"""The picture flashes for so long at each whole second."""


@dataclass(frozen=True, slots=True)
class Reading:
    counter: int
    flash: bool


def _cell(luma: Luma, row: int, bit: int) -> Luma:
    height, width = luma.shape
    return luma[
        row * height // 8 : (row + 1) * height // 8, bit * width // COUNTER_BITS : (bit + 1) * width // COUNTER_BITS
    ]


def _flash_patch(luma: Luma) -> Luma:
    height, width = luma.shape
    return luma[height // 2 :, : width // 4]


def _center(region: Luma) -> float:
    height, width = region.shape
    return float(region[height // 4 : height - height // 4, width // 4 : width - width // 4].mean())


def paint(luma: Luma, counter: int, flash: bool) -> None:
    """Paints over the counter's and the flash's place; the rest of the picture stays."""
    for bit in range(COUNTER_BITS):
        is_set = bool(counter >> bit & 1)
        _cell(luma, 0, bit)[:] = BRIGHT if is_set else DARK
        _cell(luma, 1, bit)[:] = DARK if is_set else BRIGHT
    _flash_patch(luma)[:] = BRIGHT if flash else DARK


def read(luma: Luma) -> Reading | None:
    """What was painted, or None where the picture shows no whole counter."""
    if luma.shape[0] < 8 * MIN_CELL_PIXELS or luma.shape[1] < COUNTER_BITS * MIN_CELL_PIXELS:
        return None
    counter = 0
    for bit in range(COUNTER_BITS):
        contrast = _center(_cell(luma, 0, bit)) - _center(_cell(luma, 1, bit))
        if abs(contrast) < MIN_CELL_CONTRAST:
            return None
        counter |= (contrast > 0) << bit
    return Reading(counter, _center(_flash_patch(luma)) > (DARK + BRIGHT) / 2)


def moving_background(width: int, height: int, counter: int) -> Luma:
    """A gradient with a bar that travels, so that every frame has something to encode."""
    luma = np.broadcast_to(np.linspace(70, 150, height, dtype=np.uint8)[:, None], (height, width)).copy()
    travel = width - width // 4 - width // 16
    left = width // 4 + counter * width // 80 % travel
    luma[height // 3 : height - height // 8, left : left + width // 16] = 190
    return luma


def i420(luma: Luma, cb: Luma | None = None, cr: Luma | None = None) -> bytes:
    """The planes as one I420 picture; grey where no colour is given."""
    if cb is None or cr is None:
        height, width = luma.shape
        return luma.tobytes() + b"\x80" * (2 * ((height + 1) // 2) * ((width + 1) // 2))
    return luma.tobytes() + cb.tobytes() + cr.tobytes()
