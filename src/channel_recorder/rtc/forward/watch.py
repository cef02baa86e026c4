"""Who waits for a key frame of a layer, and how the publisher is asked for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from channel_recorder.model import Codec
from channel_recorder.rtc.forward.recent import Packet, RecentPackets
from channel_recorder.rtc.receive.key_frames import KeyFrameRequests

ASK_INTERVAL_SECONDS = 0.5
"""The publisher is asked no faster, however many subscribers wish for a key frame."""
_BARE_SLICES = {Codec.H264: frozenset({5, 28}), Codec.H265: frozenset({*range(16, 24), 49})}
"""NAL unit types of packets that begin a key frame only if no parameter sets came before them in the same frame."""


class Waiter(Protocol):
    """Wants to begin with a key frame."""

    def packet_shown(self, key_frame: int | None, now_seconds: float) -> None:
        """A packet came. `key_frame`: number of the first packet of a key frame, if this one told of it."""
        ...


class KeyFrameWatch:
    """Of one layer. While it is off, no packet is looked into."""

    __slots__ = ("_codec", "_is_asked", "_requests", "_starts_key_frame", "_waiters", "recent")

    def __init__(self) -> None:
        self.recent = RecentPackets(0)
        """Kept up to date while somebody waits."""
        self._waiters: dict[Waiter, None] = {}
        self._requests = KeyFrameRequests(ASK_INTERVAL_SECONDS)
        self._is_asked = False
        """`_requests` hears of it when the time is known."""
        self._codec: Codec | None = None
        self._starts_key_frame: Callable[[bytes], bool] = bool

    @property
    def is_on(self) -> bool:
        return bool(self._waiters) or self._is_asked or self._requests.wanted

    @property
    def has_waiters(self) -> bool:
        return bool(self._waiters)

    def take_format(self, codec: Codec, starts_key_frame: Callable[[bytes], bool]) -> None:
        self._codec = codec
        self._starts_key_frame = starts_key_frame

    def wait(self, waiter: Waiter, number: int) -> None:
        """`waiter` is shown every packet with content until it stops. `number`: the packet to come."""
        if not self._waiters:
            self.recent = RecentPackets(number)
        self._waiters[waiter] = None

    def stop_waiting(self, waiter: Waiter) -> None:
        self._waiters.pop(waiter, None)
        if not self._waiters:
            self.recent = RecentPackets(0)

    def restart(self, number: int) -> None:
        """What came before `number` does not belong to what comes now."""
        self.recent = RecentPackets(number)

    def show(self, packet: Packet) -> None:
        if not self._waiters:
            if self._starts_key_frame(packet.payload):
                self._arrived()
            return
        self.recent.add(packet)
        key_frame = self._begin_of(packet) if self._starts_key_frame(packet.payload) else None
        if key_frame is not None:
            self._arrived()
        for waiter in list(self._waiters):
            waiter.packet_shown(key_frame, packet.arrival_seconds)

    # Requests

    def ask(self) -> None:
        self._is_asked = True

    def give_up(self) -> None:
        self._arrived()

    @property
    def next_seconds(self) -> float:
        return 0.0 if self._is_asked else self._requests.next_seconds

    @property
    def commands(self) -> int:
        return self._requests.commands

    def due(self, now_seconds: float) -> bool:
        """Send a request now? Counts as sent."""
        if self._is_asked:
            self._is_asked = False
            self._requests.want(now_seconds)
        return self._requests.due(now_seconds)

    def _arrived(self) -> None:
        self._requests.arrived()
        self._is_asked = False

    def _begin_of(self, packet: Packet) -> int | None:
        """First packet of the key frame this one is of; None if that may not have come yet."""
        number = self.recent.frame_begin(packet.number)
        bare_slices = _BARE_SLICES.get(self._codec) if self._codec else None
        if bare_slices and number == packet.number and number > self.recent.floor and number - 1 not in self.recent:
            header = packet.payload[0]
            nal_type = header & 0x1F if self._codec is Codec.H264 else header >> 1 & 0x3F
            return None if nal_type in bare_slices else number
        return number
