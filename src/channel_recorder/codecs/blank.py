"""Frames that a server makes up to clear the picture of a muted or closed track."""

from __future__ import annotations

from channel_recorder.model import Codec

_BLANK_SIZES = {Codec.VP8: (8, 8), Codec.H264: (2, 2)}


def is_blank(codec: Codec, width: int, height: int) -> bool:
    """A key frame of this size was sent by livekit-server itself, not by the publisher: leave it out."""
    return (width, height) == _BLANK_SIZES.get(codec)
