"""How one layer is made to continue another: numbers, time stamps, picture ids, frame numbers.

The far side sees one stream, whatever layers, pauses and restarts it is put together from.
"""

from __future__ import annotations

from channel_recorder.model import Codec
from channel_recorder.rtc.forward import vp8
from channel_recorder.rtc.forward.dependency import frame_number_of
from channel_recorder.rtc.forward.history import History, Patch, Sent
from channel_recorder.rtc.forward.layer import Layer
from channel_recorder.rtc.forward.line import Line, Route
from channel_recorder.rtc.forward.recent import Packet
from channel_recorder.rtc.forward.sender_clock import StreamClock, signed32

DOUBT_SECONDS = 0.5
"""Reports of two layers that put a picture so far from its arrival are not believed."""


class Continuity:
    """What of one outgoing track outlives its lines."""

    __slots__ = ("_codec", "_last", "_next_number", "_reference", "history")

    def __init__(self, packets: int) -> None:
        self.history = History(packets)
        self._last: Line | None = None
        """The one that ended last, and its codec."""
        self._codec: Codec | None = None
        self._next_number: int | None = None
        self._reference: tuple[StreamClock, int] | None = None
        """A clock with reports, and the offset from its time stamps to those that are sent."""

    def begin_line(self, route: Route, layer: Layer, first: Packet) -> Line:
        """After the last one ended. `first`: packet of the layer to begin with."""
        assert layer.clock is not None
        number = self._next_number if self._next_number is not None else first.number & 0x7FFF
        newest = self.history.get(self.history.newest) if self.history.newest is not None else None
        patch = self._patch(newest, first.payload) if layer.codec is Codec.VP8 else None
        self._codec = layer.codec
        timestamp_offset, behind = self._timestamp_offset(newest, layer.clock, first)
        return Line(
            route,
            layer.clock,
            first=first,
            payload_type=layer.payload_type,
            offset=number - first.number,
            timestamp_offset=timestamp_offset,
            behind=behind,
            patch=patch,
            descriptor_offset=self._descriptor_offset(first.descriptor),
        )

    def end_line(self, line: Line, reserved: int) -> None:
        """`reserved`: so many of its packets may still come."""
        self.reference_of(line)
        self._last = line
        self._next_number = line.finish(reserved)

    def reference_of(self, line: Line | None) -> tuple[StreamClock, int] | None:
        """Of the line, if there were reports on its clock, else of a line before."""
        if line is not None and line.clock.is_known:
            self._reference = line.clock, line.true_timestamp_offset
        return self._reference

    def lateness_seconds(self, line: Line, layer: Layer, first: Packet) -> float:
        """How much older than the newest of the line that packet of another layer is; 0 if that is not known."""
        newest = self.history.get(line.newest)
        reference = self.reference_of(line)
        if newest is None or layer.clock is None or not layer.clock.is_known or reference is None:
            return 0.0
        clock, offset = reference
        timestamp = clock.timestamp_at(layer.clock.ntp_seconds(first.timestamp)) + offset
        return max(signed32(newest.timestamp - timestamp) / clock.clock_rate_hz, 0.0)

    def _timestamp_offset(self, newest: Sent | None, clock: StreamClock, first: Packet) -> tuple[int, int]:
        """By the reports of both layers, else by arrival; and by how much that is too early to be sent."""
        if newest is None:
            return 0, 0
        elapsed_seconds = max(first.arrival_seconds - self.history.begin_of_newest(), 0.0)
        ticks = self._ticks_by_reports(clock, first.timestamp, newest.timestamp)
        if ticks is None or abs(ticks / clock.clock_rate_hz - elapsed_seconds) > DOUBT_SECONDS:
            ticks = max(round(elapsed_seconds * clock.clock_rate_hz), 1)
        return newest.timestamp + ticks - first.timestamp & 0xFFFFFFFF, max(1 - ticks, 0)

    def _ticks_by_reports(self, clock: StreamClock, timestamp: int, newest: int) -> int | None:
        """From the newest time stamp sent to where that one belongs."""
        if self._last is not None and self._last.clock is clock:
            return signed32(timestamp + self._last.true_timestamp_offset - newest)
        if self._reference is None or not clock.is_known:
            return None
        known, offset = self._reference
        return signed32(known.timestamp_at(clock.ntp_seconds(timestamp)) + offset - newest)

    def _patch(self, newest: Sent | None, payload: bytes) -> Patch | None:
        if newest is None or self._codec is not Codec.VP8:
            return None
        return vp8.continued(newest.sent_payload, payload)

    def _descriptor_offset(self, descriptor: bytes | None) -> int:
        last = self._last.frame_number if self._last is not None else None
        number = frame_number_of(descriptor) if descriptor is not None else None
        return 0 if last is None or number is None else last + 1 - number & 0xFFFF
