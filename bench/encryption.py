"""What end-to-end encryption costs: RTP to delivered frame, sealed against in clear, without socket and SRTP.

The difference is the opening of the frame; everything behind it is the same. The whole path, from the datagram to
the file, is in bench.packet_path.

python -m bench.encryption
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench import report
from channel_recorder.e2ee.frames import FrameOpener
from channel_recorder.e2ee.keys import KeyMaterial
from channel_recorder.e2ee.store import GivenKey, KeyStore
from channel_recorder.model import Codec, EncodedFrame
from channel_recorder.rtc.description import MediaDescription, PayloadType, TrackListener
from channel_recorder.rtc.receive.receiver import Receiver
from channel_recorder.rtc.wire.rtp import RtpPacket

FRAMES = 5_000
ROUNDS = 9
SSRC = 5
GOAL_US = 4.0
"""Of a frame; a packet may cost 10 us from the datagram to the file."""
PACKET_BYTES = 1100
KEY = KeyMaterial(secret=b"a passphrase of the room")
_VP8_KEY = b"\x10\x00\x00\x9d\x01\x2a\x80\x02\xe0\x01"
_VP8_DELTA = b"\x11\x00\x00"


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    codec: Codec
    frame_bytes: int

    def packets(self, cipher: AESGCM | None) -> list[bytes]:
        packets: list[bytes] = []
        for number in range(FRAMES):
            header = self._header(number)
            body = bytes(self.frame_bytes)
            if cipher is not None:
                iv = number.to_bytes(12, "big")
                body = cipher.encrypt(iv, body, header) + iv + b"\x0c\x00"
            packets += self._packets_of(header + body, number, len(packets))
        return packets

    def _header(self, number: int) -> bytes:
        if self.codec is Codec.OPUS:
            return b"\xf8"
        return _VP8_DELTA if number else _VP8_KEY

    def _packets_of(self, frame: bytes, number: int, sequence: int) -> list[bytes]:
        payloads = self._payloads(frame)
        return [
            RtpPacket(
                payload_type=96,
                sequence=sequence + index & 0xFFFF,
                timestamp=number * 3000,
                ssrc=SSRC,
                marker=self.codec is not Codec.OPUS and index == len(payloads) - 1,
                payload=payload,
            ).to_bytes()
            for index, payload in enumerate(payloads)
        ]

    def _payloads(self, frame: bytes) -> list[bytes]:
        if self.codec is Codec.OPUS:
            return [frame]
        parts = [frame[start : start + PACKET_BYTES] for start in range(0, len(frame), PACKET_BYTES)]
        return [(b"\x00" if index else b"\x10") + part for index, part in enumerate(parts)]

    def description(self) -> MediaDescription:
        payload_type = PayloadType(number=96, codec=self.codec, clock_rate_hz=self.codec.clock_rate_hz)
        return MediaDescription(
            mid="0",
            kind=self.codec.kind,
            stream_id="PA_1",
            track_id="TR_1",
            payload_types=(payload_type,),
            ssrc=SSRC,
        )


class _Clear:
    """A TrackListener that counts."""

    def __init__(self) -> None:
        self.frames = 0

    def on_frame(self, frame: EncodedFrame) -> None:
        self.frames += 1

    def on_sender_report(self, timestamp: int, ntp_seconds: float, arrival_seconds: float) -> None: ...

    def on_restart(self) -> None: ...


class _Unsealing(_Clear):
    def __init__(self) -> None:
        super().__init__()
        store = KeyStore([GivenKey(material=KEY)], lambda work: work(), ratchet_window=0)
        self.unseal = FrameOpener(store, "7").open

    def on_sealed_frame(self, frame: EncodedFrame, units: Sequence[bytes]) -> None: ...


CASES = (
    Case(name="Opus, 80 bytes", codec=Codec.OPUS, frame_bytes=80),
    Case(name="VP8, 1 packet a picture", codec=Codec.VP8, frame_bytes=1000),
    Case(name="VP8, 3 packets a picture", codec=Codec.VP8, frame_bytes=3200),
)


def measure() -> list[report.Figure]:
    cipher = AESGCM(KEY.key())
    return [_figure_of(case, cipher) for case in CASES]


def _figure_of(case: Case, cipher: AESGCM) -> report.Figure:
    clear, sealed = case.packets(None), case.packets(cipher)
    rounds = [(_us_per_frame(case, clear, _Clear()), _us_per_frame(case, sealed, _Unsealing())) for _ in range(ROUNDS)]
    in_clear, opened = min(each[0] for each in rounds), min(each[1] for each in rounds)
    packets = len(clear) / FRAMES
    return report.Figure(
        what=f"an encrypted frame opened ({case.name})",
        value=opened - in_clear,
        unit="us",
        at_most=GOAL_US,
        note=f"from RTP to the frame {in_clear:.1f} in clear, {opened:.1f} encrypted; a packet {opened / packets:.1f}",
    )


def _us_per_frame(case: Case, packets: Sequence[bytes], listener: _Clear) -> float:
    receiver = Receiver(ssrc=1)
    track: TrackListener = listener
    receiver.add_media(case.description(), track, 0.0)
    receive_rtp = receiver.receive_rtp
    begun_seconds = time.process_time()
    for packet in packets:
        receive_rtp(packet, 0.0)
    seconds = time.process_time() - begun_seconds
    if listener.frames != FRAMES:
        raise RuntimeError(f"{case.name}: {listener.frames} frames of {FRAMES}")
    return seconds / FRAMES * 1e6


if __name__ == "__main__":
    report.run("end-to-end encryption", measure)
