"""The time stamps of a file's pictures: increasing, whatever the clocks do."""

from __future__ import annotations

_FIRST_CADENCE_SECONDS = 1 / 30
_PAUSE_SECONDS = 1.0
"""A longer distance between pictures says nothing about their cadence."""
_CADENCE_WEIGHT = 1 / 16


class PictureTimeline:
    """Recording time to time stamps of the file, and the cadence of the pictures."""

    __slots__ = ("_clock_hz", "_step", "_zero_seconds", "cadence_seconds", "end_seconds", "last_ticks")

    def __init__(self, zero_seconds: float, clock_hz: int) -> None:
        self._zero_seconds = zero_seconds
        self._clock_hz = clock_hz
        self._step = max(1, clock_hz // 1000)
        self.last_ticks = -self._step
        self.cadence_seconds = _FIRST_CADENCE_SECONDS
        self.end_seconds = 0.0
        """Recording time of the last picture."""

    def place(self, at_seconds: float) -> int:
        """The time stamp of the next picture, at least 1 ms after the one before. Hot path."""
        if self.last_ticks >= 0:
            distance = at_seconds - self.end_seconds
            if 0.0 < distance < _PAUSE_SECONDS:
                self.cadence_seconds += (distance - self.cadence_seconds) * _CADENCE_WEIGHT
        ticks = int((at_seconds - self._zero_seconds) * self._clock_hz + 0.5)
        if ticks < self.last_ticks + self._step:
            ticks = self.last_ticks + self._step
        self.last_ticks = ticks
        self.end_seconds = at_seconds
        return ticks

    @property
    def cadence_ticks(self) -> int:
        return int(self.cadence_seconds * self._clock_hz)

    def pictures_missing(self, at_seconds: float) -> int:
        """How many pictures would have come between the last one and one at `at_seconds`, at least one."""
        return max(1, round((at_seconds - self.end_seconds) / self.cadence_seconds) - 1)
