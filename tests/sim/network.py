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
    bad: float = 0.0
    """Probability that a bad spell begins (the model of Gilbert and Elliott), in which `bad_loss` of the packets go."""
    recovery: float = 0.1
    """Probability that a bad spell ends."""
    bad_loss: float = 0.7
    bytes_per_second: float = inf
    """What gets through; more waits."""
    queue_seconds: float = 0.5
    """What would wait longer is lost."""
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
        self._is_bad = False
        self._free_seconds = 0.0

    @property
    def next_seconds(self) -> float:
        """When something arrives next; infinity while nothing is under way."""
        return self._in_flight[0][0] if self._in_flight else inf

    def send(self, packet: bytes, now_seconds: float) -> None:
        self.sent += 1
        if self._loses(now_seconds) or self._overflows(packet, now_seconds):
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
        if conditions.bad and self._is_lost_in_a_bad_spell():
            return True
        return self._chance.random() < conditions.loss

    def _is_lost_in_a_bad_spell(self) -> bool:
        conditions = self.conditions
        turns = conditions.recovery if self._is_bad else conditions.bad
        self._is_bad ^= self._chance.random() < turns
        return self._is_bad and self._chance.random() < conditions.bad_loss

    def _overflows(self, packet: bytes, now_seconds: float) -> bool:
        """Whether the queue before the bottleneck is full; else the packet takes its time there."""
        start = max(self._free_seconds, now_seconds)
        if start - now_seconds > self.conditions.queue_seconds:
            return True
        self._free_seconds = start + len(packet) / self.conditions.bytes_per_second
        return False

    def _deliver(self, packet: bytes, now_seconds: float) -> None:
        conditions = self.conditions
        sent_seconds = max(now_seconds, self._free_seconds)
        arrival_seconds = sent_seconds + conditions.delay_seconds + self._chance.random() * conditions.jitter_seconds
        arrival_seconds = max(arrival_seconds, self._last_arrival_seconds)
        if self._chance.random() < conditions.reordered:
            arrival_seconds += conditions.reorder_seconds
        else:
            self._last_arrival_seconds = arrival_seconds
        self._order += 1
        heapq.heappush(self._in_flight, (arrival_seconds, self._order, packet))
