"""Packets that are missing: when to ask for each, and when to give it up (RFC 4585 section 6.2.1)."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

MAX_MISSING = 512
"""More at once is no loss but an outage; livekit-server keeps 500 packets to send again."""
START_ROUND_TRIP_SECONDS = 0.1
MIN_RETRY_SECONDS = 0.02
TOGETHER_SECONDS = 0.005
"""What is due so soon is asked for in the same packet."""
AMBIGUOUS_IN_A_ROW = 8
"""So many answers after a retry, and none before: the way may be longer than it was taken for."""


class RoundTrip:
    """Smoothed time from a request to its answer, as in RFC 6298 section 2.

    Less patient: a needless retry costs a packet, one too few costs a picture.
    """

    __slots__ = ("_ambiguous", "_deviation_seconds", "_least_seconds", "_smoothed_seconds", "measured_seconds")

    def __init__(self) -> None:
        self.measured_seconds: float | None = None
        self._smoothed_seconds = START_ROUND_TRIP_SECONDS
        self._deviation_seconds = 0.0
        self._ambiguous = 0
        """Answers in a row that came after a retry, and the least time of these since the first request."""
        self._least_seconds = inf

    @property
    def timeout_seconds(self) -> float:
        return max(MIN_RETRY_SECONDS, self._smoothed_seconds + self._deviation_seconds)

    def answered(self, seconds: float, tries: int) -> None:
        """A packet came, so long after it was asked for first.

        After several tries nobody knows which was answered (Karn's algorithm, RFC 6298 section 3): counting from the
        first, lost requests would be taken for a long way, and fewer tries would follow, of which more are lost.
        """
        if tries > 1:
            self._ambiguous += 1
            self._least_seconds = min(self._least_seconds, seconds)
            if self._ambiguous < AMBIGUOUS_IN_A_ROW:
                return
            seconds = self._least_seconds
        self._ambiguous = 0
        self._least_seconds = inf
        self.sample(seconds)

    def sample(self, seconds: float) -> None:
        """Measured beyond doubt."""
        if self.measured_seconds is None:
            self._smoothed_seconds, self._deviation_seconds = seconds, seconds / 4
        else:
            error = seconds - self._smoothed_seconds
            self._deviation_seconds += (abs(error) - self._deviation_seconds) / 4
            self._smoothed_seconds += error / 8
        self.measured_seconds = self._smoothed_seconds


class _Missing:
    __slots__ = ("asked_seconds", "deadline_seconds", "next_try_seconds", "tries")

    def __init__(self, now_seconds: float, deadline_seconds: float) -> None:
        self.deadline_seconds = deadline_seconds
        self.next_try_seconds = now_seconds
        self.asked_seconds = 0.0
        self.tries = 0


class MissingPackets:
    """The gaps of one stream, in ascending order; a later gap never ends before an earlier one."""

    __slots__ = ("_asks", "_missing", "_round_trip", "_window_seconds")

    def __init__(self, window_seconds: float, asks: bool, round_trip: RoundTrip) -> None:
        """`asks`: NACK was negotiated; else packets are only waited for."""
        self._round_trip = round_trip
        self._window_seconds = window_seconds
        self._asks = asks
        self._missing: dict[int, _Missing] = {}

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._missing

    def __len__(self) -> int:
        return len(self._missing)

    def add(self, sequences: range, now_seconds: float) -> None:
        """A gap was found. What exceeds the bound is forgotten, oldest first; of an outage all."""
        if len(sequences) > MAX_MISSING:
            self._missing.clear()
            return
        self.forget(len(self._missing) + len(sequences) - MAX_MISSING)
        deadline_seconds = now_seconds + self._window_seconds
        for sequence in sequences:
            self._missing[sequence] = _Missing(now_seconds, deadline_seconds)

    def forget(self, count: int) -> None:
        """Give up the oldest."""
        for sequence in list(self._missing)[: max(count, 0)]:
            del self._missing[sequence]

    def forget_before(self, sequence: int) -> None:
        self.forget(sum(missing < sequence for missing in self._missing))

    def received(self, sequence: int, now_seconds: float) -> bool:
        """A packet came. True if it was missing and had been asked for."""
        missing = self._missing.pop(sequence, None)
        if missing is None or not missing.tries:
            return False
        self._round_trip.answered(now_seconds - missing.asked_seconds, missing.tries)
        return True

    def arrival_seconds(self, sequence: int, now_seconds: float) -> float:
        """When a packet that comes now had come, had it not to be asked for: before it was missed."""
        missing = self._missing.get(sequence)
        return now_seconds if missing is None or not missing.tries else missing.asked_seconds

    def expire(self, now_seconds: float) -> bool:
        """Give up what was waited for long enough. True if there was any."""
        expired = 0
        for missing in self._missing.values():
            if missing.deadline_seconds > now_seconds:
                break
            expired += 1
        self.forget(expired)
        return expired > 0

    def due(self, now_seconds: float) -> list[int]:
        """What to ask for now; counts as asked."""
        return list(self._ask(now_seconds)) if self._asks and self._missing else []

    def next_seconds(self) -> float:
        """When `due` or `expire` has something to do; infinity if nothing is missing."""
        if not self._missing:
            return inf
        deadline_seconds = next(iter(self._missing.values())).deadline_seconds
        if not self._asks:
            return deadline_seconds
        next_try_seconds = min(missing.next_try_seconds for missing in self._missing.values())
        return min(deadline_seconds, next_try_seconds)

    def _ask(self, now_seconds: float) -> Iterator[int]:
        timeout_seconds = self._round_trip.timeout_seconds
        for sequence, missing in self._missing.items():
            if missing.next_try_seconds <= now_seconds + TOGETHER_SECONDS:
                # Not ever more slowly: the window ends it soon enough, and every try counts where much is lost.
                missing.next_try_seconds = now_seconds + timeout_seconds
                if not missing.tries:
                    missing.asked_seconds = now_seconds
                missing.tries += 1
                yield sequence
