"""What all RTCP packets have in common (RFC 3550 section 6.4)."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from channel_recorder.errors import MalformedError

_HEADER = Struct(">BBH")
_VERSION = 0x80
_PADDING = 0x20

UINT32: Final = Struct(">I")
TWO_SSRCS: Final = Struct(">II")


class RawPacket(NamedTuple):
    """One packet of a compound, headers and padding off."""

    subtype: int
    """Five bits: report count, source count or feedback format."""
    packet_type: int
    body: bytes


def split_compound(compound: bytes) -> Iterator[RawPacket]:
    """Raises `MalformedError`, at the latest after the last whole packet."""
    position = 0
    if not compound:
        raise MalformedError("empty RTCP packet")
    while position < len(compound):
        if len(compound) - position < _HEADER.size:
            raise MalformedError("RTCP header ends early")
        first, packet_type, words = _HEADER.unpack_from(compound, position)
        if first & 0xC0 != _VERSION:
            raise MalformedError("not RTCP version 2")
        end = position + 4 + 4 * words
        if end > len(compound):
            raise MalformedError("RTCP packet longer than its datagram")
        body = compound[position + 4 : end]
        yield RawPacket(first & 0x1F, packet_type, _without_padding(body) if first & _PADDING else body)
        position = end


def join(count: int, packet_type: int, body: bytes) -> bytes:
    """One packet, padded to whole words."""
    missing = -len(body) % 4
    if not missing:
        return _HEADER.pack(_VERSION | count, packet_type, len(body) // 4) + body
    padded = body + bytes(missing - 1) + bytes((missing,))
    return _HEADER.pack(_VERSION | _PADDING | count, packet_type, len(padded) // 4) + padded


def two_ssrcs(body: bytes) -> tuple[int, int]:
    """Sender and media SSRC, with which every feedback packet begins. Raises `MalformedError`."""
    if len(body) < TWO_SSRCS.size:
        raise MalformedError("RTCP feedback too short")
    return TWO_SSRCS.unpack_from(body)


def _without_padding(body: bytes) -> bytes:
    if not body or not 0 < body[-1] <= len(body):
        raise MalformedError("RTCP padding longer than its packet")
    return body[: -body[-1]]
