"""Live streams of a simulated call: clocks that drift, reports that err, sound and pictures that pause and change."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from channel_recorder.model import Codec
from channel_recorder.rtc.wire import rtcp
from channel_recorder.rtc.wire.rtp import RtpPacket
from tests.sim.content import PAYLOADERS, NumberedPictures, sound_loop
from tests.sim.sender import NTP_ORIGIN_SECONDS, StreamSettings, SyntheticStream

Span = tuple[float, float]
SWITCH_SECONDS = 0.3
"""What is under way with the old SSRC arrives before the new one is announced."""


@dataclass(kw_only=True)
class LiveSettings(StreamSettings):
    """Instants are those of the true clock, at which pictures are taken and sound is heard."""

    encoding_seconds: float = 0.0
    """From there to the wire."""
    size: tuple[int, int] = (64, 48)
    sizes: dict[float, tuple[int, int]] = field(default_factory=dict[float, tuple[int, int]])
    """From when on pictures have another size: rotated devices, other layers, less bandwidth."""
    pauses: tuple[Span, ...] = ()
    """Nothing is sent."""
    pauses_stop_time_stamps: bool = False
    dtx: tuple[Span, ...] = ()
    """Of sound: only every 20th packet is sent, and nothing is missing."""
    new_ssrcs: tuple[float, ...] = ()
    """When the stream goes on with another SSRC, numbers and time stamps, after `SWITCH_SECONDS` of nothing."""
    clock_ahead_seconds: float = 0.0
    """Of the sender's NTP clock."""
    clock_ppm: float = 0.0
    report_noise_seconds: float = 0.0
    """So much too late for the time stamp a report may be read from the clock; never too soon."""
    report_outliers: float = 0.0
    """Probability that a report is half a second off, either way."""


class LiveStream(SyntheticStream):
    """One track. `sent` tells of every frame when it was taken (`sent_seconds`)."""

    def __init__(self, settings: LiveSettings, seed: int) -> None:
        super().__init__(settings, seed)
        self.live = settings
        self._chance = random.Random(seed)
        self._stopped_seconds = 0.0
        self._since_seconds = settings.start_seconds
        self._camera = None if settings.is_sound else NumberedPictures(settings.codec, *settings.size)
        self._sizes = sorted(settings.sizes.items())
        self._new_ssrcs = sorted(settings.new_ssrcs)
        self.has_new_ssrc = False
        """Not yet described to the receiver."""

    @property
    def next_seconds(self) -> float:
        return super().next_seconds + self.live.encoding_seconds

    def next_frame(self, now_seconds: float) -> list[RtpPacket]:
        taken_seconds = now_seconds - self.live.encoding_seconds
        self._change(taken_seconds)
        if self._sends(taken_seconds):
            return super().next_frame(taken_seconds)
        self.number += 1
        if self.live.pauses_stop_time_stamps:
            self._stopped_seconds += self.live.interval_seconds
        return []

    def timestamp_at(self, now_seconds: float) -> int:
        elapsed = (now_seconds - self._since_seconds - self._stopped_seconds) * (1 + self.live.drift_ppm * 1e-6)
        return self.live.first_timestamp + round(elapsed * self.live.codec.clock_rate_hz)

    def report(self, now_seconds: float) -> rtcp.SenderReport:
        live = self.live
        clock = now_seconds * (1 + live.clock_ppm * 1e-6) + NTP_ORIGIN_SECONDS + live.clock_ahead_seconds
        clock += self._chance.random() * live.report_noise_seconds
        if self._chance.random() < live.report_outliers:
            clock += self._chance.choice((-0.5, 0.5))
        return rtcp.SenderReport(
            ssrc=live.ssrc,
            ntp=round(clock * 2**32),
            timestamp=self.timestamp_at(now_seconds) & 0xFFFFFFFF,
            packet_count=self._packets & 0xFFFFFFFF,
        )

    def _sends(self, at_seconds: float) -> bool:
        switches = ((at - SWITCH_SECONDS, at) for at in self.live.new_ssrcs)
        if any(since <= at_seconds < until for since, until in (*self.live.pauses, *switches)):
            return False
        return self.number % 20 == 0 or not any(since <= at_seconds < until for since, until in self.live.dtx)

    def _change(self, at_seconds: float) -> None:
        while self._sizes and self._sizes[0][0] <= at_seconds:
            self._camera = NumberedPictures(self.live.codec, *self._sizes.pop(0)[1])
            self._wants_key_frame = True
        if self._new_ssrcs and self._new_ssrcs[0] <= at_seconds:
            self._new_ssrcs.pop(0)
            self._begin_again(at_seconds)

    def _begin_again(self, at_seconds: float) -> None:
        live = self.live
        live.ssrc += 1
        live.rtx_ssrc += 1
        live.first_timestamp = self._chance.randrange(2**32)
        self._sequence = self._chance.randrange(2**16)
        self._since_seconds, self._stopped_seconds = at_seconds, 0.0
        self._remembered.clear()
        self._wants_key_frame = True
        self.has_new_ssrc = True

    def _opus(self, number: int) -> tuple[bytes, list[bytes]]:
        loop = sound_loop(round(self.live.interval_seconds * 1000))
        data = loop[number % len(loop)]
        return data, [data]

    def _vp8(self, number: int, key_frame: bool) -> tuple[bytes, list[bytes]]:
        assert self._camera is not None
        data = self._camera.encode(number & 0xFFFF, key_frame)
        return data, PAYLOADERS[self.live.codec](data, number, self.live.packets_per_frame)


def microphone(index: int, seconds: float, **changes: object) -> LiveSettings:
    """`index` tells people apart."""
    values: dict[str, object] = {
        "mid": f"{index}-sound",
        "codec": Codec.OPUS,
        "ssrc": 0x10000 * index + 0x3000,
        "rtx_ssrc": 0x10000 * index + 0x4000,
        "payload_type": 111,
        "rtx_payload_type": 112,
        "interval_seconds": 0.02,
    }
    return _live(values | changes, seconds)


def camera(index: int, seconds: float, **changes: object) -> LiveSettings:
    codec = changes.get("codec", Codec.VP8)
    values: dict[str, object] = {
        "mid": f"{index}-picture",
        "ssrc": 0x10000 * index + 0x1000,
        "rtx_ssrc": 0x10000 * index + 0x2000,
        "payload_type": 96 if codec is Codec.VP8 else 102,
        "rtx_payload_type": 97 if codec is Codec.VP8 else 103,
        "interval_seconds": 1 / 15,
        "packets_per_frame": 3,
        "encoding_seconds": 0.03,
    }
    return _live(values | changes, seconds)


def _live(values: dict[str, object], seconds: float) -> LiveSettings:
    settings = LiveSettings(**values)  # pyright: ignore[reportArgumentType]
    if "frames" not in values:
        settings.frames = round(seconds / settings.interval_seconds)
    return settings
