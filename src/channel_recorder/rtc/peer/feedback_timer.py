"""The one loop timer of a peer connection, for the next deadline of its feedback."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


class FeedbackTimer:
    """`deadline_seconds` tells when there is something to send; `send` sends what is due then, and arms it anew."""

    __slots__ = ("_deadline_seconds", "_handle", "_now", "_send", "seconds")

    def __init__(
        self, deadline_seconds: Callable[[], float], send: Callable[[float], None], now: Callable[[], float]
    ) -> None:
        self.seconds = math.inf
        """When it fires; infinity while it does not run."""
        self._deadline_seconds = deadline_seconds
        self._send = send
        self._now = now
        self._handle: asyncio.TimerHandle | None = None

    def arm_if_sooner(self) -> None:
        """The deadline may have come nearer."""
        deadline_seconds = self._deadline_seconds()
        if deadline_seconds >= self.seconds:
            return
        if self._handle is not None:
            self._handle.cancel()
        self.seconds = deadline_seconds
        delay_seconds = max(0.0, deadline_seconds - self._now())
        self._handle = asyncio.get_running_loop().call_later(delay_seconds, self._fire)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle, self.seconds = None, math.inf

    def _fire(self) -> None:
        self._handle, self.seconds = None, math.inf
        self._send(self._now())
