"""A network of one direction in virtual time: what is sent comes out later, twice, in another order, or never."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, kw_only=True)
class NetworkConditions:
    """Probabilities are per packet."""

    delay_seconds: float = 0.02
    jitter_seconds: float = 0.0
    """Extra delay, uniform from 0; keeps the order, like a queue."""
    loss: float = 0.0
    burst: float = 0.0
    """Probability that a burst of losses begins."""
    burst_seconds: float = 0.05
    duplicates: float = 0.0
    reordered: float = 0.0
    """Probability of `reorder_seconds` of extra delay, past the packets behind."""
    reorder_seconds: float = 0.03
    cuts: tuple[tuple[float, float], ...] = ()
    """(from, until): nothing gets through."""


PERFECT = NetworkConditions()
LAN = NetworkConditions(delay_seconds=0.001, jitter_seconds=0.001)
WIFI_LOSSY = NetworkConditions(
    delay_seconds=0.01,
    jitter_seconds=0.03,
    loss=0.02,
    burst=0.001,
    burst_seconds=0.05,
    duplicates=0.002,
    reordered=0.01,
)
CELLULAR = NetworkConditions(
    delay_seconds=0.06, jitter_seconds=0.08, loss=0.01, burst=0.002, burst_seconds=0.15, reordered=0.005
)


class SimulatedNetwork:
    """The same seed and the same packets give the same events."""

    def __init__(self, seed: int, conditions: NetworkConditions = PERFECT) -> None:
        self.conditions = conditions
        self.sent = 0
        self.lost = 0
        self._chance = random.Random(seed)
        self._order = 0
        self._in_flight: list[tuple[float, int, bytes]] = []
        self._last_arrival_seconds = 0.0
        self._burst_until_seconds = 0.0

    @property
    def next_seconds(self) -> float:
        """When something arrives next; infinity while nothing is under way."""
        return self._in_flight[0][0] if self._in_flight else inf

    def send(self, packet: bytes, now_seconds: float) -> None:
        self.sent += 1
        if self._loses(now_seconds):
            self.lost += 1
            return
        self._deliver(packet, now_seconds)
        if self._chance.random() < self.conditions.duplicates:
            self._deliver(packet, now_seconds)

    def receive(self, now_seconds: float) -> list[bytes]:
        """What has arrived by now."""
        packets: list[bytes] = []
        while self._in_flight and self._in_flight[0][0] <= now_seconds:
            packets.append(heapq.heappop(self._in_flight)[2])
        return packets

    def _loses(self, now_seconds: float) -> bool:
        conditions = self.conditions
        if any(since <= now_seconds < until for since, until in conditions.cuts):
            return True
        if now_seconds < self._burst_until_seconds:
            return True
        if self._chance.random() < conditions.burst:
            self._burst_until_seconds = now_seconds + conditions.burst_seconds
            return True
        return self._chance.random() < conditions.loss

    def _deliver(self, packet: bytes, now_seconds: float) -> None:
        conditions = self.conditions
        arrival_seconds = now_seconds + conditions.delay_seconds + self._chance.random() * conditions.jitter_seconds
        arrival_seconds = max(arrival_seconds, self._last_arrival_seconds)
        if self._chance.random() < conditions.reordered:
            arrival_seconds += conditions.reorder_seconds
        else:
            self._last_arrival_seconds = arrival_seconds
        self._order += 1
        heapq.heappush(self._in_flight, (arrival_seconds, self._order, packet))
