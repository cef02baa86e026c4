"""One sender's NTP clock against the monotonic clock of this machine.

`arrival - ntp` of a sender report is the true offset plus the delay of its way. The least delayed reports
tell the offset, and the line under the least of each 10 s tells how the two clocks drift (S. Moon, P. Skelly,
D. Towsley: Estimation and removal of clock skew from network delay measurements, 1999).
"""

from __future__ import annotations

from collections import deque

BLOCK_SECONDS = 10.0
WINDOW_BLOCKS = 12
DRIFT_MIN_BLOCKS = 4
"""Before that jitter would be taken for drift."""
MAX_DRIFT = 5e-4
"""Two oscillators of 250 ppm each, running apart."""
GLIDE_PER_SECOND = 1e-3
"""The offset moves no faster, so all tracks of a sender follow it in step."""
STEP_SECONDS = 0.1
"""A report that came sooner than ever by more than this is believed when a second one says the same."""
CONFIRM_SECONDS = 0.5
"""Reports of several tracks in one packet share their fault: a second opinion comes later than this."""
LATE_SECONDS = 1.0
LATE_PATIENCE_SECONDS = 10.0
"""Reports all later than `LATE_SECONDS` for so long: not congestion, the sender's clock was set back."""


class SenderClock:
    """`monotonic = ntp + offset_seconds`, shared by all tracks of a sender."""

    __slots__ = ("_blocks", "_candidate", "_candidate_at", "_late_least", "_late_since", "_seen_at", "offset_seconds")

    def __init__(self) -> None:
        self.offset_seconds: float | None = None
        """None until the first report."""
        self._seen_at = 0.0
        self._blocks: deque[tuple[float, float]] = deque(maxlen=WINDOW_BLOCKS)
        """(arrival, arrival - ntp) of the least delayed report of every 10 s."""
        self._candidate: float | None = None
        self._candidate_at = 0.0
        self._late_least: float | None = None
        self._late_since = 0.0

    def report(self, ntp_seconds: float, arrival_seconds: float) -> None:
        """A report that is plausible for its track."""
        sample = arrival_seconds - ntp_seconds
        if self.offset_seconds is None:
            self._set(sample, arrival_seconds)
        elif sample < self.offset_seconds - STEP_SECONDS:
            self._much_sooner(sample, arrival_seconds)
        elif sample > self.offset_seconds + LATE_SECONDS:
            self._much_later(sample, arrival_seconds)
        else:
            self._add(sample, arrival_seconds)
            self._glide(self.offset_seconds, arrival_seconds)

    def step(self, ntp_seconds: float) -> None:
        """The sender's clock was set forward by `ntp_seconds`."""
        if self.offset_seconds is not None:
            self.offset_seconds -= ntp_seconds
        self._blocks = deque(((at, sample - ntp_seconds) for at, sample in self._blocks), maxlen=WINDOW_BLOCKS)

    def _much_sooner(self, sample: float, arrival_seconds: float) -> None:
        candidate, self._candidate = self._candidate, sample
        if candidate is None or abs(candidate - sample) > STEP_SECONDS:
            self._candidate_at = arrival_seconds
        elif arrival_seconds - self._candidate_at >= CONFIRM_SECONDS:
            self._set(min(candidate, sample), arrival_seconds)

    def _much_later(self, sample: float, arrival_seconds: float) -> None:
        if self._late_least is None:
            self._late_least, self._late_since = sample, arrival_seconds
        self._late_least = min(self._late_least, sample)
        if arrival_seconds - self._late_since >= LATE_PATIENCE_SECONDS:
            self._set(self._late_least, arrival_seconds)

    def _set(self, offset_seconds: float, arrival_seconds: float) -> None:
        self._blocks.clear()
        self._add(offset_seconds, arrival_seconds)
        self.offset_seconds = offset_seconds
        self._seen_at = arrival_seconds

    def _add(self, sample: float, arrival_seconds: float) -> None:
        self._candidate = None
        self._late_least = None
        block = arrival_seconds // BLOCK_SECONDS
        if not self._blocks or self._blocks[-1][0] // BLOCK_SECONDS != block:
            self._blocks.append((arrival_seconds, sample))
        elif sample < self._blocks[-1][1]:
            self._blocks[-1] = (arrival_seconds, sample)

    def _glide(self, offset_seconds: float, arrival_seconds: float) -> None:
        reach = GLIDE_PER_SECOND * max(arrival_seconds - self._seen_at, 0.0)
        error = self._estimate(arrival_seconds) - offset_seconds
        self.offset_seconds = offset_seconds + min(max(error, -reach), reach)
        self._seen_at = arrival_seconds

    def _estimate(self, now_seconds: float) -> float:
        """The highest line that no report lies under, at the present."""
        drift = self._drift() if len(self._blocks) >= DRIFT_MIN_BLOCKS else 0.0
        return min(sample + drift * (now_seconds - at) for at, sample in self._blocks)

    def _drift(self) -> float:
        """The slope of the lower hull in the middle of the window."""
        hull = _lower_hull(self._blocks)
        middle = (self._blocks[0][0] + self._blocks[-1][0]) / 2
        right = next(n for n, (at, _) in enumerate(hull) if n and at >= middle)
        (t0, y0), (t1, y1) = hull[right - 1], hull[right]
        return min(max((y1 - y0) / (t1 - t0), -MAX_DRIFT), MAX_DRIFT)


def _lower_hull(points: deque[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of points in order of time (A. Andrew's monotone chain)."""
    hull: list[tuple[float, float]] = []
    for point in points:
        while len(hull) >= 2 and _turns_right(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _turns_right(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) <= (b[1] - a[1]) * (c[0] - a[0])
