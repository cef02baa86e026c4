"""One loss of the connection: when to try again, when to tell, when to give up. Sans-IO.

Interrupted after 4 s, lost after 10 s, failed after 20 min (classic SDK).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class OutageStage(IntEnum):
    """How bad it is; only ever gets worse until the rejoin."""

    BRIEF = 0
    INTERRUPTED = 1
    LOST = 2
    FAILED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageLimits:
    interrupted_seconds: float = 4.0
    lost_seconds: float = 10.0
    failed_seconds: float = 1200.0
    first_retry_seconds: float = 0.1
    longest_retry_seconds: float = 5.0
    stable_seconds: float = 10.0
    """A connection that lasted so long is worth regaining at once."""


class Outage:
    """From the cut to the rejoin or the end."""

    def __init__(self, since_seconds: float, limits: OutageLimits) -> None:
        self._since_seconds = since_seconds
        self._limits = limits
        self._retry_seconds = limits.first_retry_seconds
        self._regained_seconds: float | None = None
        self.stage = OutageStage.BRIEF

    def regained(self, now_seconds: float) -> None:
        """Rejoined."""
        self._regained_seconds = now_seconds

    def lost_again(self, now_seconds: float) -> Outage:
        """The next one. Where the connection did not last, retries go on as seldom as they had become."""
        following = Outage(now_seconds, self._limits)
        regained = self._regained_seconds
        if regained is None or now_seconds - regained < self._limits.stable_seconds:
            following._retry_seconds = self._retry_seconds
        return following

    def stages_reached(self, now_seconds: float) -> list[OutageStage]:
        """Those reached since the last call, in order."""
        reached = [stage for stage in OutageStage if self.stage < stage and self._begins(stage) <= now_seconds]
        if reached:
            self.stage = reached[-1]
        return reached

    def next_stage_seconds(self) -> float | None:
        """When `stages_reached` has something new to say."""
        return None if self.stage is OutageStage.FAILED else self._begins(OutageStage(self.stage + 1))

    def next_retry_delay(self) -> float:
        """Seconds to wait before the next try: doubles up to the longest."""
        delay = self._retry_seconds
        self._retry_seconds = min(2 * delay, self._limits.longest_retry_seconds)
        return delay

    def _begins(self, stage: OutageStage) -> float:
        after = {
            OutageStage.BRIEF: 0.0,
            OutageStage.INTERRUPTED: self._limits.interrupted_seconds,
            OutageStage.LOST: self._limits.lost_seconds,
            OutageStage.FAILED: self._limits.failed_seconds,
        }
        return self._since_seconds + after[stage]
