"""RTCP reports: SR, RR, SDES and BYE (RFC 3550 section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.wire.rtcp_packet import UINT32, join

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
GOODBYE: Final = 203
MAX_BLOCKS: Final = 31

_CNAME = 1
_BLOCK = Struct(">IIIIII")
_SENDER = Struct(">IQIII")
_MAX_LOST = 2**23 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBlock:
    """Reception of one source (section 6.4.1)."""

    ssrc: int
    fraction_lost: int
    """Of 256, since the report before."""
    packets_lost: int
    """Signed, since the beginning; kept within 24 bits."""
    highest_sequence: int
    """32 bits: cycles and sequence number."""
    jitter_ticks: int
    last_report: int = 0
    """Middle 32 bits of the NTP time of the last sender report; 0: none came yet."""
    delay_since_last_report: int = 0
    """In 1/65536 s."""

    def to_bytes(self) -> bytes:
        lost = max(-_MAX_LOST - 1, min(self.packets_lost, _MAX_LOST)) & 0xFFFFFF
        return _BLOCK.pack(
            self.ssrc,
            self.fraction_lost << 24 | lost,
            self.highest_sequence,
            self.jitter_ticks,
            self.last_report,
            self.delay_since_last_report,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    ssrc: int
    ntp: int
    """Seconds since 1900 in 1/2**32."""
    timestamp: int
    packet_count: int = 0
    octet_count: int = 0
    reports: tuple[ReportBlock, ...] = ()

    @property
    def ntp_seconds(self) -> float:
        return self.ntp / 2**32

    def to_bytes(self) -> bytes:
        head = _SENDER.pack(self.ssrc, self.ntp, self.timestamp, self.packet_count, self.octet_count)
        return join(len(self.reports), SENDER_REPORT, head + _build_blocks(self.reports))

    @classmethod
    def parse(cls, count: int, body: bytes) -> SenderReport:
        reports = _parse_blocks(body, _SENDER.size, count)
        ssrc, ntp, timestamp, packet_count, octet_count = _SENDER.unpack_from(body)
        return cls(
            ssrc=ssrc,
            ntp=ntp,
            timestamp=timestamp,
            packet_count=packet_count,
            octet_count=octet_count,
            reports=reports,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverReport:
    ssrc: int
    reports: tuple[ReportBlock, ...] = ()
    """At most `MAX_BLOCKS`."""

    def to_bytes(self) -> bytes:
        return join(len(self.reports), RECEIVER_REPORT, UINT32.pack(self.ssrc) + _build_blocks(self.reports))

    @classmethod
    def parse(cls, count: int, body: bytes) -> ReceiverReport:
        reports = _parse_blocks(body, UINT32.size, count)
        return cls(ssrc=UINT32.unpack_from(body)[0], reports=reports)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDescription:
    """CNAME by SSRC; other items are left out."""

    cnames: tuple[tuple[int, str], ...]

    def to_bytes(self) -> bytes:
        return join(len(self.cnames), SOURCE_DESCRIPTION, b"".join(_build_chunk(*chunk) for chunk in self.cnames))

    @classmethod
    def parse(cls, count: int, body: bytes) -> SourceDescription:
        cnames: list[tuple[int, str]] = []
        position = 0
        for _ in range(count):
            if len(body) < position + UINT32.size:
                raise MalformedError("SDES ends early")
            (ssrc,) = UINT32.unpack_from(body, position)
            cname, position = _parse_items(body, position + UINT32.size)
            if cname is not None:
                cnames.append((ssrc, cname))
        return cls(cnames=tuple(cnames))


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodbye:
    ssrcs: tuple[int, ...]
    reason: str = ""

    def to_bytes(self) -> bytes:
        reason = self.reason.encode()[:255]
        tail = _padded(bytes((len(reason),)) + reason) if reason else b""
        return join(len(self.ssrcs), GOODBYE, b"".join(map(UINT32.pack, self.ssrcs)) + tail)

    @classmethod
    def parse(cls, count: int, body: bytes) -> Goodbye:
        end = 4 * count
        if len(body) < end:
            raise MalformedError("BYE ends early")
        reason = body[end + 1 : end + 1 + body[end]] if len(body) > end else b""
        ssrcs = tuple(ssrc for (ssrc,) in UINT32.iter_unpack(body[:end]))
        return cls(ssrcs=ssrcs, reason=reason.decode(errors="replace"))


def _build_blocks(reports: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(report.to_bytes() for report in reports)


def _parse_blocks(body: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    end = start + count * _BLOCK.size
    if len(body) < end:  # what follows the blocks is a profile's extension
        raise MalformedError("RTCP report ends early")
    return tuple(_parse_block(*fields) for fields in _BLOCK.iter_unpack(body[start:end]))


def _parse_block(ssrc: int, losses: int, highest: int, jitter: int, last: int, delay: int) -> ReportBlock:
    lost = losses & 0xFFFFFF
    return ReportBlock(
        ssrc=ssrc,
        fraction_lost=losses >> 24,
        packets_lost=lost - 2**24 if lost > _MAX_LOST else lost,
        highest_sequence=highest,
        jitter_ticks=jitter,
        last_report=last,
        delay_since_last_report=delay,
    )


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _build_chunk(ssrc: int, cname: str) -> bytes:
    text = cname.encode()[:255]
    return _padded(UINT32.pack(ssrc) + bytes((_CNAME, len(text))) + text + b"\0")


def _parse_items(body: bytes, position: int) -> tuple[str | None, int]:
    """The CNAME among the items of a chunk, and where the next chunk begins."""
    cname = None
    while position < len(body):
        kind = body[position]
        if not kind:
            return cname, (position + 4) // 4 * 4
        value_end = position + 2 + (body[position + 1] if position + 1 < len(body) else 0)
        if position + 1 == len(body) or value_end > len(body):
            break
        if kind == _CNAME:
            cname = body[position + 2 : value_end].decode(errors="replace")
        position = value_end
    raise MalformedError("SDES items end early")
