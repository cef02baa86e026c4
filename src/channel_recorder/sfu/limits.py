"""How much of everything there may be, so that nobody's client can hurt the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Far above what calls need: whoever meets one is broken or means harm."""

    rooms: int = 1000
    members_per_room: int = 1000
    """Hidden ones, recorders and agents too; `ServerSettings.max_participants` counts people."""
    tracks_per_member: int = 32
    """Published, announced, or offered and not announced yet."""
    subscriptions_per_member: int = 2000
    name_characters: int = 256
    """Of rooms, identities, names, tracks, streams, client track ids."""
    metadata_bytes: int = 64 * 1024
    attributes_bytes: int = 64 * 1024
    """Keys and values together."""
    requests_per_second: float = 200.0
    request_burst: int = 2000
    data_packet_bytes: int = 64 * 1024
    data_packets_per_second: float = 2000.0
    data_packet_burst: int = 4000
    data_bytes_per_second: float = 16e6
    data_byte_burst: int = 32_000_000
    """Files are sent as fast as the channel takes them; a packet that is dropped breaks the file."""
    data_drops: int = 2000
    """So many packets beyond the above, or malformed, and the member is removed; a hundred a second are forgiven."""


class RateLimit:
    """A token bucket: `burst` at once, `per_second` in the long run."""

    __slots__ = ("_available", "_burst", "_per_second", "_updated_seconds")

    def __init__(self, per_second: float, burst: float, now_seconds: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._available = burst
        self._updated_seconds = now_seconds

    def allows(self, amount: float, now_seconds: float) -> bool:
        """Takes `amount` if it is there."""
        gained = (now_seconds - self._updated_seconds) * self._per_second
        self._available = min(self._burst, self._available + gained)
        self._updated_seconds = now_seconds
        if amount > self._available:
            return False
        self._available -= amount
        return True


def attributes_size(attributes: Mapping[str, str]) -> int:
    return sum(len(key.encode()) + len(value.encode()) for key, value in attributes.items())
