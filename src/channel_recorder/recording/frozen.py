"""Pictures that stop coming though nobody muted them: what to ask for, and when. Sans-IO.

A sender whose picture only stands still answers the request for a key frame; where nothing comes even then,
the track is subscribed to anew.
"""

from __future__ import annotations

from enum import StrEnum

FROZEN_SECONDS = 3.0
"""Senders of still pictures repeat them about once a second."""
ANSWER_SECONDS = 5.0
"""So long a key frame may take; twice as long the next measure, and so on."""
MAX_PAUSE_SECONDS = 60.0


class Remedy(StrEnum):
    KEY_FRAME = "key_frame"
    SUBSCRIPTION = "subscription"


class FrozenWatch:
    """One track of pictures. Looked at every now and then."""

    __slots__ = ("_asked", "_due_seconds", "_frames")

    def __init__(self) -> None:
        self._frames = -1
        self._asked = 0
        self._due_seconds = 0.0

    def rest(self) -> None:
        """Nothing is to be expected now: muted, or not recorded."""
        self._frames = -1

    def look(self, frames: int, now_seconds: float) -> Remedy | None:
        """`frames`: how many came so far. What to ask for now."""
        if frames != self._frames:
            self._frames = frames
            self._asked = 0
            self._due_seconds = now_seconds + FROZEN_SECONDS
        if now_seconds < self._due_seconds:
            return None
        self._due_seconds = now_seconds + min(ANSWER_SECONDS * 2**self._asked, MAX_PAUSE_SECONDS)
        self._asked += 1
        return Remedy.KEY_FRAME if self._asked == 1 else Remedy.SUBSCRIPTION
