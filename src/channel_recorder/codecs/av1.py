"""AV1 temporal units: OBUs, key frame and size (AV1 bitstream specification, sections 5.3 to 5.9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from channel_recorder.codecs.av1_header import SequenceHeader, key_frame_size, read_sequence_header
from channel_recorder.codecs.info import DELTA, FrameInfo
from channel_recorder.errors import MalformedError

SEQUENCE_HEADER: Final = 1
TEMPORAL_DELIMITER: Final = 2
FRAME_HEADER: Final = 3
TILE_GROUP: Final = 4
METADATA: Final = 5
FRAME: Final = 6
REDUNDANT_FRAME_HEADER: Final = 7
TILE_LIST: Final = 8

TEMPORAL_DELIMITER_OBU: Final = b"\x12\x00"
"""Put it before a temporal unit for FFmpeg's `obu` demuxer and for .obu files.

RTP drops it, and so do MP4, Matroska and WebM samples, and so do our frames.
"""

_FRAME_TYPES = frozenset({FRAME_HEADER, FRAME})
_DELTA_BYTES = frozenset(byte for byte in range(256) if byte >> 3 & 0x0F in _FRAME_TYPES)
_EXTENSION = 0x04
_HAS_SIZE = 0x02
_MAX_LEB128_BYTES = 8
_MAX_HEADER_BYTES = 256


class Obu(NamedTuple):
    """Where an open bitstream unit lies: `data[start:end]`, its payload from `payload`."""

    type: int
    start: int
    payload: int
    end: int
    spatial_id: int


def inspect(data: bytes) -> FrameInfo:
    """Key frame: a sequence header comes first, then a key frame; alone it would not be decodable.

    The size is what is shown: the sequence's largest if the top spatial layer is there, else the key frame's own.
    Never raises: what cannot be read counts as delta.
    """
    if not data or data[0] in _DELTA_BYTES:
        return DELTA
    try:
        return _inspect(data)
    except MalformedError:
        return DELTA


def obus(data: bytes) -> Iterator[Obu]:
    """The OBUs of the low-overhead format (section 5.2). Raises `MalformedError`.

    An OBU without a size field reaches to the end.
    """
    position = 0
    end = len(data)
    while position < end:
        start = position
        header = data[start]
        position += 2 if header & _EXTENSION else 1
        if position > end:
            raise MalformedError("OBU header ends early")
        spatial_id = data[start + 1] >> 3 & 3 if header & _EXTENSION else 0
        size = end - position
        if header & _HAS_SIZE:
            size, position = read_leb128(data, position)
        if size > end - position:
            raise MalformedError("OBU longer than the data")
        yield Obu(header >> 3 & 0x0F, start, position, position + size, spatial_id)
        position += size


def read_leb128(data: bytes, position: int) -> tuple[int, int]:
    """The number at `position`, and where it ends (section 4.10.5). Raises `MalformedError`."""
    value = 0
    for index, byte in enumerate(data[position : position + _MAX_LEB128_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise MalformedError("leb128 number without end")


def leb128(value: int) -> bytes:
    """The shortest encoding of a number."""
    if value < 0x80:
        return bytes((value,))
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _inspect(data: bytes) -> FrameInfo:
    sequence: SequenceHeader | None = None
    size: tuple[int, int] | None = None
    top_layer = 0
    for obu in obus(data):
        payload = data[obu.payload : min(obu.end, obu.payload + _MAX_HEADER_BYTES)]
        if obu.type == SEQUENCE_HEADER:
            sequence = read_sequence_header(payload)
        elif obu.type in _FRAME_TYPES:
            top_layer = obu.spatial_id
            if size is None:
                size = key_frame_size(payload, sequence) if sequence else None
                if size is None:
                    return DELTA
    if sequence is None or size is None:
        return DELTA
    if 0 < sequence.top_spatial_layer == top_layer:
        size = sequence.width, sequence.height
    return FrameInfo(True, *size)
