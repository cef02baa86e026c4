"""Cost of a packet that arrives in order: RTP header to delivered frame, without socket and SRTP.

python -m bench.receive_path
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from channel_recorder.model import Codec, EncodedFrame
from channel_recorder.rtc.description import MediaDescription, PayloadType
from channel_recorder.rtc.receive.receiver import Receiver
from channel_recorder.rtc.wire.rtp import RtpPacket

TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
PACKETS = 20_000
ROUNDS = 7
SSRC = 5
_KEY = b"\x10\x00\x00\x9d\x01\x2a\x80\x02\xe0\x01"
_DELTA = b"\x11\x00\x00"


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    codec: Codec
    packets_per_frame: int = 1
    payload_bytes: int = 1100
    transport_cc: bool = False

    def description(self) -> MediaDescription:
        feedback = frozenset({"nack", "nack pli"} | ({"transport-cc"} if self.transport_cc else set[str]()))
        payload_type = PayloadType(
            number=96, codec=self.codec, clock_rate_hz=self.codec.clock_rate_hz, feedback=feedback
        )
        return MediaDescription(
            mid="0",
            kind=self.codec.kind,
            stream_id="PA_1",
            track_id="TR_1",
            payload_types=(payload_type,),
            ssrc=SSRC,
            header_extensions={5: TRANSPORT_CC},
        )

    def packets(self) -> Iterator[bytes]:
        for number in range(PACKETS):
            frame, index = divmod(number, self.packets_per_frame)
            yield RtpPacket(
                payload_type=96,
                sequence=number & 0xFFFF,
                timestamp=frame * 3000,
                ssrc=SSRC,
                marker=self.codec is not Codec.OPUS and index == self.packets_per_frame - 1,
                payload=self._payload(frame, index),
                extensions={5: (number & 0xFFFF).to_bytes(2, "big")} if self.transport_cc else {},
            ).to_bytes()

    def _payload(self, frame: int, index: int) -> bytes:
        if self.codec is Codec.OPUS:
            return b"\xf8" + bytes(self.payload_bytes)
        descriptor = bytes((0x80 if index else 0x90, 0x80)) + (frame & 0x7FFF | 0x8000).to_bytes(2, "big")
        start = b"" if index else _DELTA if frame else _KEY
        return descriptor + start + bytes(self.payload_bytes)


class _Listener:
    frames = 0

    def on_frame(self, frame: EncodedFrame) -> None:
        self.frames += 1

    def on_sender_report(self, timestamp: int, ntp_seconds: float, arrival_seconds: float) -> None: ...

    def on_restart(self) -> None: ...


def microseconds_per_packet(case: Case) -> float:
    """Best of several rounds, each with a new receiver."""
    packets = list(case.packets())
    best_seconds = float("inf")
    for _ in range(ROUNDS):
        receiver, listener = Receiver(ssrc=1), _Listener()
        receiver.add_media(case.description(), listener, 0.0)
        receive_rtp = receiver.receive_rtp
        now_seconds = 0.0
        begun_seconds = time.perf_counter()
        for packet in packets:
            receive_rtp(packet, now_seconds)
            now_seconds += 0.001
        best_seconds = min(best_seconds, time.perf_counter() - begun_seconds)
        if listener.frames != PACKETS // case.packets_per_frame:
            raise RuntimeError(f"{case.name}: {listener.frames} frames")
    return best_seconds / PACKETS * 1e6


def main() -> None:
    cases = (
        Case(name="Opus", codec=Codec.OPUS, payload_bytes=80),
        Case(name="VP8, 1 packet a frame", codec=Codec.VP8),
        Case(name="VP8, 5 packets a frame", codec=Codec.VP8, packets_per_frame=5),
        Case(name="VP8, 1 packet a frame, transport-cc", codec=Codec.VP8, transport_cc=True),
    )
    for case in cases:
        print(f"{case.name:40} {microseconds_per_packet(case):5.2f} us/packet")


if __name__ == "__main__":
    main()
