"""Arrival times of all packets of a transport, reported for the sender's congestion control."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from channel_recorder.rtc.receive.unwrap import unwrap16
from channel_recorder.rtc.wire.transport_feedback import (
    TICKS_PER_REFERENCE,
    TICKS_PER_SECOND,
    TransportFeedback,
)

INTERVAL_SECONDS = 0.1
HISTORY_TICKS = TICKS_PER_SECOND // 2
"""So long arrivals are remembered after their report, to be told again beside a straggler."""
MAX_JUMP = 8192
MAX_PACKETS = 400
"""In one report: keeps it below 1200 bytes."""
_MAX_DELTA = 2**15 - 1


class TransportArrivals:
    """One per transport: the sequence number runs over all its streams."""

    __slots__ = ("_arrivals", "_end", "_feedback_count", "_start", "next_seconds")

    def __init__(self) -> None:
        self.next_seconds = inf
        """When feedback is due; infinity while nothing came since the last."""
        self._arrivals: dict[int, int] = {}
        """Unwrapped sequence number to ticks of 250 us."""
        self._start: int | None = None
        """First number the next report tells of."""
        self._end = 0
        self._feedback_count = 0

    def record(self, sequence: int, now_seconds: float) -> bool:
        """A packet with this transport-wide number (16 bits) came. True if that made feedback due."""
        end = self._end
        number = end if sequence == end & 0xFFFF else unwrap16(sequence, end)
        if self._start is None or abs(number - end) > MAX_JUMP:
            self._arrivals.clear()
            self._start = end = number
        elif number in self._arrivals:
            return False
        self._arrivals[number] = round(now_seconds * TICKS_PER_SECOND)
        if number >= end:
            self._end = number + 1
        elif number < self._start:
            self._start = number
        if self.next_seconds < inf:
            return False
        self.next_seconds = now_seconds + INTERVAL_SECONDS
        return True

    def feedback(self, sender_ssrc: int, media_ssrc: int, now_seconds: float) -> list[TransportFeedback]:
        """What came since the last feedback, if it is due; several values only after long pauses or floods."""
        if now_seconds < self.next_seconds or self._start is None:
            return []
        self.next_seconds = inf
        reports = [
            TransportFeedback(
                sender_ssrc=sender_ssrc,
                media_ssrc=media_ssrc,
                base_sequence=start & 0xFFFF,
                reference_time=ticks // TICKS_PER_REFERENCE & 0xFFFFFF,
                feedback_count=self._next_count(),
                deltas=deltas,
            )
            for start, ticks, deltas in self._runs(self._start)
        ]
        self._start = self._end
        self._forget(round(now_seconds * TICKS_PER_SECOND) - HISTORY_TICKS)
        return reports

    def _runs(self, start: int) -> Iterator[tuple[int, int, tuple[int | None, ...]]]:
        """First number, first arrival and deltas of each report."""
        deltas: list[int | None] = []
        base, first, previous = start, 0, None
        for number in sorted(number for number in self._arrivals if number >= start):
            ticks = self._arrivals[number]
            if previous is not None and (abs(ticks - previous) > _MAX_DELTA or len(deltas) >= MAX_PACKETS):
                yield base, first, tuple(deltas)
                base, previous, deltas = base + len(deltas), None, []
            if previous is None:
                first = ticks
                previous = ticks - ticks % TICKS_PER_REFERENCE
            deltas += [None] * (number - base - len(deltas))
            deltas.append(ticks - previous)
            previous = ticks
        if deltas:
            yield base, first, tuple(deltas)

    def _next_count(self) -> int:
        count = self._feedback_count
        self._feedback_count = count + 1 & 0xFF
        return count

    def _forget(self, before_ticks: int) -> None:
        for number in [number for number, ticks in self._arrivals.items() if ticks < before_ticks]:
            del self._arrivals[number]
