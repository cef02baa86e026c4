"""Sends synthetic streams as an SFU does: RTP, repeated packets, key frames on request, sender reports.

Every frame carries its number and noise, so that what is received can be told apart byte by byte.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from channel_recorder.model import Codec
from channel_recorder.rtc.description import MediaDescription, PayloadType
from channel_recorder.rtc.wire import rtcp
from channel_recorder.rtc.wire.extension_uris import MID_URI, TRANSPORT_CC_URI, VIDEO_ORIENTATION_URI
from channel_recorder.rtc.wire.rtp import RtpPacket

MID_ID, ORIENTATION_ID, TRANSPORT_CC_ID = 3, 4, 5
NTP_ORIGIN_SECONDS = 3.9e9


@dataclass(frozen=True, kw_only=True)
class SentFrame:
    number: int
    data: bytes
    key_frame: bool
    timestamp: int
    """Not wrapped."""
    sent_seconds: float
    sequences: range
    """Not wrapped."""


@dataclass(kw_only=True)
class StreamSettings:
    """One stream. Sound: Opus-like. Pictures: VP8-like."""

    mid: str = "0"
    codec: Codec = Codec.VP8
    ssrc: int = 0x1000
    payload_type: int = 96
    rtx: bool = True
    """Repeats through RTX (RFC 4588), else as they were."""
    nack: bool = True
    rtx_ssrc: int = 0x2000
    rtx_payload_type: int = 97
    interval_seconds: float = 1 / 30
    frames: int = 300
    start_seconds: float = 0.0
    packets_per_frame: int = 3
    key_interval: int = 0
    """Frames between key frames nobody asked for; 0: the first only."""
    first_sequence: int = 100
    first_timestamp: int = 1000
    drift_ppm: float = 0.0
    """Of the RTP clock."""
    probe_interval: int = 0
    """After so many frames follows a packet of padding only; 0: never."""
    answers_key_frame_requests: bool = True
    fir_only: bool = False
    remembered_packets: int = 500
    """For retransmission."""
    repeats: bool = True
    """Answers NACK."""
    extensions: tuple[int, ...] = ()
    """Of MID_ID, ORIENTATION_ID, TRANSPORT_CC_ID."""
    rotations: dict[int, int] = field(default_factory=dict[int, int])
    """Frame number to quarter turns from there on."""

    @property
    def is_sound(self) -> bool:
        return self.codec is Codec.OPUS

    def description(self, announce_ssrc: bool = True) -> MediaDescription:
        """What negotiation would have agreed on."""
        uris = {MID_ID: MID_URI, ORIENTATION_ID: VIDEO_ORIENTATION_URI, TRANSPORT_CC_ID: TRANSPORT_CC_URI}
        key_frames = {"ccm fir"} if self.fir_only else {"nack pli", "ccm fir"}
        feedback = ({"nack"} if self.nack else set()) | (set() if self.is_sound else key_frames | {"goog-remb"})
        if TRANSPORT_CC_ID in self.extensions:
            feedback.add("transport-cc")
        media = PayloadType(
            number=self.payload_type,
            codec=self.codec,
            clock_rate_hz=self.codec.clock_rate_hz,
            feedback=frozenset(feedback),
        )
        rtx = PayloadType(
            number=self.rtx_payload_type,
            codec=None,
            clock_rate_hz=self.codec.clock_rate_hz,
            retransmits=self.payload_type,
        )
        return MediaDescription(
            mid=self.mid,
            kind=self.codec.kind,
            stream_id=f"PA_{self.mid}|camera",
            track_id=f"TR_{self.mid}",
            payload_types=(media, rtx) if self.rtx else (media,),
            ssrc=self.ssrc if announce_ssrc else None,
            rtx_ssrc=self.rtx_ssrc if announce_ssrc and self.rtx else None,
            header_extensions={number: uris[number] for number in self.extensions},
        )


class SyntheticStream:
    """The sending state of one stream."""

    def __init__(self, settings: StreamSettings, seed: int) -> None:
        self.settings = settings
        self.sent: list[SentFrame] = []
        self.number = 0
        """Of the next frame."""
        self.key_frame_requests = 0
        self.nacked_packets = 0
        self._noise = random.Random(seed)
        self._sequence = settings.first_sequence
        self._rtx_sequence = self._noise.randrange(2**16)
        self._rotation = 0
        self._wants_key_frame = True
        self._remembered: OrderedDict[int, RtpPacket] = OrderedDict()
        self._packets = 0

    @property
    def next_seconds(self) -> float:
        settings = self.settings
        number = self.number
        return settings.start_seconds + number * settings.interval_seconds if number < settings.frames else inf

    def timestamp_at(self, now_seconds: float) -> int:
        elapsed = (now_seconds - self.settings.start_seconds) * (1 + self.settings.drift_ppm * 1e-6)
        return self.settings.first_timestamp + round(elapsed * self.settings.codec.clock_rate_hz)

    def next_frame(self, now_seconds: float) -> list[RtpPacket]:
        settings = self.settings
        number = self.number
        self.number += 1
        key_frame = settings.is_sound or self._key_frame_now(number)
        self._rotation = settings.rotations.get(number, self._rotation)
        data, payloads = self._opus(number) if settings.is_sound else self._vp8(number, key_frame)
        first = self._sequence
        timestamp = self.timestamp_at(now_seconds)
        packets = [
            self._packet(payload, timestamp, marker=index == len(payloads) - 1 and not settings.is_sound)
            for index, payload in enumerate(payloads)
        ]
        self.sent.append(
            SentFrame(
                number=number,
                data=data,
                key_frame=key_frame,
                timestamp=timestamp,
                sent_seconds=now_seconds,
                sequences=range(first, self._sequence),
            )
        )
        if settings.probe_interval and number % settings.probe_interval == settings.probe_interval - 1:
            packets.append(self._packet(b"", timestamp, padding_bytes=255))
        return packets

    def report(self, now_seconds: float) -> rtcp.SenderReport:
        return rtcp.SenderReport(
            ssrc=self.settings.ssrc,
            ntp=round((now_seconds + NTP_ORIGIN_SECONDS) * 2**32),
            timestamp=self.timestamp_at(now_seconds) & 0xFFFFFFFF,
            packet_count=self._packets & 0xFFFFFFFF,
        )

    def request_key_frame(self) -> None:
        self.key_frame_requests += 1
        self._wants_key_frame = self.settings.answers_key_frame_requests

    def repeat(self, sequence: int) -> RtpPacket | None:
        self.nacked_packets += 1
        packet = self._remembered.get(sequence)
        if packet is None or not self.settings.repeats or not self.settings.rtx:
            return packet if self.settings.repeats else None
        self._rtx_sequence = self._rtx_sequence + 1 & 0xFFFF
        return RtpPacket(
            payload_type=self.settings.rtx_payload_type,
            sequence=self._rtx_sequence,
            timestamp=packet.timestamp,
            ssrc=self.settings.rtx_ssrc,
            marker=packet.marker,
            payload=packet.sequence.to_bytes(2, "big") + packet.payload,
            extensions=packet.extensions,
        )

    def _key_frame_now(self, number: int) -> bool:
        interval = self.settings.key_interval
        key_frame = self._wants_key_frame or (interval > 0 and number % interval == 0)
        self._wants_key_frame = False
        return key_frame

    def _packet(self, payload: bytes, timestamp: int, marker: bool = False, padding_bytes: int = 0) -> RtpPacket:
        extensions: dict[int, bytes] = {}
        if MID_ID in self.settings.extensions:
            extensions[MID_ID] = self.settings.mid.encode()
        if ORIENTATION_ID in self.settings.extensions and marker:
            extensions[ORIENTATION_ID] = bytes((self._rotation,))
        packet = RtpPacket(
            payload_type=self.settings.payload_type,
            sequence=self._sequence & 0xFFFF,
            timestamp=timestamp & 0xFFFFFFFF,
            ssrc=self.settings.ssrc,
            payload=payload,
            marker=marker,
            extensions=extensions,
            padding_bytes=padding_bytes,
        )
        self._sequence += 1
        self._packets += 1
        if payload:  # servers cannot repeat padding
            self._remember(packet)
        return packet

    def _remember(self, packet: RtpPacket) -> None:
        self._remembered[packet.sequence] = packet
        self._remembered.move_to_end(packet.sequence)
        if len(self._remembered) > self.settings.remembered_packets:
            self._remembered.popitem(last=False)

    def _opus(self, number: int) -> tuple[bytes, list[bytes]]:
        data = b"\xf8" + number.to_bytes(8, "big") + self._noise.randbytes(20)
        return data, [data]

    def _vp8(self, number: int, key_frame: bool) -> tuple[bytes, list[bytes]]:
        header = b"\x10\x00\x00\x9d\x01\x2a\x80\x02\xe0\x01" if key_frame else b"\x11\x00\x00"
        data = header + number.to_bytes(8, "big") + self._noise.randbytes(10 * self.settings.packets_per_frame)
        size = -(-len(data) // self.settings.packets_per_frame)
        descriptor = b"\x80\x80" + (number & 0x7FFF | 0x8000).to_bytes(2, "big")
        payloads = [descriptor + data[start : start + size] for start in range(0, len(data), size)]
        payloads[0] = bytes((payloads[0][0] | 0x10,)) + payloads[0][1:]
        return data, payloads


class SyntheticSender:
    """Streams of one connection."""

    def __init__(
        self,
        *settings: StreamSettings,
        seed: int = 1,
        report_interval_seconds: float = 1.0,
        ssrc: int = 77,
        streams: Sequence[SyntheticStream] = (),
    ) -> None:
        """`streams`: made by the caller, beside those that `settings` describe."""
        self.streams = [*(SyntheticStream(each, seed + index) for index, each in enumerate(settings)), *streams]
        self.feedback: list[rtcp.RtcpPacket] = []
        """Everything the receiver sent, parsed."""
        self._report_interval_seconds = report_interval_seconds
        self._report_seconds = report_interval_seconds
        self._transport_sequence = 65_500
        self._rtp: list[bytes] = []
        self._rtcp: list[bytes] = []

    @property
    def next_seconds(self) -> float:
        """When there is something to send; infinity once all frames are sent."""
        frame_seconds = min(stream.next_seconds for stream in self.streams)
        return min(frame_seconds, self._report_seconds) if frame_seconds < inf else inf

    def handle_timer(self, now_seconds: float) -> None:
        for stream in self.streams:
            while stream.next_seconds <= now_seconds:
                for packet in stream.next_frame(stream.next_seconds):
                    self._send(stream, packet)
        if now_seconds >= self._report_seconds:
            self._report_seconds += self._report_interval_seconds
            self._rtcp.append(b"".join(s.report(now_seconds).to_bytes() for s in self.streams if s.sent))

    def receive_rtcp(self, compound: bytes) -> None:
        for packet in rtcp.parse(compound):
            self.feedback.append(packet)
            for stream in self.streams:
                self._answer(stream, packet)

    def packets_to_send(self) -> tuple[list[bytes], list[bytes]]:
        """RTP and RTCP."""
        packets = self._rtp, [compound for compound in self._rtcp if compound]
        self._rtp, self._rtcp = [], []
        return packets

    def _answer(self, stream: SyntheticStream, packet: rtcp.RtcpPacket) -> None:
        ssrc = stream.settings.ssrc
        if isinstance(packet, rtcp.GenericNack) and packet.media_ssrc == ssrc:
            for sequence in packet.sequences:
                repeated = stream.repeat(sequence)
                if repeated is not None:
                    self._send(stream, repeated)
        elif (isinstance(packet, rtcp.PictureLossIndication) and packet.media_ssrc == ssrc) or (
            isinstance(packet, rtcp.FullIntraRequest) and ssrc in dict(packet.requests)
        ):
            stream.request_key_frame()

    def _send(self, stream: SyntheticStream, packet: RtpPacket) -> None:
        if TRANSPORT_CC_ID in stream.settings.extensions:
            number = self._transport_sequence = self._transport_sequence + 1 & 0xFFFF
            packet.extensions = {**packet.extensions, TRANSPORT_CC_ID: number.to_bytes(2, "big")}
        self._rtp.append(packet.to_bytes())
