"""Packets and descriptions by hand, for tests of one stage."""

from __future__ import annotations

from collections.abc import Mapping

from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import MediaDescription, PayloadType
from channel_recorder.rtc.receive.receiver import Receiver
from channel_recorder.rtc.wire import rtcp
from channel_recorder.rtc.wire.rtp import RtpPacket
from tests.sim.call import Collector

SSRC, RTX_SSRC, OURS = 0x1111, 0x2222, 9
VP8, VP8_RTX, H264, OPUS, OPUS_RTX = 96, 97, 102, 111, 112
VIDEO_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir"})

KEY = b"\x10" + b"\x10\x00\x00\x9d\x01\x2a\x40\x01\xf0\x00"
"""A VP8 key frame of 320x240 in one payload: descriptor and frame."""
DELTA = b"\x10" + b"\x11\x00\x00"


def payload_type(number: int, codec: Codec | None, feedback: frozenset[str] = VIDEO_FEEDBACK) -> PayloadType:
    retransmits = {VP8_RTX: VP8, OPUS_RTX: OPUS}.get(number)
    clock_rate_hz = 48_000 if number in (OPUS, OPUS_RTX) else 90_000
    return PayloadType(
        number=number, codec=codec, clock_rate_hz=clock_rate_hz, feedback=feedback, retransmits=retransmits
    )


def video(
    mid: str = "0",
    ssrc: int | None = SSRC,
    rtx_ssrc: int | None = RTX_SSRC,
    feedback: frozenset[str] = VIDEO_FEEDBACK,
    extensions: Mapping[int, str] | None = None,
) -> MediaDescription:
    return MediaDescription(
        mid=mid,
        kind=MediaKind.VIDEO,
        stream_id="PA_1",
        track_id="TR_1",
        payload_types=(
            payload_type(VP8, Codec.VP8, feedback),
            payload_type(H264, Codec.H264, feedback),
            payload_type(VP8_RTX, None, frozenset()),
        ),
        ssrc=ssrc,
        rtx_ssrc=rtx_ssrc,
        header_extensions=extensions or {},
    )


def audio(mid: str = "1", ssrc: int | None = SSRC, rtx_ssrc: int | None = None) -> MediaDescription:
    return MediaDescription(
        mid=mid,
        kind=MediaKind.AUDIO,
        stream_id="PA_1",
        track_id="TR_2",
        payload_types=(
            payload_type(OPUS, Codec.OPUS, frozenset({"nack"})),
            payload_type(OPUS_RTX, None, frozenset()),
        ),
        ssrc=ssrc,
        rtx_ssrc=rtx_ssrc,
    )


class Wire:
    """Hands packets to a receiver one by one; time stands still unless it is told."""

    def __init__(self, *media: MediaDescription) -> None:
        self.receiver = Receiver(ssrc=OURS)
        self.collector = Collector()
        self.now = 100.0
        for each in media:
            self.receiver.add_media(each, self.collector, self.now)

    def send(
        self,
        sequence: int,
        payload: bytes,
        timestamp: int,
        *,
        marker: bool = True,
        number: int = VP8,
        ssrc: int = SSRC,
        extensions: Mapping[int, bytes] | None = None,
        padding_bytes: int = 0,
    ) -> None:
        packet = RtpPacket(
            payload_type=number,
            sequence=sequence & 0xFFFF,
            timestamp=timestamp & 0xFFFFFFFF,
            ssrc=ssrc,
            payload=payload,
            marker=marker,
            extensions=extensions or {},
            padding_bytes=padding_bytes,
        )
        self.receiver.receive_rtp(packet.to_bytes(), self.now)

    def repeat(self, sequence: int, payload: bytes, timestamp: int, *, marker: bool = True) -> None:
        """Through RTX."""
        original = sequence.to_bytes(2, "big") + payload
        self.send(7, original, timestamp, marker=marker, number=VP8_RTX, ssrc=RTX_SSRC)

    def feedback(self) -> list[rtcp.RtcpPacket]:
        """What the receiver would send now, without its regular reports."""
        packets = [packet for compound in self.receiver.rtcp_to_send(self.now) for packet in rtcp.parse(compound)]
        regular = rtcp.ReceiverReport | rtcp.SourceDescription | rtcp.ReceiverEstimatedBitrate
        return [packet for packet in packets if not isinstance(packet, regular)]

    def wait(self, seconds: float) -> list[rtcp.RtcpPacket]:
        """Lets time pass as a driver does: every timer is served at its time."""
        until = self.now + seconds
        packets: list[rtcp.RtcpPacket] = []
        while self.receiver.next_timer_seconds <= until:
            self.now = max(self.now, self.receiver.next_timer_seconds)
            packets += self.feedback()
        self.now = until
        return packets

    @property
    def delivered(self) -> list[tuple[int, bytes]]:
        return [(frame.timestamp, frame.data) for frame in self.collector.frames]
