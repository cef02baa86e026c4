"""What was sent to one far side lately: to be sent again (RFC 4585), and to be continued by another stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from channel_recorder.rtc.receive.unwrap import unwrap16

VIDEO_PACKETS = 1024
AUDIO_PACKETS = 128
"""Powers of two: a second of 9 Mbit/s, of 10-ms sound."""
MAX_AGE_SECONDS = 1.5
MAX_REPEATS = 6
"""Of one packet: what a far side that asks without end costs is bounded."""
MIN_REPEAT_SECONDS = 0.01


class Patch(Protocol):
    def apply(self, payload: bytes) -> bytes: ...


class Sent(NamedTuple):
    """Payloads are shared by all who were sent them; what differs is done again when they are repeated."""

    number: int
    """Not wrapped."""
    second: int
    """Second byte of the header: marker and payload type."""
    timestamp: int
    payload: bytes
    """As received; empty for a packet of padding."""
    patch: Patch | None
    extensions: bytes
    """The extension block."""
    arrival_seconds: float

    @property
    def sent_payload(self) -> bytes:
        return self.patch.apply(self.payload) if self.patch is not None else self.payload


Slot = tuple[int, int, int, bytes, Patch | None, bytes, float] | None
"""The fields of `Sent`: a plain tuple is made in a quarter of the time."""


class History:
    """The newest packets of one outgoing track, by number."""

    __slots__ = ("_kept_from", "_repeats", "mask", "newest", "slots")

    def __init__(self, packets: int) -> None:
        """`packets`: a power of two."""
        self.mask = packets - 1
        self.slots: list[Slot] = [None] * packets
        """Packet n is in slot `n & mask`. Lines write here themselves."""
        self.newest: int | None = None
        """Highest number that was used, at the latest when a line ends."""
        self._kept_from = 0
        self._repeats: dict[int, tuple[float, int]] = {}
        """When last, and how often."""

    def get(self, number: int) -> Sent | None:
        slot = self.slots[number & self.mask]
        return Sent(*slot) if slot is not None and slot[0] == number else None

    def to_repeat(self, sequences: Iterable[int], now_seconds: float, interval_seconds: float) -> list[Sent]:
        """Those of 16-bit numbers that are still there, each at most once in `interval_seconds`."""
        if self.newest is None:
            return []
        interval_seconds = max(interval_seconds, MIN_REPEAT_SECONDS)
        found = (self.get(unwrap16(sequence, self.newest)) for sequence in sequences)
        return [sent for sent in found if sent is not None and self._may_repeat(sent, now_seconds, interval_seconds)]

    def begin_of_newest(self) -> float:
        """When the frame of the newest packet began to arrive."""
        assert self.newest is not None
        newest = sent = self.get(self.newest)
        assert newest is not None
        begin_seconds = newest.arrival_seconds
        while sent is not None and sent.timestamp == newest.timestamp:
            begin_seconds = min(begin_seconds, sent.arrival_seconds)
            sent = self.get(sent.number - 1)
        return begin_seconds

    def forget_old(self, now_seconds: float) -> None:
        """Called now and then, or a track of a few packets a second would keep minutes. The newest stays."""
        newest = self.newest
        if newest is None:
            return
        number = max(self._kept_from, newest - self.mask)
        while number < newest:
            slot = self.slots[number & self.mask]
            if slot is not None and slot[0] == number:
                if now_seconds - slot[6] <= MAX_AGE_SECONDS:
                    break
                self.slots[number & self.mask] = None
                self._repeats.pop(number, None)
            number += 1
        self._kept_from = number

    def _may_repeat(self, sent: Sent, now_seconds: float, interval_seconds: float) -> bool:
        if now_seconds - sent.arrival_seconds > MAX_AGE_SECONDS:
            return False
        last_seconds, count = self._repeats.pop(sent.number, (-interval_seconds, 0))
        allowed = count < MAX_REPEATS and now_seconds - last_seconds >= interval_seconds
        self._repeats[sent.number] = (now_seconds, count + 1) if allowed else (last_seconds, count)
        if len(self._repeats) > len(self.slots):
            del self._repeats[next(iter(self._repeats))]
        return allowed
