"""Which bytes of a sealed frame are in clear: what servers and depacketizers must read (frame cryptors of the SDKs)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from channel_recorder.codecs import av1
from channel_recorder.codecs.annexb import START_CODE, nal_offsets
from channel_recorder.errors import MalformedError
from channel_recorder.model import Codec

VP8_KEY_BYTES = 10
VP8_DELTA_BYTES = 3
OPUS_BYTES = 1
_INTO_SLICE_BYTES = 2
"""Of the first slice so much is in clear: H.264's NAL header and a byte, H.265's header."""
_H264_SLICES = frozenset({1, 5})
_H264_DELTA_START = tuple(START_CODE + bytes((low | 1,)) for low in (0x00, 0x20, 0x40, 0x60))
_H265_RESERVED = frozenset({*range(10, 16), *range(22, 64)})
"""Types that are no slice."""

ClearBytes = Callable[[bytes], int]


def _opus(frame: bytes) -> int:
    del frame
    return OPUS_BYTES


def _vp8(frame: bytes) -> int:
    return VP8_DELTA_BYTES if frame[0] & 1 else VP8_KEY_BYTES


def _nothing(frame: bytes) -> int:
    del frame
    return 0


def _h264(frame: bytes) -> int:
    if frame.startswith(_H264_DELTA_START):
        return 6
    for offset in nal_offsets(frame):
        if offset < len(frame) and frame[offset] & 0x1F in _H264_SLICES:
            return offset + _INTO_SLICE_BYTES
    raise MalformedError("sealed H.264 frame without a slice")


def _h265(frame: bytes) -> int:
    for offset in nal_offsets(frame):
        if offset < len(frame) and frame[offset] >> 1 & 0x3F not in _H265_RESERVED:
            return offset + _INTO_SLICE_BYTES
    raise MalformedError("sealed H.265 frame without a slice")


CLEAR_BYTES: Final[Mapping[Codec, ClearBytes]] = {
    Codec.OPUS: _opus,
    Codec.VP8: _vp8,
    Codec.VP9: _nothing,
    Codec.H264: _h264,
    Codec.H265: _h265,
    Codec.AV1: _nothing,
}
"""How many bytes at the beginning are in clear. The frame is not empty. Raises `MalformedError`."""

ESCAPED: Final = frozenset({Codec.H264, Codec.H265})
"""What follows the clear bytes has emulation prevention bytes of its own, put in after sealing."""

_AV1_EMPTY_SEQUENCE = b"\x0a\x00"
_AV1_MARKER = 0


def av1_sealed_units(frame: bytes) -> Iterator[bytes]:
    """Native clients wrap sealed AV1 so that it still looks like AV1: an empty sequence header marks key frames,
    then one frame OBU holds a zero byte (authenticated) and the sealed frame. Raises `MalformedError`.

    Several in one temporal unit are its layers.
    """
    for obu in av1.obus(frame):
        if frame[obu.start : obu.end] == _AV1_EMPTY_SEQUENCE:
            continue
        if obu.type != av1.FRAME or frame[obu.payload : obu.payload + 1] != bytes((_AV1_MARKER,)):
            raise MalformedError("AV1 frame that is not sealed")
        yield frame[obu.payload : obu.end]
