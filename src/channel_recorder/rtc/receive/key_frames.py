"""When to ask for a key frame: at once, then ever more rarely while none comes."""

from __future__ import annotations

from math import inf

MIN_INTERVAL_SECONDS = 0.25
FIRST_RETRY_SECONDS = 0.5
"""Servers pass requests on to the publisher no faster than this (livekit-server: 0.5 to 1 s)."""
MAX_RETRY_SECONDS = 5.0


class KeyFrameRequests:
    """Paces the requests (PLI or FIR) of one stream."""

    __slots__ = ("_min_interval_seconds", "_retry_seconds", "_sent_seconds", "commands", "next_seconds")

    def __init__(self, min_interval_seconds: float = MIN_INTERVAL_SECONDS) -> None:
        self._min_interval_seconds = min_interval_seconds
        self.next_seconds = inf
        """When the next request is due; infinity while none is wanted."""
        self.commands = 0
        """Key frames asked for, retries not counted: the command number of FIR."""
        self._sent_seconds = -inf
        self._retry_seconds = FIRST_RETRY_SECONDS

    @property
    def wanted(self) -> bool:
        return self.next_seconds < inf

    def want(self, now_seconds: float) -> bool:
        """Ask, unless somebody does already. True if that is new."""
        if self.wanted:
            return False
        self.next_seconds = max(now_seconds, self._sent_seconds + self._min_interval_seconds)
        self._retry_seconds = FIRST_RETRY_SECONDS
        self.commands += 1
        return True

    def arrived(self) -> None:
        self.next_seconds = inf

    def due(self, now_seconds: float) -> bool:
        """Send a request now? Counts as sent."""
        if now_seconds < self.next_seconds:
            return False
        self._sent_seconds = now_seconds
        self.next_seconds = now_seconds + self._retry_seconds
        self._retry_seconds = min(2 * self._retry_seconds, MAX_RETRY_SECONDS)
        return True
