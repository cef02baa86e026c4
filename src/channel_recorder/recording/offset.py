"""How far sound and pictures of a file are apart, as far as their clocks are known."""

from __future__ import annotations

from collections import Counter

from channel_recorder.recording.contract import SoundOffset

MAX_MILLISECONDS = 10_000
"""More is no offset: keeps the table small."""


class OffsetMeter:
    """Counts offsets by the millisecond."""

    __slots__ = ("_counts", "_sum_seconds", "_total")

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._sum_seconds = 0.0
        self._total = 0

    def add(self, seconds: float) -> None:
        self._counts[min(round(abs(seconds) * 1000), MAX_MILLISECONDS)] += 1
        self._sum_seconds += seconds
        self._total += 1

    def summary(self) -> SoundOffset | None:
        """None if there was nothing to measure."""
        if not self._total:
            return None
        return SoundOffset(
            mean_seconds=self._sum_seconds / self._total,
            p95_seconds=self._at_share(0.95) / 1000,
            worst_seconds=max(self._counts) / 1000,
        )

    def _at_share(self, share: float) -> int:
        left = share * self._total
        for milliseconds in sorted(self._counts):
            left -= self._counts[milliseconds]
            if left <= 0:
                return milliseconds
        return max(self._counts)
