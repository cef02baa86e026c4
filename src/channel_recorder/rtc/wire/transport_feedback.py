"""RTCP transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.wire.feedback import TRANSPORT_FEEDBACK
from channel_recorder.rtc.wire.rtcp_packet import join

TRANSPORT_CC_FORMAT: Final = 15
TICKS_PER_SECOND: Final = 4000
TICKS_PER_REFERENCE: Final = 256
"""The reference time counts 64 ms."""

_HEAD = Struct(">IIHHI")
_CHUNK = Struct(">H")
_LARGE_DELTA = Struct(">h")
_NOT_RECEIVED, _SMALL, _LARGE = range(3)
_VECTOR = 0x8000
_TWO_BIT = 0x4000
_ONE_BIT_SYMBOLS = 14
_TWO_BIT_SYMBOLS = 7
_MAX_RUN = 0x1FFF
_REFERENCE_MASK = 0xFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportFeedback:
    """When packets arrived, by transport-wide sequence number from `base_sequence` on."""

    sender_ssrc: int
    media_ssrc: int
    base_sequence: int
    reference_time: int
    """In 64 ms, 24 bits."""
    feedback_count: int
    """Numbers these packets, 8 bits."""
    deltas: tuple[int | None, ...]
    """Ticks of 250 us since the packet received before, the first since the reference time. None: not received."""

    def to_bytes(self) -> bytes:
        head = _HEAD.pack(
            self.sender_ssrc,
            self.media_ssrc,
            self.base_sequence,
            len(self.deltas),
            (self.reference_time & _REFERENCE_MASK) << 8 | self.feedback_count,
        )
        chunks = b"".join(map(_CHUNK.pack, _chunks([_status(delta) for delta in self.deltas])))
        deltas = b"".join(_build_delta(delta) for delta in self.deltas if delta is not None)
        return join(TRANSPORT_CC_FORMAT, TRANSPORT_FEEDBACK, head + chunks + deltas)

    @classmethod
    def parse(cls, body: bytes) -> TransportFeedback:
        if len(body) < _HEAD.size:
            raise MalformedError("transport-cc feedback too short")
        sender_ssrc, media_ssrc, base_sequence, count, tail = _HEAD.unpack_from(body)
        statuses, position = _parse_chunks(body, count)
        return cls(
            sender_ssrc=sender_ssrc,
            media_ssrc=media_ssrc,
            base_sequence=base_sequence,
            reference_time=tail >> 8,
            feedback_count=tail & 0xFF,
            deltas=tuple(_parse_deltas(body, position, statuses)),
        )


def _status(delta: int | None) -> int:
    if delta is None:
        return _NOT_RECEIVED
    return _SMALL if 0 <= delta <= 0xFF else _LARGE


def _build_delta(delta: int) -> bytes:
    return bytes((delta,)) if 0 <= delta <= 0xFF else _LARGE_DELTA.pack(delta)


def _chunks(statuses: Sequence[int]) -> Iterator[int]:
    position = 0
    while position < len(statuses):
        run = _run_length(statuses, position)
        window = statuses[position : position + _ONE_BIT_SYMBOLS]
        if run >= len(window):
            yield statuses[position] << 13 | run
            position += run
        elif _LARGE not in window:
            yield _VECTOR | _pack_symbols(window, _ONE_BIT_SYMBOLS, 1)
            position += _ONE_BIT_SYMBOLS
        elif run >= _TWO_BIT_SYMBOLS:
            yield statuses[position] << 13 | run
            position += run
        else:
            yield _VECTOR | _TWO_BIT | _pack_symbols(window[:_TWO_BIT_SYMBOLS], _TWO_BIT_SYMBOLS, 2)
            position += _TWO_BIT_SYMBOLS


def _run_length(statuses: Sequence[int], start: int) -> int:
    end = min(len(statuses), start + _MAX_RUN)
    position = start + 1
    while position < end and statuses[position] == statuses[start]:
        position += 1
    return position - start


def _pack_symbols(symbols: Sequence[int], capacity: int, bits: int) -> int:
    packed = 0
    for symbol in symbols:
        packed = packed << bits | symbol
    return packed << bits * (capacity - len(symbols))


def _parse_chunks(body: bytes, count: int) -> tuple[list[int], int]:
    statuses: list[int] = []
    position = _HEAD.size
    while len(statuses) < count:
        if position + _CHUNK.size > len(body):
            raise MalformedError("transport-cc chunks end early")
        (chunk,) = _CHUNK.unpack_from(body, position)
        position += _CHUNK.size
        if not chunk & _VECTOR:
            statuses += [chunk >> 13] * min(chunk & _MAX_RUN, count - len(statuses))
            if not chunk & _MAX_RUN:
                raise MalformedError("transport-cc run of no length")
        elif chunk & _TWO_BIT:
            statuses += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            statuses += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    return statuses[:count], position


def _parse_deltas(body: bytes, position: int, statuses: list[int]) -> Iterator[int | None]:
    for status in statuses:
        if status == _NOT_RECEIVED:
            yield None
            continue
        end = position + status
        if status > _LARGE or end > len(body):
            raise MalformedError("transport-cc deltas end early")
        yield body[position] if status == _SMALL else _LARGE_DELTA.unpack_from(body, position)[0]
        position = end
