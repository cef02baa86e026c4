"""The clocks of a publisher: RTP time stamps to its wall clock, and that to our monotonic clock.

Reports err to one side each: what is said of a time stamp may be late (a busy client reads its clock up to 50 ms
after it took the time stamp), and so is the arrival (a queue on the way). The truth is the least late of them, where
an older one binds the less the more both clocks may have drifted apart since.
"""

from __future__ import annotations

from collections import deque

DRIFT = 5e-4
"""Seconds per second: more than any two oscillators that are in order."""
MAX_REPORTS = 24
MAX_SAMPLES = 120
MOVED_SECONDS = 0.2
"""A report so much later than all before it: the time stamps stood still in between."""
SET_SECONDS = 5.0
"""So far off, a wall clock was set."""
SET_REPORTS = 3
"""One late report means nothing, three that agree do."""
SLEW_PER_SECOND = 1e-3
SLEW_SHARE_PER_SECOND = 0.2
"""Of a large error; the first reports often waited for the connection, 70 ms and more."""

_WRAP = 2**32
_HALF = 2**31


def signed32(ticks: int) -> int:
    """The difference of two time stamps, at most half a turn."""
    return (ticks + _HALF) % _WRAP - _HALF


class StreamClock:
    """RTP time stamps of one SSRC against the wall clock of its sender. Time stamps are of 32 bits everywhere."""

    __slots__ = ("_ntp_seconds", "_reports", "_timestamp", "clock_rate_hz")

    def __init__(self, clock_rate_hz: int) -> None:
        self.clock_rate_hz = clock_rate_hz
        self._reports: deque[tuple[int, float]] = deque(maxlen=MAX_REPORTS)
        self._timestamp = 0
        self._ntp_seconds = 0.0

    @property
    def is_known(self) -> bool:
        return bool(self._reports)

    def add(self, timestamp: int, ntp_seconds: float) -> None:
        """A sender report, in the order of arrival."""
        if self._reports and signed32(timestamp - self._timestamp) <= 0 and ntp_seconds <= self._reports[-1][1]:
            return  # overtaken by a newer one, or twice
        least = min((self._bound(report, timestamp) for report in self._reports), default=ntp_seconds)
        if ntp_seconds - least > MOVED_SECONDS:
            self._reports.clear()
            least = ntp_seconds
        self._reports.append((timestamp, ntp_seconds))
        self._timestamp, self._ntp_seconds = timestamp, min(least, ntp_seconds)

    def ntp_seconds(self, timestamp: int) -> float:
        return self._ntp_seconds + signed32(timestamp - self._timestamp) / self.clock_rate_hz

    def timestamp_at(self, ntp_seconds: float) -> int:
        return self._timestamp + round((ntp_seconds - self._ntp_seconds) * self.clock_rate_hz) & 0xFFFFFFFF

    def _bound(self, report: tuple[int, float], timestamp: int) -> float:
        """When, by an earlier report, that time stamp was at the latest."""
        elapsed_seconds = signed32(timestamp - report[0]) / self.clock_rate_hz
        return report[1] + elapsed_seconds + DRIFT * abs(elapsed_seconds)


class PublisherClock:
    """`monotonic = ntp + offset_seconds`, for all streams of one publisher: what is in step there stays in step."""

    __slots__ = ("_moved_seconds", "_outliers", "_samples", "offset_seconds")

    def __init__(self) -> None:
        self.offset_seconds: float | None = None
        """None before the first report. Slewed, so that time never runs backwards for subscribers."""
        self._samples: deque[tuple[float, float]] = deque(maxlen=MAX_SAMPLES)
        """Arrival, and how much that is behind the report's NTP time."""
        self._moved_seconds = 0.0
        self._outliers = 0

    def add(self, ntp_seconds: float, arrival_seconds: float) -> None:
        """A sender report of any stream."""
        lag_seconds = arrival_seconds - ntp_seconds
        if self.offset_seconds is None:
            self._set(lag_seconds, arrival_seconds)
        elif abs(lag_seconds - self.offset_seconds) > SET_SECONDS:
            self._outliers += 1
            if self._outliers >= SET_REPORTS:
                self._samples.clear()
                self._set(lag_seconds, arrival_seconds)
        else:
            self._outliers = 0
            self._samples.append((arrival_seconds, lag_seconds))
            self._slew(arrival_seconds)

    def _set(self, lag_seconds: float, now_seconds: float) -> None:
        self.offset_seconds = lag_seconds
        self._samples.append((now_seconds, lag_seconds))
        self._moved_seconds = now_seconds
        self._outliers = 0

    def _slew(self, now_seconds: float) -> None:
        assert self.offset_seconds is not None
        least = min(lag + DRIFT * (now_seconds - at) for at, lag in self._samples)
        error = least - self.offset_seconds
        elapsed_seconds = min(max(now_seconds - self._moved_seconds, 0.0), 1.0)
        self._moved_seconds = now_seconds
        reach = max(SLEW_PER_SECOND, SLEW_SHARE_PER_SECOND * abs(error)) * elapsed_seconds
        self.offset_seconds += min(max(error, -reach), reach)
