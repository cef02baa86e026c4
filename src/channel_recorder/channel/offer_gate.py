"""Holds an offer back until the tracks it names are announced. Sans-IO.

The server announces a track before it offers it; where it takes both from different queues the offer may win.
An offer is answered in any case after a short wait: a hidden publisher's tracks are never announced.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator

from channel_recorder.channel.signal_events import CandidateReceived, OfferReceived

PATIENCE_SECONDS = 0.5
_TRACK_SID = re.compile(r"^a=msid:\S+ (TR_\S+)", re.MULTILINE)
_REMEMBERED_SIDS = 4096


class OfferGate:
    """Offers and candidates in, the same in the same order out."""

    def __init__(self, has_heard_of: Callable[[str], bool]) -> None:
        self._has_heard_of = has_heard_of
        self._waiting: deque[OfferReceived | CandidateReceived] = deque()
        self._deadline_seconds: float | None = None
        self._given_up: dict[str, None] = {}

    def put(self, event: OfferReceived | CandidateReceived) -> None:
        self._waiting.append(event)

    def take(self, now_seconds: float) -> Iterator[OfferReceived | CandidateReceived]:
        """What may pass now. To be called after every change: an offer, an announcement, the timer."""
        while self._waiting and self._may_pass(self._waiting[0], now_seconds):
            self._deadline_seconds = None
            yield self._waiting.popleft()

    def next_timer(self) -> float | None:
        return self._deadline_seconds

    def _may_pass(self, event: OfferReceived | CandidateReceived, now_seconds: float) -> bool:
        missing = self._missing(event.sdp) if isinstance(event, OfferReceived) else []
        if not missing:
            return True
        if self._deadline_seconds is None:
            self._deadline_seconds = now_seconds + PATIENCE_SECONDS
        if now_seconds < self._deadline_seconds:
            return False
        self._give_up(missing)
        return True

    def _missing(self, sdp: str) -> list[str]:
        named = _TRACK_SID.findall(sdp)
        return [sid for sid in named if sid not in self._given_up and not self._has_heard_of(sid)]

    def _give_up(self, sids: list[str]) -> None:
        """Later offers name them again: nobody waits twice."""
        self._given_up.update(dict.fromkeys(sids))
        while len(self._given_up) > _REMEMBERED_SIDS:
            del self._given_up[next(iter(self._given_up))]
