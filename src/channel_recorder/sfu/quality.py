"""How good each member's connection is, from what its transports measure.

Never LOST: a browser that publishes and reads that of itself starts anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.rtc.serve.contract import TransportFigures

UPDATE_SECONDS = 5.0
_GOOD_LOSS = 0.02
_POOR_LOSS = 0.08
_GOOD_ROUND_TRIP_SECONDS = 0.3
_POOR_ROUND_TRIP_SECONDS = 0.8
_ORDER = (models.ConnectionQuality.POOR, models.ConnectionQuality.GOOD, models.ConnectionQuality.EXCELLENT)
_SCORES = (2.0, 3.5, 4.5)
"""Mean opinion scores (ITU-T P.800), as clients show them."""


def rank_of(figures: Iterable[TransportFigures]) -> int:
    """0 poor, 1 good, 2 excellent: the worst figure decides, what is not known does not."""
    known = tuple(figures)
    losses = [loss for figure in known for loss in (figure.fraction_lost_up, figure.fraction_lost_down)]
    round_trips = [figure.round_trip_seconds for figure in known]
    return min(
        _rank(losses, _GOOD_LOSS, _POOR_LOSS),
        _rank(round_trips, _GOOD_ROUND_TRIP_SECONDS, _POOR_ROUND_TRIP_SECONDS),
    )


class Qualities:
    """Of all members of a room. Gets worse at once, and better a step at a time."""

    def __init__(self) -> None:
        self._ranks: dict[str, int] = {}

    def update(self, ranks: Mapping[str, int]) -> list[pb.ConnectionQualityInfo]:
        """`ranks` by participant sid, of all who are connected. What changed."""
        before = self._ranks
        self._ranks = {sid: min(rank, before.get(sid, rank) + 1) for sid, rank in ranks.items()}
        return [_info(sid, rank) for sid, rank in self._ranks.items() if before.get(sid) != rank]

    def current(self) -> list[pb.ConnectionQualityInfo]:
        return [_info(sid, rank) for sid, rank in self._ranks.items()]


def _rank(values: Iterable[float | None], good: float, poor: float) -> int:
    worst = max((value for value in values if value is not None), default=0.0)
    return 2 if worst < good else 1 if worst < poor else 0


def _info(sid: str, rank: int) -> pb.ConnectionQualityInfo:
    return pb.ConnectionQualityInfo(participant_sid=sid, quality=_ORDER[rank], score=_SCORES[rank])
