"""The boxes of a fragmented MP4 file (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_HEADER = struct.Struct(">I4s")
_LARGE_HEADER_BYTES = 16
"""With a length of 64 bits behind it."""


def trim_incomplete_fragment(path: Path) -> None:
    """Cut the file after its last whole fragment. Raises `OSError`.

    Players refuse a whole file for a half `moof` at its end.
    """
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        end = _last_whole_fragment(file, size)
        if end < size:
            file.truncate(end)


def _last_whole_fragment(file: BinaryIO, size: int) -> int:
    end = position = 0
    while position + _HEADER.size <= size:
        file.seek(position)
        length, kind = _HEADER.unpack(file.read(_HEADER.size))
        header_bytes = _HEADER.size
        if length == 1:
            length, header_bytes = int.from_bytes(file.read(8), "big"), _LARGE_HEADER_BYTES
        if length < header_bytes or position + length > size:
            break
        position += length
        if kind != b"moof":
            end = position
    return end
