"""What a look at an encoded frame tells."""

from __future__ import annotations

from typing import Final, NamedTuple


class FrameInfo(NamedTuple):
    """Key frame or not, and the picture's size as the bitstream says; 0 where the frame alone does not tell."""

    key_frame: bool
    width: int = 0
    height: int = 0


DELTA: Final = FrameInfo(False)
"""Shared by every frame that needs others, so that the common case makes no object."""
