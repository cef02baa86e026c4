"""A small sender and its network for the timeline: what was captured when is known exactly."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from channel_recorder.timeline import TrackTimeline

REPORT_INTERVAL_SECONDS = 3.0


@dataclass(kw_only=True)
class Clock:
    """A sender's NTP clock: off by years, and fast by some ppm."""

    ahead_seconds: float = 3.9e9
    drift_ppm: float = 0.0

    def ntp(self, true_seconds: float) -> float:
        return true_seconds * (1 + self.drift_ppm * 1e-6) + self.ahead_seconds


@dataclass(kw_only=True)
class Capture:
    """One track on its way: frames every `interval_seconds` from `start_seconds` on (true, monotonic time)."""

    clock_rate_hz: int
    interval_seconds: float
    clock: Clock
    start_seconds: float = 0.0
    end_seconds: float = 60.0
    drift_ppm: float = 0.0
    """Of the RTP clock against true time."""
    first_timestamp: int = 1000
    delay_seconds: float = 0.05
    report_delay_seconds: float | None = None
    """None: as the frames."""
    jitter_seconds: float = 0.0
    report_noise_seconds: float = 0.0
    report_late_noise_seconds: float = 0.0
    """The sender reads its wall clock up to so much too late for the time stamp, never too soon."""
    report_stale_seconds: float = 0.0
    """Reports may arrive up to so much later than the packets."""
    has_reports: bool = True
    reports_doubled: bool = False
    first_delay_seconds: float = 0.0
    """The packets of the first 50 ms wait for the connection so much longer."""
    pauses: list[tuple[float, float]] = field(default_factory=list)
    seed: int = 1

    def timestamp(self, true_seconds: float) -> int:
        elapsed = true_seconds - self.start_seconds
        return self.first_timestamp + round(elapsed * self.clock_rate_hz * (1 + self.drift_ppm * 1e-6))

    def events(self) -> Iterator[tuple[float, str, int, float]]:
        """(arrival, "frame", time stamp, true capture) and (arrival, "report", time stamp, ntp)."""
        chance = random.Random(self.seed)
        arrived = 0.0
        for n in range(int((self.end_seconds - self.start_seconds) / self.interval_seconds)):
            true = self.start_seconds + n * self.interval_seconds
            if any(since <= true < until for since, until in self.pauses):
                continue
            first = self.first_delay_seconds if true - self.start_seconds < 0.05 else 0.0
            arrived = max(arrived, true + first + self.delay_seconds + chance.random() * self.jitter_seconds)
            yield arrived, "frame", self.timestamp(true), true
        reports = int(self.end_seconds / REPORT_INTERVAL_SECONDS) if self.has_reports else 0
        for n in range(1, reports):
            true = n * REPORT_INTERVAL_SECONDS
            if true <= self.start_seconds:
                continue
            noise = chance.uniform(-1, 1) * self.report_noise_seconds + chance.random() * self.report_late_noise_seconds
            least = self.delay_seconds if self.report_delay_seconds is None else self.report_delay_seconds
            delay = least + chance.random() * self.jitter_seconds + chance.random() * self.report_stale_seconds
            for _ in range(2 if self.reports_doubled else 1):
                yield true + delay, "report", self.timestamp(true), self.clock.ntp(true) + noise
                delay += 0.001


def play(*tracks: tuple[TrackTimeline, Capture]) -> list[list[tuple[float, float]]]:
    """Runs all tracks through their timelines in order of arrival: (true capture, located) of every frame."""
    located: list[list[tuple[float, float]]] = [[] for _ in tracks]
    events = sorted((*event, index) for index, (_, capture) in enumerate(tracks) for event in capture.events())
    for arrival, kind, timestamp, value, index in events:
        track = tracks[index][0]
        if kind == "report":
            track.report(timestamp, value, arrival)
        else:
            located[index].append((value, track.locate(timestamp, arrival)))
    return located


def offset_at(frames: list[tuple[float, float]], since: float) -> tuple[float, float]:
    """Least and greatest difference between located and true, from the true instant on."""
    differences = [seconds - true for true, seconds in frames if true >= since]
    return min(differences), max(differences)


def out_of_step(sound: list[tuple[float, float]], picture: list[tuple[float, float]], since: float) -> float:
    """The worst distance between a picture and the sound that was captured in the same instant."""
    worst = 0.0
    n = 0
    for true, seconds in picture:
        if true < since:
            continue
        while n + 1 < len(sound) and sound[n + 1][0] <= true:
            n += 1
        sound_true, sound_seconds = sound[n]
        if abs(sound_true - true) < 0.03:
            worst = max(worst, abs((seconds - true) - (sound_seconds - sound_true)))
    return worst
