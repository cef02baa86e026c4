"""What a kill leaves of an Ogg file: pages, of which the last may be half, and none says it is the last."""

from __future__ import annotations

import struct

from channel_recorder.media.containers.ogg import checksum
from channel_recorder.media.containers.patching import Patched

_HEAD = struct.Struct("<4sBBqIIIB")
_CRC = slice(22, 26)
_HEAD_MAX_BYTES = _HEAD.size + 255
_PAGE_MAX_BYTES = _HEAD_MAX_BYTES + 255 * 255
_END_OF_STREAM = 4
_HEAD_PAGES = 2
"""OpusHead and OpusTags."""


def repair(file: Patched) -> bool:
    """Cuts after the last whole page and ends the stream, with an empty page: the others are not touched.

    False: no page of sound is whole.
    """
    end = pages = 0
    last = b""
    while page := _page_at(file, end):
        last = page
        end += len(page)
        pages += 1
        if _flags(page) & _END_OF_STREAM:
            break
    if pages <= _HEAD_PAGES:
        return False
    file.cut(end, _PAGE_MAX_BYTES)
    if not _flags(last) & _END_OF_STREAM:
        file.append(_end_page(last))
    return True


def _page_at(file: Patched, position: int) -> bytes:
    """A whole page with the right check sum; else nothing."""
    head = file.read(position, _HEAD_MAX_BYTES)
    if len(head) < _HEAD.size or not head.startswith(b"OggS\0"):
        return b""
    body_at = _HEAD.size + head[_HEAD.size - 1]
    length = body_at + sum(head[_HEAD.size : body_at])
    page = file.read(position, length)
    if len(head) < body_at or len(page) < length:
        return b""
    blank = page[: _CRC.start] + bytes(4) + page[_CRC.stop :]
    return page if checksum(blank).to_bytes(4, "little") == page[_CRC] else b""


def _flags(page: bytes) -> int:
    return page[5]


def _end_page(last: bytes) -> bytes:
    """After it, with its time stamp, and nothing in it (RFC 3533 section 6)."""
    _, _, _, granule, serial, number, _, _ = _HEAD.unpack_from(last)
    page = _HEAD.pack(b"OggS", 0, _END_OF_STREAM, granule, serial, number + 1, 0, 0)
    return page[: _CRC.start] + checksum(page).to_bytes(4, "little") + page[_CRC.stop :]
