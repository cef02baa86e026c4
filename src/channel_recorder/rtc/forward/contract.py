"""What the parts of forwarding know of each other: a layer, its track and its connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from channel_recorder.model import Codec
from channel_recorder.rtc.forward.levels import AudioLevel
from channel_recorder.rtc.forward.sender_clock import PublisherClock
from channel_recorder.rtc.receive.nack import RoundTrip
from channel_recorder.rtc.receive.statistics import Drop
from channel_recorder.rtc.receive.stream import Handler

if TYPE_CHECKING:
    from channel_recorder.rtc.forward.layer import Layer

Forward = Callable[[int, int, int, bytes, bytes | None, float], None]
"""Number, second byte, time stamp, payload, dependency descriptor, arrival."""


class Format(NamedTuple):
    """A payload type of the track."""

    codec: Codec
    clock_rate_hz: int
    starts_key_frame: Callable[[bytes], bool]


class LayerTransport(Protocol):
    """What the layers of a connection share."""

    ssrc: int
    """Ours, the sender of feedback."""
    round_trip: RoundTrip
    publisher_clock: PublisherClock
    handlers: dict[bytes, Handler]

    def count_drop(self, reason: Drop) -> None: ...

    def wake(self, at_seconds: float) -> None: ...

    def wake_now(self) -> None:
        """There is feedback to send; called from outside of the connection."""
        ...

    def packet_arrived(self, transport_sequence: int, now_seconds: float) -> None: ...


class LayerOwner(Protocol):
    """What the layers of a track share: what negotiation agreed on."""

    formats: dict[int, Format]
    retransmits: dict[int, int]
    transport_id: int
    level_id: int
    descriptor_id: int
    nack: bool
    pli: bool
    fir: bool
    level: AudioLevel

    def layer_woke(self, layer: Layer) -> None:
        """Packets come, for the first time or again. Called before they go on."""
        ...

    def layer_restarted(self, layer: Layer) -> None:
        """Another SSRC, another codec or other numbers: begin at a key frame again."""
        ...
