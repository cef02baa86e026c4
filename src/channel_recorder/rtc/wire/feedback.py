"""RTCP feedback: NACK and PLI (RFC 4585), FIR (RFC 5104), REMB (draft-alvestrand-rmcat-remb-03)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Final

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.wire.rtcp_packet import TWO_SSRCS, UINT32, join, two_ssrcs

TRANSPORT_FEEDBACK: Final = 205
PAYLOAD_FEEDBACK: Final = 206
NACK_FORMAT: Final = 1
PLI_FORMAT: Final = 1
FIR_FORMAT: Final = 4
APPLICATION_FORMAT: Final = 15

_NACK_ITEM = Struct(">HH")
_FIR_ITEM = Struct(">IB3x")
_REMB = b"REMB"
_REMB_HEAD_BYTES = 16
_MANTISSA_BITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class GenericNack:
    sender_ssrc: int
    media_ssrc: int
    sequences: tuple[int, ...]
    """16-bit numbers of missing packets, oldest first."""

    def to_bytes(self) -> bytes:
        items = b"".join(_NACK_ITEM.pack(*item) for item in _nack_items(self.sequences))
        return join(NACK_FORMAT, TRANSPORT_FEEDBACK, TWO_SSRCS.pack(self.sender_ssrc, self.media_ssrc) + items)

    @classmethod
    def parse(cls, body: bytes) -> GenericNack:
        sender_ssrc, media_ssrc = two_ssrcs(body)
        if len(body) % _NACK_ITEM.size:
            raise MalformedError("NACK ends early")
        sequences = tuple(
            first + offset & 0xFFFF
            for first, following in _NACK_ITEM.iter_unpack(body[TWO_SSRCS.size :])
            for offset in range(17)
            if not offset or following >> offset - 1 & 1
        )
        return cls(sender_ssrc=sender_ssrc, media_ssrc=media_ssrc, sequences=sequences)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLossIndication:
    sender_ssrc: int
    media_ssrc: int

    def to_bytes(self) -> bytes:
        return join(PLI_FORMAT, PAYLOAD_FEEDBACK, TWO_SSRCS.pack(self.sender_ssrc, self.media_ssrc))

    @classmethod
    def parse(cls, body: bytes) -> PictureLossIndication:
        sender_ssrc, media_ssrc = two_ssrcs(body)
        return cls(sender_ssrc=sender_ssrc, media_ssrc=media_ssrc)


@dataclass(frozen=True, slots=True, kw_only=True)
class FullIntraRequest:
    sender_ssrc: int
    requests: tuple[tuple[int, int], ...]
    """SSRC and command number; a repeated command keeps its number (RFC 5104 section 4.3.1.1)."""

    def to_bytes(self) -> bytes:
        items = b"".join(_FIR_ITEM.pack(*item) for item in self.requests)
        return join(FIR_FORMAT, PAYLOAD_FEEDBACK, TWO_SSRCS.pack(self.sender_ssrc, 0) + items)

    @classmethod
    def parse(cls, body: bytes) -> FullIntraRequest:
        sender_ssrc, _ = two_ssrcs(body)
        if len(body) % _FIR_ITEM.size:
            raise MalformedError("FIR ends early")
        items = tuple((ssrc, number) for ssrc, number in _FIR_ITEM.iter_unpack(body[TWO_SSRCS.size :]))
        return cls(sender_ssrc=sender_ssrc, requests=items)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverEstimatedBitrate:
    """REMB. On the wire the rate is rounded down to 18 significant bits."""

    sender_ssrc: int
    bitrate_bps: int
    ssrcs: tuple[int, ...]

    def to_bytes(self) -> bytes:
        exponent = max(0, self.bitrate_bps.bit_length() - _MANTISSA_BITS)
        mantissa = self.bitrate_bps >> exponent
        rate = bytes((len(self.ssrcs),)) + (exponent << _MANTISSA_BITS | mantissa).to_bytes(3, "big")
        head = TWO_SSRCS.pack(self.sender_ssrc, 0) + _REMB + rate
        return join(APPLICATION_FORMAT, PAYLOAD_FEEDBACK, head + b"".join(map(UINT32.pack, self.ssrcs)))

    @classmethod
    def parse(cls, body: bytes) -> ReceiverEstimatedBitrate | None:
        """None for another application's feedback."""
        sender_ssrc, _ = two_ssrcs(body)
        if body[8:12] != _REMB:
            return None
        if len(body) < _REMB_HEAD_BYTES or len(body) < _REMB_HEAD_BYTES + 4 * body[12]:
            raise MalformedError("REMB ends early")
        rate = int.from_bytes(body[13:16], "big")
        bitrate_bps = (rate & (1 << _MANTISSA_BITS) - 1) << (rate >> _MANTISSA_BITS)
        tail = body[_REMB_HEAD_BYTES : _REMB_HEAD_BYTES + 4 * body[12]]
        return cls(
            sender_ssrc=sender_ssrc,
            bitrate_bps=bitrate_bps,
            ssrcs=tuple(ssrc for (ssrc,) in UINT32.iter_unpack(tail)),
        )


def _nack_items(sequences: Iterable[int]) -> list[tuple[int, int]]:
    """Packet id and bit mask of the 16 that follow it (RFC 4585 section 6.2.1)."""
    items: list[tuple[int, int]] = []
    for sequence in sequences:
        offset = sequence - items[-1][0] & 0xFFFF if items else 0
        if 0 < offset <= 16:
            first, following = items[-1]
            items[-1] = first, following | 1 << offset - 1
        else:
            items.append((sequence, 0))
    return items
