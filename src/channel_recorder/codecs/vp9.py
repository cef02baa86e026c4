"""VP9 frames and superframes: key frame and size (VP9 bitstream specification, section 6.2 and annex B)."""

from __future__ import annotations

from collections.abc import Sequence

from channel_recorder.codecs.info import DELTA, FrameInfo
from channel_recorder.codecs.vp9_header import FrameHeader, ReferenceSizes
from channel_recorder.errors import MalformedError

MAX_FRAMES_IN_SUPERFRAME = 8

_INDEX_MARKER = 0xC0


def _is_key_byte(byte: int) -> bool:
    if byte >> 6 != 2:
        return False
    shift = 0 if byte & 0x30 == 0x30 else 1  # profile 3 has a reserved bit
    return not byte >> shift & 0b0110  # show_existing_frame, frame_type


_KEY_BYTES = frozenset(byte for byte in range(256) if _is_key_byte(byte))
_MARKED = frozenset(byte for byte in range(256) if byte & 0xE0 == _INDEX_MARKER)


def inspect(data: bytes) -> FrameInfo:
    """Key frame: the first frame of the superframe is one. The size is that of the last, the top spatial layer.

    Never raises: what cannot be read counts as delta.
    """
    if not data or data[0] not in _KEY_BYTES:
        return DELTA
    references = ReferenceSizes()
    size = 0, 0
    try:
        for frame in split_superframe(data):
            header = FrameHeader(frame, references)
            references.refresh(header)
            size = header.size
    except MalformedError:
        return DELTA
    return FrameInfo(True, *size)


def is_superframe(data: bytes) -> bool:
    """The data ends in a superframe index. Cheap; says nothing of how many frames there are."""
    return len(data) > 1 and data[-1] in _MARKED and data[-_index_bytes(data[-1]) :][:1] == data[-1:]


def split_superframe(data: bytes) -> list[bytes]:
    """The frames of a superframe; a plain frame comes back alone. Raises `MalformedError` on a wrong index."""
    if not is_superframe(data):
        return [data]
    marker = data[-1]
    width = (marker >> 3 & 3) + 1
    index = data[-_index_bytes(marker) + 1 : -1]
    frames: list[bytes] = []
    start = 0
    for position in range(0, len(index), width):
        end = start + int.from_bytes(index[position : position + width], "little")
        frames.append(data[start:end])
        start = end
    if start + len(index) + 2 > len(data):
        raise MalformedError("VP9 superframe index past the data")
    return [frame for frame in frames if frame]


def join_superframe(frames: Sequence[bytes]) -> bytes:
    """Frames that are one picture, with the index that decoders need to tell them apart.

    Raises `MalformedError` for more than eight frames.
    """
    if len(frames) == 1:
        return frames[0]
    if not 1 <= len(frames) <= MAX_FRAMES_IN_SUPERFRAME:
        raise MalformedError("VP9 picture with too many layers")
    width = (max(map(len, frames)).bit_length() + 7) // 8 or 1
    marker = bytes((_INDEX_MARKER | (width - 1) << 3 | len(frames) - 1,))
    sizes = [len(frame).to_bytes(width, "little") for frame in frames]
    return b"".join([*frames, marker, *sizes, marker])


def _index_bytes(marker: int) -> int:
    return 2 + ((marker >> 3 & 3) + 1) * ((marker & 7) + 1)
