"""The latest packets of a layer that somebody waits for: a key frame may have begun before it is recognised."""

from __future__ import annotations

from typing import NamedTuple

MAX_PACKETS = 512


class Packet(NamedTuple):
    number: int
    second: int
    timestamp: int
    payload: bytes
    descriptor: bytes | None
    arrival_seconds: float


class RecentPackets:
    """By number, not wrapped. Everything from `floor` on that came is there."""

    __slots__ = ("_packets", "floor")

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._packets: dict[int, Packet] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._packets

    def add(self, packet: Packet) -> None:
        self._packets[packet.number] = packet
        if len(self._packets) > MAX_PACKETS:
            oldest = next(iter(self._packets))
            del self._packets[oldest]
            self.floor = max(self.floor, oldest + 1)

    def frame_begin(self, number: int) -> int:
        """The first of the packets that are one frame with this one, as far back as none is missing."""
        timestamp = self._packets[number].timestamp
        while (before := self._packets.get(number - 1)) is not None and before.timestamp == timestamp:
            number -= 1
        return number

    def since(self, number: int) -> list[Packet]:
        """In ascending order."""
        return [self._packets[each] for each in sorted(self._packets) if each >= number]
