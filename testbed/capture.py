"""Synthetic camera and microphone for the official SDK, paced by one schedule so that flash and beep coincide."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from livekit import rtc

from testbed import sound
from testbed.looks import Look
from testbed.picture import FLASH_SECONDS

AUDIO_FRAME_SAMPLES = sound.SAMPLE_RATE_HZ // 100
SOUND_LEAD_SECONDS = 0.010
"""libwebrtc takes the time at which a packet of 20 ms is complete, that is when its second frame is captured, for
the time of its first sample. Sound is captured so much ahead that its sender reports are true."""


@dataclass(slots=True)
class Report:
    """What was captured, in seconds of the participant's own schedule and on the wall clock."""

    started_at_seconds: float
    started_at_unix: float
    captured: int = 0
    late_seconds: float = 0.0
    """The furthest a frame was behind its schedule: how busy the machine was."""
    sizes: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])


async def _sleep_until(monotonic: float) -> float:
    """How late it is."""
    wait = monotonic - time.monotonic()
    if wait > 0:
        await asyncio.sleep(wait)
    return max(0.0, time.monotonic() - monotonic)


class Camera:
    """Frame n is captured n / fps after the next whole second of the schedule that begins at `epoch`."""

    def __init__(self, epoch: float, look: Look, width: int, height: int, fps: int) -> None:
        self.source = rtc.VideoSource(width, height)
        self._epoch, self._fps = epoch, fps
        self._start = float(int(time.monotonic() - epoch) + 1)
        self.rotation = 0
        self.report = Report(self._start, time.time() + epoch + self._start - time.monotonic())
        self.show(look, width, height)
        # The SDK fills the time to the first picture with black ones; one before the track is published stops that.
        self._push(look(0, 0.0, False), time.monotonic())
        self.task = asyncio.create_task(self._run())

    def show(self, look: Look, width: int, height: int) -> None:
        """From the next frame on. The counter goes on."""
        self._look, self._width, self._height = look, width, height
        self.report.sizes.append((width, height))

    async def _run(self) -> None:
        while True:
            counter = self.report.captured
            seconds = self._start + Fraction(counter, self._fps)
            late = await _sleep_until(self._epoch + float(seconds))
            self.report.late_seconds = max(self.report.late_seconds, late)
            flash = seconds % 1 < FLASH_SECONDS
            picture = self._look(counter, float(seconds), flash)
            self._push(picture, self._epoch + float(seconds))
            self.report.captured += 1

    def _push(self, picture: bytes, at: float) -> None:
        frame = rtc.VideoFrame(self._width, self._height, rtc.VideoBufferType.I420, picture)
        turned: Any = self.rotation // 90
        self.source.capture_frame(frame, timestamp_us=int(at * 1_000_000), rotation=turned)


class Microphone:
    """Sample 0 is captured at the start of the schedule's next whole second; beeps begin with whole seconds."""

    def __init__(self, epoch: float, hz: float, has_voice: bool = False) -> None:
        # Without a queue a frame goes to the encoder at once, so its time is known to the millisecond.
        self.source = rtc.AudioSource(sound.SAMPLE_RATE_HZ, 1, queue_size_ms=0)
        self._epoch, self._hz = epoch, hz
        self._tone = sound.voice if has_voice else sound.tone
        self._start = float(int(time.monotonic() - epoch) + 1)
        self.report = Report(self._start, time.time() + epoch + self._start - time.monotonic())
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            first = self.report.captured * AUDIO_FRAME_SAMPLES
            at = self._epoch + self._start + first / sound.SAMPLE_RATE_HZ
            late = await _sleep_until(at - SOUND_LEAD_SECONDS)
            self.report.late_seconds = max(self.report.late_seconds, late)
            samples = self._tone(first, AUDIO_FRAME_SAMPLES, self._hz) + sound.beeps(first, AUDIO_FRAME_SAMPLES)
            frame = rtc.AudioFrame(sound.pcm16(samples), sound.SAMPLE_RATE_HZ, 1, AUDIO_FRAME_SAMPLES)
            await self.source.capture_frame(frame)
            self.report.captured += 1
