"""A track's RTP clock against the clock of its sender: a straight line through the sender reports."""

from __future__ import annotations

from collections import deque

WINDOW_REPORTS = 16
"""48 s at one report in 3 s (livekit-server): long enough to average 5 ms of noise below 2 ms."""
MIN_SLOPE_SPAN_SECONDS = 10.0
"""Below this the noise of two reports says more about the slope than the drift does."""
MAX_DRIFT = 1e-3
"""No oscillator is that bad: beyond 1000 ppm it is noise."""

TICKS_WRAP = 2**32


class ReportLine:
    """`ntp_seconds(timestamp) = seconds_per_tick * timestamp + intercept`, fitted by least squares."""

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
        first_timestamp, first_ntp = self._points[0]
        xs = [(timestamp - first_timestamp) * self._nominal for timestamp, _ in self._points]
        ys = [ntp - first_ntp for _, ntp in self._points]
        mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
        slope = 1.0
        if xs[-1] - xs[0] >= MIN_SLOPE_SPAN_SECONDS:
            spread = sum((x - mean_x) ** 2 for x in xs)
            slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
            slope = min(max(slope, 1.0 - MAX_DRIFT), 1.0 + MAX_DRIFT)
        self.seconds_per_tick = slope * self._nominal
        self.intercept = first_ntp + mean_y - slope * mean_x - self.seconds_per_tick * first_timestamp
