"""The byte stream of H.264 and H.265: NAL units between start codes (H.264 Annex B, H.265 Annex B)."""

from __future__ import annotations

from collections.abc import Iterator

START_CODE = b"\x00\x00\x00\x01"
"""Four bytes before every NAL unit we write, as libwebrtc does: encrypted frames depend on it."""

_SHORT_START_CODE = b"\x00\x00\x01"
_ESCAPE = b"\x00\x00\x03"


def nal_offsets(data: bytes) -> Iterator[int]:
    """Where each NAL unit's header is. Lazy: costs only as far as it is read."""
    find = data.find
    found = find(_SHORT_START_CODE)
    while found >= 0:
        yield found + 3
        found = find(_SHORT_START_CODE, found + 3)


def nal_units(data: bytes) -> Iterator[bytes]:
    """The NAL units without start codes and the zero bytes around them. Empty units are left out."""
    start = -1
    for offset in nal_offsets(data):
        if start >= 0:
            yield from _without_trailing_zeros(data[start : offset - 3])
        start = offset
    if start >= 0:
        yield from _without_trailing_zeros(data[start:])


def unit_at(data: bytes, offset: int, limit: int) -> bytes:
    """The NAL unit whose header is at `offset`, at most `limit` bytes of it."""
    end = data.find(_SHORT_START_CODE, offset, offset + limit)
    return data[offset:end] if end >= 0 else data[offset : offset + limit]


def join_nal_units(units: list[bytes]) -> bytes:
    return b"".join([START_CODE + unit for unit in units])


def unescape(unit: bytes) -> bytes:
    """The raw byte sequence payload: emulation prevention bytes taken out (H.264 section 7.4.1)."""
    return unit.replace(_ESCAPE, b"\x00\x00")


def _without_trailing_zeros(unit: bytes) -> Iterator[bytes]:
    # A NAL unit never ends in 0x00; zeros here belong to the next start code (Annex B, trailing_zero_8bits).
    unit = unit.rstrip(b"\x00")
    if unit:
        yield unit
