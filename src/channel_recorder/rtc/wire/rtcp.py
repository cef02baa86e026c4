"""RTCP compounds: bytes <-> values. Each packet value has `to_bytes()`; a compound is their concatenation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from channel_recorder.rtc.wire.feedback import (
    APPLICATION_FORMAT,
    FIR_FORMAT,
    NACK_FORMAT,
    PAYLOAD_FEEDBACK,
    PLI_FORMAT,
    TRANSPORT_FEEDBACK,
    FullIntraRequest,
    GenericNack,
    PictureLossIndication,
    ReceiverEstimatedBitrate,
)
from channel_recorder.rtc.wire.reports import (
    GOODBYE,
    RECEIVER_REPORT,
    SENDER_REPORT,
    SOURCE_DESCRIPTION,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
)
from channel_recorder.rtc.wire.rtcp_packet import RawPacket, split_compound
from channel_recorder.rtc.wire.transport_feedback import TRANSPORT_CC_FORMAT, TransportFeedback

__all__ = [
    "FullIntraRequest",
    "GenericNack",
    "Goodbye",
    "PictureLossIndication",
    "ReceiverEstimatedBitrate",
    "ReceiverReport",
    "ReportBlock",
    "RtcpPacket",
    "SenderReport",
    "SourceDescription",
    "TransportFeedback",
    "compounds",
    "parse",
]

MAX_COMPOUND_BYTES: Final = 1200

RtcpPacket = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Goodbye
    | GenericNack
    | PictureLossIndication
    | FullIntraRequest
    | ReceiverEstimatedBitrate
    | TransportFeedback
)


def parse(compound: bytes) -> list[RtcpPacket]:
    """The packets of a compound, or of a reduced-size packet (RFC 5506); unknown types are skipped.

    Raises `MalformedError` if any part is broken.
    """
    packets = (_parse_one(raw) for raw in split_compound(compound))
    return [packet for packet in packets if packet is not None]


def compounds(packets: Iterable[RtcpPacket]) -> Iterator[bytes]:
    """As few datagrams as hold them, in order."""
    compound = b""
    for packet in packets:
        data = packet.to_bytes()
        if compound and len(compound) + len(data) > MAX_COMPOUND_BYTES:
            yield compound
            compound = b""
        compound += data
    if compound:
        yield compound


def _parse_one(raw: RawPacket) -> RtcpPacket | None:
    subtype, packet_type, body = raw
    if packet_type == SENDER_REPORT:
        return SenderReport.parse(subtype, body)
    if packet_type == RECEIVER_REPORT:
        return ReceiverReport.parse(subtype, body)
    if packet_type == SOURCE_DESCRIPTION:
        return SourceDescription.parse(subtype, body)
    if packet_type == GOODBYE:
        return Goodbye.parse(subtype, body)
    parse_feedback = _FEEDBACK.get((packet_type, subtype))
    return parse_feedback(body) if parse_feedback else None


_FEEDBACK: Final[Mapping[tuple[int, int], Callable[[bytes], RtcpPacket | None]]] = {
    (TRANSPORT_FEEDBACK, NACK_FORMAT): GenericNack.parse,
    (TRANSPORT_FEEDBACK, TRANSPORT_CC_FORMAT): TransportFeedback.parse,
    (PAYLOAD_FEEDBACK, PLI_FORMAT): PictureLossIndication.parse,
    (PAYLOAD_FEEDBACK, FIR_FORMAT): FullIntraRequest.parse,
    (PAYLOAD_FEEDBACK, APPLICATION_FORMAT): ReceiverEstimatedBitrate.parse,
}
