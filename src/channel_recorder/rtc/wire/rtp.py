"""RTP packets (RFC 3550 section 5.1) with header extensions (RFC 8285): bytes <-> values.

`RtpPacket` is the comfortable form. Receivers on the hot path read `FIXED_HEADER` themselves and come here
for what is not plain: `payload_of` and `extension_of`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from channel_recorder.errors import MalformedError

FIXED_HEADER: Final = Struct(">BBHI")
"""First byte (version, P, X, CC), second byte (marker, payload type), sequence number, time stamp; the SSRC follows."""
FIXED_HEADER_BYTES: Final = 12
SSRC_BYTES: Final = slice(8, 12)

PLAIN: Final = 0x80
"""First byte of a packet without padding, header extension and contributing sources."""
EXTENDED: Final = 0x90
MARKER: Final = 0x80

_VERSION_MASK = 0xC0
_PADDING = 0x20
_EXTENSION = 0x10
_ONE_BYTE_PROFILE = 0xBEDE
_ONE_BYTE = b"\xbe\xde"
_TWO_BYTE_PROFILE = 0x1000
_TWO_BYTE_PROFILE_MASK = 0xFFF0
_RESERVED_ID = 15
_HEADER = Struct(">BBHII")


@dataclass(slots=True, kw_only=True)
class RtpPacket:
    """One packet. `extensions`: id to value. `padding_bytes`: 0, or 1 to 255 including the count itself."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes = b""
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extensions: Mapping[int, bytes] = field(default_factory=dict[int, bytes])
    padding_bytes: int = 0

    def to_bytes(self) -> bytes:
        first = (
            PLAIN | len(self.csrcs) | (_EXTENSION if self.extensions else 0) | (_PADDING if self.padding_bytes else 0)
        )
        second = self.payload_type | (MARKER if self.marker else 0)
        header = _HEADER.pack(first, second, self.sequence, self.timestamp, self.ssrc)
        csrcs = b"".join(csrc.to_bytes(4, "big") for csrc in self.csrcs)
        padding = bytes(self.padding_bytes - 1) + bytes((self.padding_bytes,)) if self.padding_bytes else b""
        return header + csrcs + build_extensions(self.extensions) + self.payload + padding


def parse(packet: bytes) -> RtpPacket:
    """Raises `MalformedError`."""
    start, end = _payload_bounds(packet)
    _, second, sequence, timestamp, ssrc = _HEADER.unpack_from(packet)
    csrc_end = FIXED_HEADER_BYTES + 4 * (packet[0] & 0x0F)
    return RtpPacket(
        payload_type=second & 0x7F,
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        payload=packet[start:end],
        marker=second >= MARKER,
        csrcs=tuple(int.from_bytes(packet[at : at + 4], "big") for at in range(FIXED_HEADER_BYTES, csrc_end, 4)),
        extensions=dict(_extensions(packet)),
        padding_bytes=len(packet) - end,
    )


def payload_of(packet: bytes) -> bytes:
    """What lies between headers and padding; empty for a packet of padding only. Raises `MalformedError`."""
    start, end = _payload_bounds(packet)
    return packet[start:end]


def extension_of(packet: bytes, extension_id: int) -> bytes | None:
    """The value of one header extension, None if the packet has none. Raises `MalformedError`."""
    if len(packet) < FIXED_HEADER_BYTES:
        raise MalformedError("RTP packet shorter than its header")
    if packet[0] == EXTENDED and packet[12:14] == _ONE_BYTE and packet[16:17] and packet[16] >> 4 == extension_id:
        return _first_extension(packet)
    for found, value in _extensions(packet):
        if found == extension_id:
            return value
    return None


def _first_extension(packet: bytes) -> bytes:
    """Often there is no other; this is the hot path with transport-cc."""
    value_end = 18 + (packet[16] & 0x0F)
    if value_end > 16 + 4 * (packet[14] << 8 | packet[15]) or value_end > len(packet):
        raise MalformedError("RTP header extension longer than its block")
    return packet[17:value_end]


def _payload_bounds(packet: bytes) -> tuple[int, int]:
    if len(packet) < FIXED_HEADER_BYTES:
        raise MalformedError("RTP packet shorter than its header")
    first = packet[0]
    if first & _VERSION_MASK != PLAIN:
        raise MalformedError("not RTP version 2")
    start = FIXED_HEADER_BYTES + 4 * (first & 0x0F)
    end = len(packet)
    if first & _EXTENSION:
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    if start > end:
        raise MalformedError("RTP header ends early")
    if first & _PADDING:
        padding = packet[-1]
        if not 0 < padding <= end - start:
            raise MalformedError("RTP padding longer than the payload")
        end -= padding
    return start, end


def _extensions(packet: bytes) -> Iterator[tuple[int, bytes]]:
    if not packet[0] & _EXTENSION:
        return
    start = FIXED_HEADER_BYTES + 4 * (packet[0] & 0x0F)
    if len(packet) < start + 4:
        raise MalformedError("RTP header ends early")
    profile = packet[start] << 8 | packet[start + 1]
    end = start + 4 + 4 * (packet[start + 2] << 8 | packet[start + 3])
    if end > len(packet):
        raise MalformedError("RTP header ends early")
    if profile == _ONE_BYTE_PROFILE:
        yield from _one_byte_extensions(packet, start + 4, end)
    elif profile & _TWO_BYTE_PROFILE_MASK == _TWO_BYTE_PROFILE:
        yield from _two_byte_extensions(packet, start + 4, end)


def _one_byte_extensions(packet: bytes, position: int, end: int) -> Iterator[tuple[int, bytes]]:
    while position < end:
        header = packet[position]
        position += 1
        if not header:
            continue
        if header >> 4 == _RESERVED_ID:  # section 4.2: stop here
            return
        value_end = position + (header & 0x0F) + 1
        if value_end > end:
            raise MalformedError("RTP header extension longer than its block")
        if header >> 4:
            yield header >> 4, packet[position:value_end]
        position = value_end


def _two_byte_extensions(packet: bytes, position: int, end: int) -> Iterator[tuple[int, bytes]]:
    while position < end:
        extension_id = packet[position]
        position += 1
        if not extension_id:
            continue
        if position == end:
            raise MalformedError("RTP header extension without length")
        value_end = position + 1 + packet[position]
        if value_end > end:
            raise MalformedError("RTP header extension longer than its block")
        yield extension_id, packet[position + 1 : value_end]
        position = value_end


def build_extensions(extensions: Mapping[int, bytes]) -> bytes:
    """The extension block, which follows the CSRCs, with one-byte headers where they do; empty for none."""
    if not extensions:
        return b""
    short = all(number < _RESERVED_ID and 1 <= len(value) <= 16 for number, value in extensions.items())
    if short:
        body = b"".join(bytes((number << 4 | len(value) - 1,)) + value for number, value in extensions.items())
    else:
        body = b"".join(bytes((number, len(value))) + value for number, value in extensions.items())
    words = (len(body) + 3) // 4
    profile = _ONE_BYTE_PROFILE if short else _TWO_BYTE_PROFILE
    return profile.to_bytes(2, "big") + words.to_bytes(2, "big") + body.ljust(4 * words, b"\0")
