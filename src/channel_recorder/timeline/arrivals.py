"""When a track's packets came: of every second the least delayed one."""

from __future__ import annotations

from collections import deque

BLOCK_SECONDS = 1.0
FIRST_BLOCKS = 10
FIRST_BLOCK_SECONDS = 0.1
"""The first packets often wait for the connection together, 70 ms and more: the ones after tell better, soon."""
WINDOW_BLOCKS = 30
"""A queue on the way may stand for 24 s before it is taken for the way's length; drift is followed within 30 s."""
DISTRUSTED_SHARE = 5
"""One block in five may be too soon. livekit-server fills the beginning of a mute with silence of its own, whose
time stamps are up to 20 ms off, for up to 2 s."""


class Arrivals:
    """Least delayed packets, as (time stamp, arrival): they keep their meaning when lines change."""

    __slots__ = ("_blocks", "_points")

    def __init__(self) -> None:
        self._points: deque[tuple[int, float]] = deque(maxlen=WINDOW_BLOCKS)
        self._blocks = 0

    def __bool__(self) -> bool:
        return bool(self._points)

    def clear(self) -> None:
        self._points.clear()
        self._blocks = 0

    def keep_newest(self) -> None:
        """The time stamps moved: what came before tells nothing about what comes now."""
        while len(self._points) > 1:
            self._points.popleft()

    def add(self, timestamp: int, arrival_seconds: float) -> float:
        """The least delayed packet of a block. Returns how long the next block shall be."""
        self._points.append((timestamp, arrival_seconds))
        self._blocks += 1
        return FIRST_BLOCK_SECONDS if self._blocks < FIRST_BLOCKS else BLOCK_SECONDS

    def lag_seconds(self, seconds_per_tick: float, intercept: float) -> float:
        """How far arrivals lie above a line of capture times."""
        lags = sorted(at - timestamp * seconds_per_tick for timestamp, at in self._points)
        return lags[len(lags) // DISTRUSTED_SHARE] - intercept

    def newest_lag_seconds(self, seconds_per_tick: float, intercept: float) -> float:
        timestamp, at = self._points[-1]
        return at - timestamp * seconds_per_tick - intercept
