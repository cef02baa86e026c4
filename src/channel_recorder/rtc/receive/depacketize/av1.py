"""AV1 (RTP Payload Format For AV1, AOMedia): OBUs and fragments of OBUs to the low-overhead bitstream.

Temporal delimiters do not travel and are not put back, see `codecs.av1.TEMPORAL_DELIMITER_OBU`.
"""

from __future__ import annotations

from collections.abc import Sequence

from channel_recorder.codecs.av1 import (
    REDUNDANT_FRAME_HEADER,
    TEMPORAL_DELIMITER,
    TILE_GROUP,
    TILE_LIST,
    leb128,
    read_leb128,
)
from channel_recorder.errors import MalformedError

_CONTINUES_PREVIOUS = 0x80
_CONTINUED_IN_NEXT = 0x40
_EXTENSION = 0x04
_HAS_SIZE = 0x02
_STARTS_SEQUENCE = 0x08
"""N: the first packet of a coded video sequence (section 4.4)."""
_SINGLE_OBU = frozenset(bytes((0x10 | low,)) for low in range(16))
"""Z and Y clear, W = 1: the usual delta frame."""

_NEVER_FIRST = frozenset({TILE_GROUP, REDUNDANT_FRAME_HEADER, TILE_LIST})
_IGNORED = frozenset({TEMPORAL_DELIMITER, TILE_LIST})
"""Receivers must ignore these (section 5)."""


def starts_frame(payload: bytes) -> bool:
    """The packet begins with an OBU, no fragment, that may come first in a temporal unit.

    An upper spatial layer may: servers forward it alone where it needs no other.
    """
    if len(payload) < 2 or payload[0] & _CONTINUES_PREVIOUS:
        return False
    header = payload[1] if payload[0] & 0x30 == 0x10 else _first_counted_header(payload)
    return header >= 0 and header >> 3 & 0x0F not in _NEVER_FIRST


def starts_key_frame(payload: bytes) -> bool:
    """Never raises."""
    return len(payload) > 1 and payload[0] & (_CONTINUES_PREVIOUS | _STARTS_SEQUENCE) == _STARTS_SEQUENCE


def assemble(payloads: Sequence[bytes]) -> bytes:
    """The temporal unit, every OBU with its size. Raises `MalformedError`."""
    if len(payloads) == 1 and payloads[0][:1] in _SINGLE_OBU:
        return _not_empty(_with_size(payloads[0][1:]))
    units: list[list[bytes]] = []
    open_fragment = False
    for payload in payloads:
        if len(payload) < 2:
            raise MalformedError("AV1 payload too short")
        flags = payload[0]
        if (flags >= _CONTINUES_PREVIOUS) != open_fragment:
            raise MalformedError("AV1 fragment missing")
        elements = _elements(payload, flags >> 4 & 3)
        if open_fragment:
            units[-1].append(elements.pop(0))
        units += [[element] for element in elements]
        open_fragment = flags & _CONTINUED_IN_NEXT != 0
    if open_fragment:
        raise MalformedError("AV1 temporal unit is not whole")
    return _not_empty(b"".join([_with_size(b"".join(unit)) for unit in units]))


def _not_empty(frame: bytes) -> bytes:
    if not frame:
        raise MalformedError("AV1 temporal unit without content")
    return frame


def _first_counted_header(payload: bytes) -> int:
    """The first OBU header behind its length; -1: there is none."""
    try:
        _, start = read_leb128(payload, 1)
    except MalformedError:
        return -1
    return payload[start] if start < len(payload) else -1


def _elements(payload: bytes, count: int) -> list[bytes]:
    """The OBU elements of a packet; with a count the last has no length (section 4.4)."""
    if count == 1:
        return [payload[1:]]
    elements: list[bytes] = []
    position = 1
    end = len(payload)
    while position < end:
        if count and len(elements) == count - 1:
            elements.append(payload[position:])
            return elements
        size, position = read_leb128(payload, position)
        if size > end - position:
            raise MalformedError("AV1 element longer than its packet")
        elements.append(payload[position : position + size])
        position += size
    if count and len(elements) != count:
        raise MalformedError("AV1 packet with fewer elements than it says")
    return elements


def _with_size(unit: bytes) -> bytes:
    """The OBU in low-overhead form; nothing for what receivers must ignore."""
    if not unit:
        raise MalformedError("empty OBU")
    header = unit[0]
    if header >> 3 & 0x0F in _IGNORED:
        return b""
    payload_start = 2 if header & _EXTENSION else 1
    if len(unit) < payload_start:
        raise MalformedError("OBU header ends early")
    if header & _HAS_SIZE:
        size, start = read_leb128(unit, payload_start)
        if size != len(unit) - start:
            raise MalformedError("OBU size differs from its element")
        return unit
    return (
        bytes((header | _HAS_SIZE,)) + unit[1:payload_start] + leb128(len(unit) - payload_start) + unit[payload_start:]
    )
