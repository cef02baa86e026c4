"""What forwarding costs between the decrypted packet and the packets to encrypt: processor time, without sockets.

A publisher's packet is received once and rewritten for every subscriber. The first figure of a case is what a packet
costs with no subscriber, the second what each subscriber adds: its own header, and a place in its history.

python -m bench.forwarding
"""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench import report
from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import MediaDescription, PayloadType, SendDescription
from channel_recorder.rtc.forward.down_track import DownTrack
from channel_recorder.rtc.forward.downlink import Downlink
from channel_recorder.rtc.forward.uplink import Uplink
from channel_recorder.rtc.wire.extension_uris import AUDIO_LEVEL_URI, MID_URI, RID_URI, TRANSPORT_CC_URI
from channel_recorder.rtc.wire.rtp import RtpPacket

GOAL_US = 1.5
PACKETS = 20_000
ROUNDS = 5
SUBSCRIBERS = 10
MID_ID, RID_ID, LEVEL_ID, TRANSPORT_CC_ID = 4, 10, 1, 3
EXTENSIONS = {MID_ID: MID_URI, RID_ID: RID_URI, LEVEL_ID: AUDIO_LEVEL_URI, TRANSPORT_CC_ID: TRANSPORT_CC_URI}
_KEY = b"\x10\x00\x00\x9d\x01\x2a\x80\x02\xe0\x01"
_DELTA = b"\x11\x00\x00"


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    codec: Codec
    packets_per_frame: int = 1
    payload_bytes: int = 1100
    extended: bool = False
    """With the header extensions that browsers send."""
    switched: bool = False
    """From a layer with other picture ids."""

    def media(self) -> MediaDescription:
        feedback = frozenset({"nack", "nack pli"} | ({"transport-cc"} if self.extended else set[str]()))
        return MediaDescription(
            mid="0",
            kind=self.codec.kind,
            stream_id="-",
            track_id="t",
            payload_types=(self.payload_type(feedback),),
            header_extensions=EXTENSIONS if self.extended or self.switched else {},
            rids=("q", "f") if self.switched else (),
        )

    def payload_type(self, feedback: frozenset[str] = frozenset()) -> PayloadType:
        return PayloadType(number=96, codec=self.codec, clock_rate_hz=self.codec.clock_rate_hz, feedback=feedback)

    def packets(self) -> list[bytes]:
        return [self.packet(number, ssrc=5) for number in range(PACKETS)]

    def packet(self, number: int, *, ssrc: int, rid: bytes = b"f") -> bytes:
        frame, index = divmod(number, self.packets_per_frame)
        extensions: dict[int, bytes] = {}
        if self.extended:
            level = {LEVEL_ID: b"\x20"} if self.codec is Codec.OPUS else {}
            extensions = {**level, TRANSPORT_CC_ID: (number & 0xFFFF).to_bytes(2, "big"), MID_ID: b"0"}
        if self.switched and not number:
            extensions = {MID_ID: b"0", RID_ID: rid}
        return RtpPacket(
            payload_type=96,
            sequence=number & 0xFFFF,
            timestamp=frame * 3000,
            ssrc=ssrc,
            marker=self.codec is not Codec.OPUS and index == self.packets_per_frame - 1,
            payload=self._payload(frame, index, first_picture=0x1234 if rid == b"q" else 0),
            extensions=extensions,
        ).to_bytes()

    def _payload(self, frame: int, index: int, first_picture: int) -> bytes:
        if self.codec is Codec.OPUS:
            return b"\xf8" + bytes(self.payload_bytes)
        picture = (frame + first_picture & 0x7FFF | 0x8000).to_bytes(2, "big")
        descriptor = bytes((0x80 if index else 0x90, 0xF0)) + picture + bytes((frame & 0xFF, 1))
        start = b"" if index else _DELTA if frame else _KEY
        return descriptor + start + bytes(self.payload_bytes)


CASES = (
    Case(name="Opus", codec=Codec.OPUS, payload_bytes=80),
    Case(name="Opus with the extensions of browsers", codec=Codec.OPUS, payload_bytes=80, extended=True),
    Case(name="VP8, 1 packet a picture", codec=Codec.VP8),
    Case(name="VP8, 5 packets a picture", codec=Codec.VP8, packets_per_frame=5),
    Case(name="VP8, 5 packets, extensions", codec=Codec.VP8, packets_per_frame=5, extended=True),
    Case(name="VP8, 5 packets, after a switch", codec=Codec.VP8, packets_per_frame=5, switched=True),
)


class _Sink:
    """Counts what would be encrypted."""

    packets = 0

    def send(self, packet: bytes) -> None:
        self.packets += 1


def measure() -> list[report.Figure]:
    figures: list[report.Figure] = []
    for case in CASES:
        packets = case.packets()
        alone = report.median(_microseconds(case, packets, 0) for _ in range(ROUNDS))
        together = report.median(_microseconds(case, packets, SUBSCRIBERS) for _ in range(ROUNDS))
        figures += [
            report.Figure(what=f"received, a packet ({case.name})", value=alone, unit="us"),
            report.Figure(
                what=f"forwarded, a packet and subscriber ({case.name})",
                value=(together - alone) / SUBSCRIBERS,
                unit="us",
                at_most=GOAL_US,
            ),
        ]
    return figures


def _microseconds(case: Case, packets: Sequence[bytes], subscribers: int) -> float:
    """A packet."""
    uplink, sink = Uplink(ssrc=1), _Sink()
    track = uplink.add_media(case.media(), 0.0)
    for index in range(subscribers):
        downlink = Downlink(send=sink.send, cname="bench", clock_offset_seconds=0.0)
        description = SendDescription(
            mid="0", kind=MediaKind(case.codec.kind), payload_types=(case.payload_type(),), ssrc=1000 + index
        )
        downlink.add_track(DownTrack(track), description, 0.0)
    if case.switched:
        for number in range(case.packets_per_frame):
            uplink.receive_rtp(case.packet(number, ssrc=6, rid=b"q"), 0.0)
    sent_before = sink.packets
    now = 0.0
    gc.collect()
    begin = time.process_time()
    for packet in packets:
        uplink.receive_rtp(packet, now)
        now += 0.001
    spent = time.process_time() - begin
    if sink.packets - sent_before != subscribers * len(packets):
        raise RuntimeError(f"{case.name}: {sink.packets - sent_before} of {subscribers * len(packets)} were forwarded")
    return spent / len(packets) * 1e6


if __name__ == "__main__":
    report.run("Forwarding", measure)
