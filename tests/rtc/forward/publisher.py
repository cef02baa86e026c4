"""A publisher of simulcast: each layer has an SSRC, numbers, time stamps and picture ids of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import MediaDescription, PayloadType
from channel_recorder.rtc.wire import rtcp
from channel_recorder.rtc.wire.extension_uris import MID_URI, REPAIRED_RID_URI, RID_URI
from channel_recorder.rtc.wire.rtp import RtpPacket
from tests.sim.sender import NTP_ORIGIN_SECONDS, StreamSettings, SyntheticSender, SyntheticStream

MID_ID, RID_ID, REPAIRED_RID_ID = 3, 10, 11
EXTENSIONS = {MID_ID: MID_URI, RID_ID: RID_URI, REPAIRED_RID_ID: REPAIRED_RID_URI}
VIDEO_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir"})
RIDS = ("q", "h", "f")


@dataclass(kw_only=True)
class LayerSettings(StreamSettings):
    rid: str = ""
    first_picture_id: int = 0
    first_tl0: int = 0
    first_key: int = 0
    wall_ppm: float = 0.0
    """Drift of the publisher's wall clock."""
    silent: tuple[tuple[float, float], ...] = ()
    """(from, until): the encoder of the layer is off, and begins again with a key frame."""
    report_late_seconds: float = 0.0
    """By so much the wall clock is read too late for a report."""


@dataclass
class Simulcast:
    """Makes the settings of the layers of one track."""

    layers: tuple[LayerSettings, ...]
    mid: str = "0"
    description: MediaDescription = field(init=False)

    def __post_init__(self) -> None:
        first = self.layers[0]
        rids = tuple(layer.rid for layer in self.layers if layer.rid)
        media = PayloadType(number=first.payload_type, codec=Codec.VP8, clock_rate_hz=90_000, feedback=VIDEO_FEEDBACK)
        rtx = PayloadType(
            number=first.rtx_payload_type, codec=None, clock_rate_hz=90_000, retransmits=first.payload_type
        )
        self.description = MediaDescription(
            mid=self.mid,
            kind=MediaKind.VIDEO,
            stream_id="-",
            track_id="cid",
            payload_types=(media, rtx),
            header_extensions=EXTENSIONS,
            rids=rids,
        )


class LayerStream(SyntheticStream):
    """Its temporal layers alternate, so that TL0PICIDX does not count all pictures."""

    settings: LayerSettings

    def __init__(self, settings: LayerSettings, seed: int) -> None:
        super().__init__(settings, seed)
        self._keys = settings.first_key
        self._tl0 = settings.first_tl0
        self._was_silent = False

    def report(self, now_seconds: float) -> rtcp.SenderReport:
        settings = self.settings
        wall_seconds = now_seconds * (1 + settings.wall_ppm * 1e-6) + NTP_ORIGIN_SECONDS
        return rtcp.SenderReport(
            ssrc=settings.ssrc,
            ntp=round((wall_seconds + settings.report_late_seconds) * 2**32),
            timestamp=self.timestamp_at(now_seconds) & 0xFFFFFFFF,
        )

    def next_frame(self, now_seconds: float) -> list[RtpPacket]:
        is_silent = any(since <= now_seconds < until for since, until in self.settings.silent)
        if self._was_silent and not is_silent:
            self._wants_key_frame = True
        self._was_silent = is_silent
        first, picture = self._sequence, len(self.sent)
        packets = super().next_frame(now_seconds)
        if is_silent:
            self._sequence = first
            self.sent[picture] = self.sent[picture].__class__(
                number=picture, data=b"", key_frame=False, timestamp=0, sent_seconds=now_seconds, sequences=range(0)
            )
            return []
        return packets

    def repeat(self, sequence: int) -> RtpPacket | None:
        packet = super().repeat(sequence)
        if packet is not None and packet.ssrc == self.settings.rtx_ssrc and self.settings.rid:
            packet.extensions = {MID_ID: self.settings.mid.encode(), REPAIRED_RID_ID: self.settings.rid.encode()}
        return packet

    def _packet(self, payload: bytes, timestamp: int, marker: bool = False, padding_bytes: int = 0) -> RtpPacket:
        packet = super()._packet(payload, timestamp, marker, padding_bytes)
        if self.settings.rid:
            packet.extensions = {MID_ID: self.settings.mid.encode(), RID_ID: self.settings.rid.encode()}
        return packet

    def _vp8(self, number: int, key_frame: bool) -> tuple[bytes, list[bytes]]:
        data, payloads = super()._vp8(number, key_frame)
        is_upper = not key_frame and number % 2 == 1
        self._keys += key_frame
        self._tl0 += not is_upper
        picture_id = number + self.settings.first_picture_id & 0x7FFF | 0x8000
        layers = (0x40 if is_upper else 0) | self._keys & 0x1F
        descriptor = b"\xf0" + picture_id.to_bytes(2, "big") + bytes((self._tl0 & 0xFF, layers))
        return data, [payload[:1] + descriptor + payload[4:] for payload in payloads]


class Publisher(SyntheticSender):
    """Streams may be layers."""

    def __init__(self, *settings: StreamSettings, seed: int = 1, report_interval_seconds: float = 1.0) -> None:
        super().__init__(*settings, seed=seed, report_interval_seconds=report_interval_seconds)
        self.streams = [
            LayerStream(each, seed + index) if isinstance(each, LayerSettings) else SyntheticStream(each, seed + index)
            for index, each in enumerate(settings)
        ]


def layer(rid: str, **changes: object) -> LayerSettings:
    """Of three, each with starts of its own near the wraps."""
    index = RIDS.index(rid) if rid in RIDS else 0
    values: dict[str, object] = {
        "rid": rid,
        "mid": "0",
        "ssrc": 0x100 + index,
        "rtx_ssrc": 0x200 + index,
        "packets_per_frame": (1, 2, 4)[index],
        "first_sequence": (65_530, 100, 32_760)[index],
        "first_timestamp": (2**32 - 90_000, 12_345, 2**31 - 50_000)[index],
        "first_picture_id": (0x7FF0, 77, 0x3000)[index],
        "first_tl0": (250, 3, 128)[index],
        "first_key": (30, 2, 17)[index],
    }
    return LayerSettings(**(values | changes))  # pyright: ignore[reportArgumentType]
