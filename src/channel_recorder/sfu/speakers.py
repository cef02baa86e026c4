"""Who is speaking, from the audio levels that clients send with their sound (RFC 6464).

Levels, threshold and smoothing are livekit-server's: 0 to 1 as amplitude, active above -35 dBov, in steps of an eighth,
so that small changes are not told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from livekit.protocol import models as pb

UPDATE_SECONDS = 0.4
ACTIVE_LEVEL = 10 ** (-35 / 20)
_SMOOTHING = 2 / 3
_STEPS = 8


class Speakers:
    def __init__(self) -> None:
        self._smoothed: dict[str, float] = {}
        self._told: dict[str, float] = {}
        """What everybody knows: level by participant sid, of those who speak."""

    def update(self, levels: Mapping[str, float]) -> list[pb.SpeakerInfo]:
        """`levels` since the last update, of all who publish sound, by participant sid. What changed, loudest first."""
        self._smoothed = {sid: self._smooth(sid, level) for sid, level in levels.items()}
        speaking = {sid: _quantize(level) for sid, level in self._smoothed.items() if level >= ACTIVE_LEVEL}
        changes = [_info(sid, level) for sid, level in speaking.items() if self._told.get(sid) != level]
        changes += [_info(sid, 0.0) for sid in self._told if sid not in speaking]
        self._told = speaking
        return sorted(changes, key=lambda info: -info.level)

    def current(self) -> list[pb.SpeakerInfo]:
        """For who comes later."""
        return [_info(sid, level) for sid, level in self._told.items()]

    def forget(self, sid: str) -> None:
        """Of one who left nothing more is told."""
        self._smoothed.pop(sid, None)
        self._told.pop(sid, None)

    def _smooth(self, sid: str, level: float) -> float:
        before = self._smoothed.get(sid, 0.0)
        return before + (level - before) * _SMOOTHING


def _quantize(level: float) -> float:
    return min(1.0, math.ceil(level * _STEPS) / _STEPS)


def _info(sid: str, level: float) -> pb.SpeakerInfo:
    return pb.SpeakerInfo(sid=sid, level=level, active=level > 0)
