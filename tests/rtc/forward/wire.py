"""Packets by hand, through the server to one or more subscribers; time stands still unless it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import MediaDescription, PayloadType, SendDescription
from channel_recorder.rtc.forward.down_track import DownTrack
from channel_recorder.rtc.forward.downlink import Downlink
from channel_recorder.rtc.forward.uplink import Uplink
from channel_recorder.rtc.wire import rtcp
from channel_recorder.rtc.wire.rtp import RtpPacket, parse
from tests.rtc.receive.packets import OPUS, RTX_SSRC, SSRC, VP8, VP8_RTX, audio, payload_type, video

OUT_SSRC, OUT_RTX_SSRC = 0xA000, 0xA001
OUT_VP8, OUT_VP8_RTX, OUT_OPUS, OUT_H264 = 120, 121, 109, 125
MIDDLE = b"\x00more"
"""A VP8 payload that begins nothing."""

__all__ = ["OPUS", "RTX_SSRC", "SSRC", "VP8", "VP8_RTX", "audio", "payload_type", "video"]


def send_description(
    *,
    rtx: bool = True,
    ssrc: int = OUT_SSRC,
    payload_types: Sequence[PayloadType] | None = None,
    extensions: Mapping[int, str] | None = None,
    kind: MediaKind = MediaKind.VIDEO,
) -> SendDescription:
    types = (
        PayloadType(number=OUT_VP8, codec=Codec.VP8, clock_rate_hz=90_000),
        PayloadType(number=OUT_VP8_RTX, codec=None, clock_rate_hz=90_000, retransmits=OUT_VP8),
        PayloadType(number=OUT_OPUS, codec=Codec.OPUS, clock_rate_hz=48_000, channels=2),
    )
    return SendDescription(
        mid="s",
        kind=kind,
        payload_types=types if payload_types is None else tuple(payload_types),
        ssrc=ssrc,
        rtx_ssrc=ssrc + 1 if rtx else None,
        header_extensions=extensions or {},
    )


class Wire:
    def __init__(self, *media: MediaDescription) -> None:
        self.now = 100.0
        self.uplink = Uplink(ssrc=9)
        self.tracks = [self.uplink.add_media(each, self.now) for each in media]
        self.sent: list[RtpPacket] = []
        self.raw: list[bytes] = []
        self.downlink = self.new_downlink()

    def new_downlink(self) -> Downlink:
        return Downlink(send=self._sent, cname="server", clock_offset_seconds=1000.0)

    def subscribe(self, description: SendDescription | None = None, index: int = 0) -> DownTrack:
        down = DownTrack(self.tracks[index])
        self.downlink.add_track(down, description or send_description(), self.now)
        return down

    def send(
        self,
        sequence: int,
        payload: bytes,
        timestamp: int = 0,
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
        self.uplink.receive_rtp(packet.to_bytes(), self.now)

    def report(self, timestamp: int, ntp_seconds: float, ssrc: int = SSRC) -> None:
        report = rtcp.SenderReport(ssrc=ssrc, ntp=round(ntp_seconds * 2**32), timestamp=timestamp & 0xFFFFFFFF)
        self.uplink.receive_rtcp(report.to_bytes(), self.now)

    def ask(self, *packets: rtcp.RtcpPacket) -> None:
        """The far side sends feedback."""
        self.downlink.receive_rtcp(b"".join(packet.to_bytes() for packet in packets), self.now)

    def nack(self, *sequences: int, ssrc: int = OUT_SSRC) -> None:
        self.ask(rtcp.GenericNack(sender_ssrc=1, media_ssrc=ssrc, sequences=sequences))

    def take(self) -> list[RtpPacket]:
        """What went out since the last call."""
        sent, self.sent, self.raw = self.sent, [], []
        return sent

    def numbers(self) -> list[int]:
        return [packet.sequence for packet in self.take()]

    def feedback(self) -> list[rtcp.RtcpPacket]:
        """To the publisher, now, without regular reports."""
        regular = rtcp.ReceiverReport | rtcp.SourceDescription
        return [packet for packet in self.upward() if not isinstance(packet, regular)]

    def upward(self) -> list[rtcp.RtcpPacket]:
        return [packet for compound in self.uplink.rtcp_to_send(self.now) for packet in rtcp.parse(compound)]

    def downward(self) -> list[rtcp.RtcpPacket]:
        return [packet for compound in self.downlink.rtcp_to_send(self.now) for packet in rtcp.parse(compound)]

    def wait(self, seconds: float) -> list[rtcp.RtcpPacket]:
        """Lets time pass as a driver does; returns what went up."""
        until = self.now + seconds
        packets: list[rtcp.RtcpPacket] = []
        while self.uplink.next_timer_seconds <= until:
            self.now = max(self.now, self.uplink.next_timer_seconds)
            packets += self.upward()
        self.now = until
        return packets

    def _sent(self, packet: bytes) -> None:
        self.raw.append(packet)
        self.sent.append(parse(packet))
