"""VP8 frames: key frame and size (RFC 6386 section 9.1)."""

from __future__ import annotations

from channel_recorder.codecs.info import DELTA, FrameInfo

_START_CODE = b"\x9d\x01\x2a"
_KEY_HEADER_BYTES = 10


def inspect(data: bytes) -> FrameInfo:
    """Never raises: what is no VP8 key frame counts as delta."""
    if not data or data[0] & 1:
        return DELTA
    if len(data) < _KEY_HEADER_BYTES or data[3:6] != _START_CODE:
        return DELTA
    width = (data[6] | data[7] << 8) & 0x3FFF
    height = (data[8] | data[9] << 8) & 0x3FFF
    return FrameInfo(True, width, height)
