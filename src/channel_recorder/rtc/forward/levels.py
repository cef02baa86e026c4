"""How loud sound is, by what its sender says of each packet (RFC 6464)."""

from __future__ import annotations

from math import sqrt

_SILENCE = 127
_POWERS = tuple(0.0 if level == _SILENCE else 10 ** (-level / 10) for level in range(_SILENCE + 1))
"""By level in -dBov."""


class AudioLevel:
    """Collects levels between two looks at them."""

    __slots__ = ("_count", "_power")

    def __init__(self) -> None:
        self._power = 0.0
        self._count = 0

    def add(self, value: int) -> None:
        """First byte of the extension: voice activity, then the level in -dBov."""
        self._power += _POWERS[value & 0x7F]
        self._count += 1

    def take(self) -> float:
        """Root mean square since the last call, 0 (silence, or no packets) to 1."""
        power, count = self._power, self._count
        self._power, self._count = 0.0, 0
        return sqrt(power / count) if count else 0.0
