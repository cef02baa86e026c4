"""H.264 (RFC 6184), non-interleaved: single NAL units, STAP-A and FU-A to Annex B."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from channel_recorder.codecs.annexb import START_CODE
from channel_recorder.errors import MalformedError

_LAST_SLICE = 5
_IDR = 5
_SPS = 7
_STAP_A = 24
_FU_A = 28
_FU_START = 0x80
_FU_END = 0x40
_FIRST_SLICE_OF_PICTURE = 0x80
"""first_mb_in_slice = 0 is a single set bit, the first after the NAL header."""

_PREFIXES = tuple(START_CODE + bytes((header,)) for header in range(256))


def starts_frame(payload: bytes) -> bool:
    """A NAL unit begins here that can be the first of an access unit: the first slice, or one before any slice."""
    if len(payload) < 2:
        return False
    nal_type = payload[0] & 0x1F
    if nal_type == _FU_A:
        return payload[1] >= _FU_START and _may_lead(payload[1], payload[2:3])
    if nal_type == _STAP_A:
        return _may_lead(payload[3], payload[4:5]) if len(payload) > 3 else False
    return 0 < nal_type < _STAP_A and _may_lead(nal_type, payload[1:2])


def starts_key_frame(payload: bytes) -> bool:
    """Never raises. A sequence parameter set, or the first slice of an IDR picture, begins here.

    Clients send their parameter sets with every IDR picture, in front of it or in the same packet.
    """
    if len(payload) < 2:
        return False
    nal_type = payload[0] & 0x1F
    if nal_type == _FU_A:
        return payload[1] >= _FU_START and _is_key(payload[1], payload[2:3])
    if nal_type == _STAP_A:
        return any(_is_key(payload[start], payload[start + 1 : start + 2]) for start in _aggregated(payload))
    return _is_key(nal_type, payload[1:2])


def assemble(payloads: Sequence[bytes]) -> bytes:
    """The access unit with a four-byte start code before every NAL unit.

    Raises `MalformedError`, for interleaved packets (STAP-B, MTAP, FU-B) too: nobody negotiates them.
    """
    parts: list[bytes] = []
    fragmented = False
    for payload in payloads:
        if len(payload) < 2:
            raise MalformedError("H.264 payload too short")
        nal_type = payload[0] & 0x1F
        if nal_type == _FU_A:
            fragmented = _append_fragment(parts, payload, fragmented)
        elif fragmented:
            raise MalformedError("H.264 fragments interrupted")
        elif nal_type == _STAP_A:
            _append_aggregate(parts, payload)
        elif 0 < nal_type < _STAP_A:
            parts += (START_CODE, payload)
        else:
            raise MalformedError(f"H.264 packet type {nal_type} is not of this mode")
    if fragmented or not parts:
        raise MalformedError("H.264 frame is not whole")
    return b"".join(parts)


def _may_lead(header: int, following: bytes) -> bool:
    nal_type = header & 0x1F
    return nal_type > _LAST_SLICE or following >= b"\x80"


def _is_key(header: int, following: bytes) -> bool:
    nal_type = header & 0x1F
    return nal_type == _SPS or (nal_type == _IDR and following >= b"\x80")


def _aggregated(payload: bytes) -> Iterator[int]:
    """Where the NAL units of a STAP-A begin, as far as they are there."""
    position = 1
    while position + 2 < len(payload):
        yield position + 2
        position += 2 + (payload[position] << 8 | payload[position + 1])


def _append_fragment(parts: list[bytes], payload: bytes, fragmented: bool) -> bool:
    """Whether more fragments must follow (section 5.8)."""
    fragment = payload[1]
    starts = fragment >= _FU_START
    if starts == fragmented:
        raise MalformedError("H.264 fragment missing")
    if starts:
        parts.append(_PREFIXES[payload[0] & 0xE0 | fragment & 0x1F])
    parts.append(payload[2:])
    return not fragment & _FU_END


def _append_aggregate(parts: list[bytes], payload: bytes) -> None:
    """STAP-A (section 5.7.1)."""
    position = 1
    end = len(payload)
    while position + 2 < end:
        start = position + 2
        position = start + (payload[start - 2] << 8 | payload[start - 1])
        if position == start:
            raise MalformedError("empty H.264 NAL unit")
        parts += (START_CODE, payload[start:position])
    if position != end:
        raise MalformedError("H.264 aggregate ends early")
