"""One stretch of a received stream on its way to one far side: the same packets under other numbers.

A line begins at a key frame and ends where the next begins. Packets that come late find their place in it, also
after its end. Numbers are those of the received stream, not wrapped; what goes out is `number + offset`.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from channel_recorder.rtc.forward.dependency import frame_number_of, with_offset
from channel_recorder.rtc.forward.history import History, Patch, Sent
from channel_recorder.rtc.forward.payload_types import SecondBytes
from channel_recorder.rtc.forward.recent import Packet
from channel_recorder.rtc.forward.sender_clock import StreamClock, signed32
from channel_recorder.rtc.wire.rtp import EXTENDED, MARKER, PLAIN, build_extensions

MAX_OFFSETS = 64
"""Probes of padding come in bursts, and only packets of the last half second come late."""
CATCH_UP = 64
"""What is behind is shown so many times as fast."""
_PADDED = 0xA0
_PADDING = b"\x01"
_pack = Struct(">BBHII").pack


class Route:
    """Where the packets of an outgoing track go, and what goes on when streams are joined."""

    __slots__ = (
        "descriptor_id",
        "history",
        "octets",
        "packets",
        "retransmissions",
        "rtx_sequence",
        "rtx_ssrc",
        "second_bytes",
        "send",
        "ssrc",
    )

    def __init__(self, send: Callable[[bytes], None], history: History) -> None:
        self.send = send
        self.history = history
        self.ssrc = 0
        self.rtx_ssrc: int | None = None
        self.second_bytes: SecondBytes = (0,) * 256
        self.retransmissions: dict[int, int] = {}
        self.descriptor_id = 0
        """Of the dependency descriptor; 0: not agreed on."""
        self.rtx_sequence = 0
        self.packets = 0
        self.octets = 0
        """Both of ended lines."""

    def repeat(self, sent: Sent) -> None:
        """Send a packet again, through RTX where that was agreed on."""
        payload = sent.sent_payload
        payload_type = self.retransmissions.get(sent.second & 0x7F)
        if self.rtx_ssrc is None or payload_type is None or not payload:
            self.send(packet_of(sent.second, sent.number, sent.timestamp, self.ssrc, payload, sent.extensions))
            return
        self.rtx_sequence += 1
        second = sent.second & MARKER | payload_type
        payload = (sent.number & 0xFFFF).to_bytes(2, "big") + payload
        self.send(packet_of(second, self.rtx_sequence, sent.timestamp, self.rtx_ssrc, payload, sent.extensions))


class Line:
    """Its packets are given to `forward` in ascending order, to `forward_late` in any."""

    __slots__ = (
        "_behind",
        "_first_timestamp",
        "_history",
        "_last_timestamp",
        "_mask",
        "_offsets",
        "_reserved_from",
        "_second_bytes",
        "_send",
        "_slots",
        "_ssrc",
        "_swallowed",
        "clock",
        "descriptor_offset",
        "end",
        "frame_number",
        "newest",
        "octets",
        "offset",
        "packets",
        "patch",
        "payload_type",
        "route",
        "timestamp_offset",
        "true_timestamp_offset",
    )

    def __init__(
        self,
        route: Route,
        clock: StreamClock,
        *,
        first: Packet,
        payload_type: int,
        offset: int,
        timestamp_offset: int,
        behind: int = 0,
        patch: Patch | None = None,
        descriptor_offset: int = 0,
    ) -> None:
        """`payload_type`: as received. `behind`: by so many ticks it begins before what was sent already."""
        self.route = route
        self.clock = clock
        self.end: int | None = None
        """Numbers from here on do not belong to it; None while it goes on."""
        self.payload_type = payload_type
        self.offset = offset
        """For numbers from now on."""
        self.timestamp_offset = self.true_timestamp_offset = timestamp_offset
        self._behind = behind
        self._first_timestamp = first.timestamp
        self.patch = patch
        self.descriptor_offset = descriptor_offset
        self.frame_number: int | None = None
        """Of the newest dependency descriptor, as sent."""
        self.newest = first.number - 1 + offset
        """Highest number that was sent."""
        self._swallowed = first.number - 1
        self._reserved_from = first.number
        self._last_timestamp = 0
        self.packets = 0
        self.octets = 0
        self._offsets = [(first.number, offset)]
        """From which number on each was valid."""
        self._history = route.history
        self._slots = route.history.slots
        self._mask = route.history.mask
        self.take_route()

    def take_route(self) -> None:
        """The route's SSRC or payload types are other ones now."""
        self._send = self.route.send
        self._ssrc = self.route.ssrc
        self._second_bytes = self.route.second_bytes

    def forward(
        self, number: int, second: int, timestamp: int, payload: bytes, descriptor: bytes | None, now_seconds: float
    ) -> None:
        """A packet with content, newer than all before. Hot path."""
        second = self._second_bytes[second]
        number += self.offset
        self.newest = number
        timestamp = timestamp + self.timestamp_offset & 0xFFFFFFFF
        patch = self.patch
        self.packets += 1
        self.octets += len(payload)
        if descriptor is not None and self.route.descriptor_id:
            self._forward_described(number, second, timestamp, payload, descriptor, now_seconds)
            return
        self._slots[number & self._mask] = number, second, timestamp, payload, patch, b"", now_seconds
        if patch is not None:
            payload = patch.apply(payload)
        self._send(_pack(PLAIN, second, number & 0xFFFF, timestamp, self._ssrc) + payload)

    def catches_up(self, timestamp: int) -> bool:
        """To be called before `forward` until it is false: the line may begin with pictures that are older than what
        was sent before, where a packet of its key frame was lost. They are shown in passing."""
        ticks = self._ticks_behind(timestamp)
        self.timestamp_offset = self.true_timestamp_offset + ticks
        return ticks > 0

    def forward_late(
        self, number: int, second: int, timestamp: int, payload: bytes, descriptor: bytes | None, now_seconds: float
    ) -> bool:
        """A packet that others overtook. False if it has no place in this line.

        Padding too gets its place: the far side would ask for the number without end.
        """
        if self.end is not None and number >= self._reserved_from:
            if timestamp != self._last_timestamp:
                payload = b""
            elif number == self.end - 1 and second < MARKER:
                return False
        offset, sent_as = self._offset_at(number), second & 0x7F
        second = self._second_bytes[second if payload else self.payload_type]
        if offset is None or not second or (payload and sent_as != self.payload_type):
            return False
        timestamp = timestamp + self.true_timestamp_offset + self._ticks_behind(timestamp) & 0xFFFFFFFF
        extensions = self._extensions(descriptor) if descriptor is not None and self.route.descriptor_id else b""
        sent = Sent(number + offset, second, timestamp, payload, self.patch, extensions, now_seconds)
        slot = self._slots[sent.number & self._mask]
        if slot is None or slot[0] < sent.number:
            self._slots[sent.number & self._mask] = sent
        self.packets += 1
        self.octets += len(payload)
        self._send(packet_of(second, sent.number, timestamp, self._ssrc, sent.sent_payload, extensions))
        return True

    def swallow(self, number: int) -> None:
        """A packet of padding only, newer than all before: the far side does not see that there was a number."""
        self._swallowed = number
        self.offset -= 1
        if self._offsets[-1][0] == number:
            self._offsets.pop()
        self._offsets.append((number + 1, self.offset))
        if len(self._offsets) > MAX_OFFSETS:
            del self._offsets[0]

    def finish(self, reserved: int) -> int:
        """No packet after the newest belongs to it any more, but `reserved` ones that may still come late: the rest
        of its last frame. What is of a later frame leaves padding in its place, and if the rest does not end the
        frame a gap stays, or the far side would take what it has for all.

        Returns the number to send next.
        """
        self._reserved_from = self.highest + 1
        self._last_timestamp = self.timestamp
        self.end = self._reserved_from + reserved
        self._history.newest = self.newest
        return self.end + self.offset

    @property
    def highest(self) -> int:
        """Highest number that came, as received."""
        return max(self._swallowed, self.newest - self.offset)

    @property
    def ends_frame(self) -> bool:
        """The newest packet is the last of its frame."""
        slot = self._slots[self.newest & self._mask]
        return slot is not None and slot[1] >= MARKER

    @property
    def timestamp(self) -> int:
        """Of the newest packet, as received."""
        slot = self._slots[self.newest & self._mask]
        return slot[2] - self.timestamp_offset & 0xFFFFFFFF if slot is not None else 0

    def _ticks_behind(self, timestamp: int) -> int:
        """What is added to a time stamp, so that all of the line come after what was sent before, and in order."""
        if not self._behind:
            return 0
        elapsed = signed32(timestamp - self._first_timestamp)
        return max(self._behind + elapsed // CATCH_UP - elapsed, 0)

    def _forward_described(
        self, number: int, second: int, timestamp: int, payload: bytes, descriptor: bytes, now_seconds: float
    ) -> None:
        extensions = self._extensions(descriptor)
        self.frame_number = frame_number_of(with_offset(descriptor, self.descriptor_offset))
        self._slots[number & self._mask] = number, second, timestamp, payload, self.patch, extensions, now_seconds
        if self.patch is not None:
            payload = self.patch.apply(payload)
        self._send(packet_of(second, number, timestamp, self._ssrc, payload, extensions))

    def _extensions(self, descriptor: bytes) -> bytes:
        return build_extensions({self.route.descriptor_id: with_offset(descriptor, self.descriptor_offset)})

    def _offset_at(self, number: int) -> int | None:
        if self.end is not None and number >= self.end:
            return None
        for since, offset in reversed(self._offsets):
            if number >= since:
                return offset
        return None


def packet_of(second: int, number: int, timestamp: int, ssrc: int, payload: bytes, extensions: bytes) -> bytes:
    """Without payload: a packet of padding."""
    first = EXTENDED if extensions else PLAIN
    if not payload:
        first |= _PADDED
        second &= ~MARKER
    return _pack(first, second, number & 0xFFFF, timestamp, ssrc) + extensions + (payload or _PADDING)
