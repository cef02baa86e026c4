"""H.265 (RFC 7798) without DONL: single NAL units, aggregation packets and fragmentation units to Annex B."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from channel_recorder.codecs.annexb import START_CODE
from channel_recorder.errors import MalformedError

_LAST_SLICE = 31
_KEY_SLICES = range(16, 24)
"""Intra random access points: BLA, IDR, CRA and two that are reserved."""
_VPS, _SPS = 32, 33
_AGGREGATION = 48
_FRAGMENTATION = 49
_FU_START = 0x80
_FU_END = 0x40
_HEADER_BYTES = 2


def starts_frame(payload: bytes) -> bool:
    """A NAL unit begins here that can be the first of an access unit: the first slice, or one before any slice."""
    if len(payload) <= _HEADER_BYTES:
        return False
    nal_type = payload[0] >> 1 & 0x3F
    if nal_type == _FRAGMENTATION:
        return payload[2] >= _FU_START and _may_lead(payload[2] & 0x3F, payload[3:4])
    if nal_type == _AGGREGATION:
        return len(payload) > 6 and _may_lead(payload[4] >> 1 & 0x3F, payload[6:7])
    return nal_type < _AGGREGATION and _may_lead(nal_type, payload[2:3])


def starts_key_frame(payload: bytes) -> bool:
    """Never raises. A video or sequence parameter set, or the first slice of a random access picture, begins here."""
    if len(payload) <= _HEADER_BYTES:
        return False
    nal_type = payload[0] >> 1 & 0x3F
    if nal_type == _FRAGMENTATION:
        return payload[2] >= _FU_START and _is_key(payload[2] & 0x3F, payload[3:4])
    if nal_type == _AGGREGATION:
        starts = _aggregated(payload)
        return any(_is_key(payload[start] >> 1 & 0x3F, payload[start + 2 : start + 3]) for start in starts)
    return _is_key(nal_type, payload[2:3])


def assemble(payloads: Sequence[bytes]) -> bytes:
    """The access unit with a four-byte start code before every NAL unit. Raises `MalformedError`."""
    parts: list[bytes] = []
    fragmented = False
    for payload in payloads:
        if len(payload) <= _HEADER_BYTES:
            raise MalformedError("H.265 payload too short")
        nal_type = payload[0] >> 1 & 0x3F
        if nal_type == _FRAGMENTATION:
            fragmented = _append_fragment(parts, payload, fragmented)
        elif fragmented:
            raise MalformedError("H.265 fragments interrupted")
        elif nal_type == _AGGREGATION:
            _append_aggregate(parts, payload)
        elif nal_type < _AGGREGATION:
            parts += (START_CODE, payload)
        else:
            raise MalformedError(f"H.265 packet type {nal_type} is not supported")
    if fragmented or not parts:
        raise MalformedError("H.265 frame is not whole")
    return b"".join(parts)


def _may_lead(nal_type: int, following: bytes) -> bool:
    # first_slice_segment_in_pic_flag is the first bit after the NAL header.
    return nal_type > _LAST_SLICE or following >= b"\x80"


def _is_key(nal_type: int, following: bytes) -> bool:
    return nal_type in (_VPS, _SPS) or (nal_type in _KEY_SLICES and following >= b"\x80")


def _aggregated(payload: bytes) -> Iterator[int]:
    """Where the NAL units of an aggregation packet begin, as far as they are there."""
    position = _HEADER_BYTES
    while position + 2 < len(payload):
        yield position + 2
        position += 2 + (payload[position] << 8 | payload[position + 1])


def _append_fragment(parts: list[bytes], payload: bytes, fragmented: bool) -> bool:
    """Whether more fragments must follow (section 4.4.3)."""
    fragment = payload[2]
    starts = fragment >= _FU_START
    if starts == fragmented:
        raise MalformedError("H.265 fragment missing")
    if starts:
        parts += (START_CODE, bytes((payload[0] & 0x81 | (fragment & 0x3F) << 1, payload[1])))
    parts.append(payload[3:])
    return not fragment & _FU_END


def _append_aggregate(parts: list[bytes], payload: bytes) -> None:
    """Aggregation packet (section 4.4.2)."""
    position = _HEADER_BYTES
    end = len(payload)
    while position + 2 < end:
        start = position + 2
        position = start + (payload[start - 2] << 8 | payload[start - 1])
        if position - start < _HEADER_BYTES:
            raise MalformedError("H.265 NAL unit too short")
        parts += (START_CODE, payload[start:position])
    if position != end:
        raise MalformedError("H.265 aggregate ends early")
