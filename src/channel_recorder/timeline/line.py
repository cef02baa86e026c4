"""A track's RTP clock against the clock of its sender: a straight line under the sender reports.

Reports err to one side: a busy client reads its wall clock up to 50 ms too late for the time stamp (measured
with libwebrtc's sound), never too soon. The truth is the line that no report lies under, not the one between.
"""

from __future__ import annotations

from collections import deque
from statistics import median

WINDOW_REPORTS = 100
"""5 minutes at one report in 3 s (livekit-server)."""
UNKNOWN_DRIFT = 5e-4
"""While the slope is taken for nominal an older report binds so much less, in seconds per second of its age."""
KNOWN_DRIFT = 1e-4
"""The same for a measured slope: what noise may have feigned."""
MIN_SLOPE_SPAN_SECONDS = 60.0
"""Below this the noise of reports says more about the slope than the drift does."""
MAX_DRIFT = 1e-3
"""No oscillator is that bad: beyond 1000 ppm it is noise."""

TICKS_WRAP = 2**32


class ReportLine:
    """`ntp_seconds(timestamp) = seconds_per_tick * timestamp + intercept`."""

    __slots__ = ("_nominal", "_points", "intercept", "seconds_per_tick")

    def __init__(self, clock_rate_hz: int) -> None:
        self._nominal = 1.0 / clock_rate_hz
        self._points: deque[tuple[int, float]] = deque(maxlen=WINDOW_REPORTS)
        self.seconds_per_tick = self._nominal
        self.intercept = 0.0

    def __bool__(self) -> bool:
        return bool(self._points)

    @property
    def newest(self) -> tuple[int, float]:
        """The last report: time stamp and NTP seconds."""
        return self._points[-1]

    def __len__(self) -> int:
        return len(self._points)

    def ntp_seconds(self, timestamp: int) -> float:
        return self.seconds_per_tick * timestamp + self.intercept

    def add(self, timestamp: int, ntp_seconds: float) -> None:
        self._points.append((timestamp, ntp_seconds))
        self._fit()

    def clear(self) -> None:
        self._points.clear()
        self.seconds_per_tick = self._nominal

    def move_ntp(self, seconds: float) -> None:
        """The sender's clock was set: the same instants have other NTP times now."""
        self._points = deque(((t, ntp + seconds) for t, ntp in self._points), maxlen=WINDOW_REPORTS)
        self.intercept += seconds

    def unwrap_near(self, timestamp: int) -> None:
        """Reports that came before the first packet: bring their time stamps into the packets' cycle."""
        ticks = round((timestamp - self._points[-1][0]) / TICKS_WRAP) * TICKS_WRAP
        if ticks:
            self._points = deque(((t + ticks, ntp) for t, ntp in self._points), maxlen=WINDOW_REPORTS)
            self._fit()

    def _fit(self) -> None:
        """In seconds before the newest report, and by how much more than those the NTP time is behind its own."""
        newest_timestamp, newest_ntp = self._points[-1]
        ages = [(newest_timestamp - timestamp) * self._nominal for timestamp, _ in self._points]
        late = [ntp - newest_ntp + age for (_, ntp), age in zip(self._points, ages, strict=True)]
        drift, doubt = 0.0, UNKNOWN_DRIFT
        if ages[0] >= MIN_SLOPE_SPAN_SECONDS:
            drift, doubt = _drift(ages, late), KNOWN_DRIFT
        self.seconds_per_tick = (1.0 + drift) * self._nominal
        least = min(error + (drift + doubt) * age for error, age in zip(late, ages, strict=True))
        self.intercept = newest_ntp + least - self.seconds_per_tick * newest_timestamp


def _drift(ages: list[float], late: list[float]) -> float:
    """From the least late report of the oldest third to that of the newest, less what noise may feign."""
    third = len(ages) // 3
    old = min(range(third), key=late.__getitem__)
    new = min(range(len(ages) - third, len(ages)), key=late.__getitem__)
    span = ages[old] - ages[new]
    rise = (late[new] - late[old]) / span
    level = [error + rise * age for error, age in zip(late, ages, strict=True)]
    noise = max(median(part) - min(part) for part in (level[:third], level[-third:])) / span
    sure = min(max(abs(rise) - noise, 0.0), MAX_DRIFT)
    return sure if rise > 0 else -sure
