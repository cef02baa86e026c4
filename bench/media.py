"""RTP streams as an SFU sends them, of usual sizes: random bytes behind real headers, since passthrough never looks
inside. Made once and encrypted once, to be sent to many."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator, Sequence

from pylibsrtp import Policy, Session

from channel_recorder.model import Codec
from channel_recorder.rtc.description import MediaDescription, PayloadType
from channel_recorder.rtc.peer.srtp import AEAD_AES_128_GCM, SrtpKeys
from channel_recorder.rtc.wire import rtcp
from channel_recorder.rtc.wire.rtp import RtpPacket

WIDTH, HEIGHT = 320, 240
FPS = 15
SOUND_HZ = 50
SOUND_BYTES = 80
PICTURE_BYTES = 1667
"""200 kbit/s at 15 pictures/s: two packets."""
KEY_FRAME_BYTES = 6000
MAX_PAYLOAD_BYTES = 1180
NTP_OFFSET_SECONDS = 2_208_988_800
"""From 1900 to 1970."""

_NOISE = random.Random(1)
_KEY = bytes(range(AEAD_AES_128_GCM.key_bytes + AEAD_AES_128_GCM.salt_bytes))
KEYS = SrtpKeys(profile=AEAD_AES_128_GCM, local=_KEY, remote=_KEY)
PAYLOAD_TYPES = {Codec.OPUS: 111, Codec.VP8: 96, Codec.H264: 108}

_H264_KEY_FRAME = base64.b64decode(
    "AAAAAWdCwAraEehAAAADAEAAAAyjxImoAAAAAWjOD8gAAAABZYiEOhGKAAIx8cAAQt44AAhbycnJ111111114A=="
)


def sender_session() -> Session:
    """Encrypts what a receiver with `KEYS` decrypts."""
    policy = Policy(key=_KEY, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=KEYS.profile.libsrtp_profile)
    return Session(policy)


class Stream:
    """One track. Frame n is `frame(n)`, to be called in order."""

    def __init__(self, codec: Codec, ssrc: int, *, frame_bytes: int = PICTURE_BYTES, mid: str = "0") -> None:
        self.codec = codec
        self.ssrc = ssrc
        self.mid = mid
        self.frame_bytes = SOUND_BYTES if codec is Codec.OPUS else frame_bytes
        self.rate_hz = SOUND_HZ if codec is Codec.OPUS else FPS
        self.packets = 0

    def frame(self, number: int, *, key_frame: bool = False) -> list[bytes]:
        payloads = self._payloads(number, key_frame)
        timestamp = self.timestamp_at(number / self.rate_hz)
        return [
            self._packet(payload, timestamp, is_last=index == len(payloads) - 1)
            for index, payload in enumerate(payloads)
        ]

    def report(self, media_seconds: float, unix_seconds: float) -> bytes:
        return rtcp.SenderReport(
            ssrc=self.ssrc,
            ntp=round((unix_seconds + NTP_OFFSET_SECONDS) * 2**32),
            timestamp=self.timestamp_at(media_seconds),
            packet_count=self.packets,
        ).to_bytes()

    def timestamp_at(self, media_seconds: float) -> int:
        return 1000 + round(media_seconds * self.codec.clock_rate_hz) & 0xFFFFFFFF

    def description(self) -> MediaDescription:
        """What negotiation agrees on with livekit-server: no header extension comes of it."""
        feedback = set[str]() if self.codec is Codec.OPUS else {"nack", "nack pli", "ccm fir", "goog-remb"}
        payload_type = PayloadType(
            number=PAYLOAD_TYPES[self.codec],
            codec=self.codec,
            clock_rate_hz=self.codec.clock_rate_hz,
            feedback=frozenset(feedback),
        )
        return MediaDescription(
            mid=self.mid,
            kind=self.codec.kind,
            stream_id=f"PA_{self.mid}|TR_{self.mid}",
            track_id=f"TR_{self.mid}",
            payload_types=(payload_type,),
            ssrc=self.ssrc,
        )

    def _packet(self, payload: bytes, timestamp: int, *, is_last: bool) -> bytes:
        sequence = 100 + self.packets & 0xFFFF
        self.packets += 1
        return RtpPacket(
            payload_type=PAYLOAD_TYPES[self.codec],
            sequence=sequence,
            timestamp=timestamp,
            ssrc=self.ssrc,
            payload=payload,
            marker=is_last and self.codec is not Codec.OPUS,
        ).to_bytes()

    def _payloads(self, number: int, key_frame: bool) -> list[bytes]:
        if self.codec is Codec.OPUS:
            return [b"\x78" + noise(self.frame_bytes - 1)]
        if self.codec is Codec.VP8:
            return _vp8_payloads(number, _vp8_frame(self.frame_bytes, key_frame))
        return _h264_payloads(_h264_units(self.frame_bytes, key_frame))


def noise(size: int) -> bytes:
    """Without zeros: no start code in it."""
    return _NOISE.randbytes(size).replace(b"\x00", b"\x01")


def _vp8_frame(size: int, key_frame: bool) -> bytes:
    if key_frame:
        return b"\x10\x00\x00\x9d\x01\x2a" + WIDTH.to_bytes(2, "little") + HEIGHT.to_bytes(2, "little") + noise(size)
    return b"\x11\x00\x00" + noise(size - 3)


def _vp8_payloads(number: int, frame: bytes) -> list[bytes]:
    """With picture id, TL0PICIDX and TID: libwebrtc's descriptor (RFC 7741 section 4.2)."""
    descriptor = b"\xe0" + (number & 0x7FFF | 0x8000).to_bytes(2, "big") + b"\x01\x20"
    chunks = list(_even_chunks(frame))
    return [(b"\x90" if index == 0 else b"\x80") + descriptor + chunk for index, chunk in enumerate(chunks)]


def _h264_units(size: int, key_frame: bool) -> list[bytes]:
    if key_frame:
        return [unit for unit in _H264_KEY_FRAME.split(b"\x00\x00\x00\x01") if unit]
    return [b"\x41" + noise(size - 1)]


def _h264_payloads(units: Sequence[bytes]) -> list[bytes]:
    """Single NAL units, or FU-A (RFC 6184 sections 5.6 and 5.8)."""
    payloads: list[bytes] = []
    for unit in units:
        if len(unit) <= MAX_PAYLOAD_BYTES:
            payloads.append(unit)
            continue
        chunks = list(_even_chunks(unit[1:]))
        for index, chunk in enumerate(chunks):
            ends = (0x80 if index == 0 else 0) | (0x40 if index == len(chunks) - 1 else 0)
            payloads.append(bytes((unit[0] & 0x60 | 28, unit[0] & 0x1F | ends)) + chunk)
    return payloads


def _even_chunks(data: bytes) -> Iterator[bytes]:
    count = -(-len(data) // MAX_PAYLOAD_BYTES)
    size = -(-len(data) // count)
    for start in range(0, len(data), size):
        yield data[start : start + size]
