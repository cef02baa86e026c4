"""One SSRC: packets into order, and what is missing asked for again.

in order (nearly always)      straight to the frames
behind a gap                  held until the gap is filled or given up
far away, twice in a row      the sender restarted or was gone: resynchronised (RFC 3550 appendix A.1)
"""

from __future__ import annotations

from typing import Protocol

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.receive.nack import MissingPackets
from channel_recorder.rtc.receive.reports import ReceptionReport
from channel_recorder.rtc.receive.statistics import Counters
from channel_recorder.rtc.receive.unwrap import unwrap16, unwrap32
from channel_recorder.rtc.wire.rtcp import ReportBlock
from channel_recorder.rtc.wire.rtp import EXTENDED, FIXED_HEADER, MARKER, PLAIN, SSRC_BYTES, extension_of, payload_of

FAR = 3000
"""Sequence numbers so far apart belong to no common gap (RFC 3550 appendix A.1: MAX_DROPOUT)."""
MAX_HELD = 4096
"""Packets behind a gap: a second of 40 Mbit/s."""
MAX_GIVEN_UP = 1024
"""So many numbers are remembered, to tell late packets from duplicates."""
CONTINUES_SECONDS = 10.0
"""After an outage time stamps this near to what the clock says go on; others begin anew."""

_unpack = FIXED_HEADER.unpack_from
_DEGREES = (0, 90, 180, 270)


class Frames(Protocol):
    """The next stage: packets in sequence to frames."""

    rotation: int

    def add(self, payload: bytes, second: int, timestamp: int, arrival_seconds: float) -> None: ...

    def lost(self, count: int, now_seconds: float) -> None: ...


class SourceOwner(Protocol):
    """What a source tells its m-line; rare."""

    def malformed(self) -> None: ...

    def note_extensions(self, packet: bytes, now_seconds: float) -> None:
        """Transport-wide numbers are noted whatever becomes of the packet. Raises `MalformedError`."""
        ...

    def wake(self, at_seconds: float) -> None:
        """The source has something to do then."""
        ...

    def restarted(self, packets: tuple[bytes, ...], now_seconds: float) -> None:
        """The same SSRC began anew with these packets: make another source."""
        ...


class Source:
    """The receiving state of one SSRC. Made with its first packet, which is then given to `receive`."""

    __slots__ = (
        "_add",
        "_clock_rate_hz",
        "_counters",
        "_duplicates",
        "_end",
        "_frames",
        "_given_up",
        "_held",
        "_jitter_timestamp",
        "_key",
        "_missing",
        "_next",
        "_orientation_id",
        "_owner",
        "_suspect",
        "_transit",
        "_wants_extensions",
        "bytes",
        "jitter_ticks",
        "packets",
        "report",
        "ssrc",
    )

    def __init__(
        self,
        owner: SourceOwner,
        first_packet: bytes,
        frames: Frames,
        missing: MissingPackets,
        counters: Counters,
        clock_rate_hz: int,
        now_seconds: float,
    ) -> None:
        _, _, sequence, timestamp = _unpack(first_packet)
        self._key = first_packet[SSRC_BYTES]
        self.ssrc = int.from_bytes(self._key, "big")
        self.packets = 0
        self.bytes = 0
        self.jitter_ticks = 0.0
        self.report = ReceptionReport(sequence)
        self._owner = owner
        self._frames = frames
        self._add = frames.add
        self._missing = missing
        self._counters = counters
        self._clock_rate_hz = clock_rate_hz
        self._wants_extensions = False
        self._orientation_id = 0
        self._next: int = sequence
        """Unwrapped number of the packet that continues the sequence."""
        self._end: int = sequence
        """Behind the highest number received; not kept up to date while nothing is held."""
        self._held: dict[int, tuple[bytes, int, int, float, bytes]] = {}
        """Payload, second byte, time stamp, arrival and packet, by unwrapped number."""
        self._given_up: dict[int, None] = {}
        self._duplicates = 0
        self._suspect: tuple[int, bytes] | None = None
        """A packet from far away: the number that would confirm it, and the packet."""
        self._jitter_timestamp = timestamp
        self._transit = now_seconds * clock_rate_hz - timestamp

    def want_extensions(self, transport_wide: bool, orientation_id: int) -> None:
        """Look into header extensions: `transport_wide` numbers, and video orientation (0: not negotiated)."""
        self._wants_extensions = transport_wide or orientation_id > 0
        self._orientation_id = orientation_id

    def receive(self, packet: bytes, now_seconds: float) -> None:
        """A packet of at least 12 bytes with this SSRC. Hot path."""
        first, second, sequence, timestamp = _unpack(packet)
        if first == PLAIN:
            payload = packet[12:]
        elif first == EXTENDED and len(packet) > 15 and not self._wants_extensions:
            payload = packet[16 + 4 * (packet[14] << 8 | packet[15]) :]
        else:
            try:
                payload = payload_of(packet)
                if self._wants_extensions:
                    self._owner.note_extensions(packet, now_seconds)
            except MalformedError:
                self._owner.malformed()
                return
        self.packets += 1
        self.bytes += len(packet)
        expected = self._next
        if sequence != expected & 0xFFFF or self._held:
            self._place(sequence, payload, second, timestamp, now_seconds, packet)
            return
        self._next = expected + 1
        if timestamp != self._jitter_timestamp:
            self._jitter_timestamp = timestamp
            transit = now_seconds * self._clock_rate_hz - timestamp
            difference = transit - self._transit
            self._transit = transit
            if difference < 0:
                difference = -difference
            if difference < 1e9:  # else the time stamp wrapped
                self.jitter_ticks += (difference - self.jitter_ticks) / 16
        if self._orientation_id:
            self._read_orientation(packet)
        self._add(payload, second, timestamp, now_seconds)

    def recover(self, packet: bytes, sequence: int, second: int, payload: bytes, now_seconds: float) -> None:
        """A packet repeated through RTX: `sequence`, `second` and `payload` are the original's."""
        timestamp = int.from_bytes(packet[4:8], "big")
        self._place(sequence, payload, second, timestamp, now_seconds, packet)

    def handle_timer(self, now_seconds: float) -> None:
        if self._missing.expire(now_seconds):
            self._release(now_seconds)

    def flush(self, now_seconds: float) -> None:
        """Nothing more will come: give up the gaps, use what is held."""
        self._missing.forget(len(self._missing))
        self._release(now_seconds)

    def missing_to_ask(self, now_seconds: float) -> list[int]:
        """16-bit numbers."""
        return [sequence & 0xFFFF for sequence in self._missing.due(now_seconds)]

    def next_seconds(self) -> float:
        return self._missing.next_seconds()

    def report_block(self, now_seconds: float) -> ReportBlock | None:
        """None if nothing came since the last."""
        received = self.packets - self._duplicates
        if not self.report.has_news(received):
            return None
        highest = max(self._next, self._end) - 1
        return self.report.block(self.ssrc, highest, received, self.jitter_ticks, now_seconds)

    @property
    def jitter_seconds(self) -> float:
        return self.jitter_ticks / self._clock_rate_hz

    def _place(
        self, wire_sequence: int, payload: bytes, second: int, timestamp: int, now_seconds: float, packet: bytes
    ) -> None:
        """Any packet that is not simply the next one."""
        end = max(self._next, self._end)
        sequence = unwrap16(wire_sequence, end)
        if not -FAR < sequence - end < FAR:
            self._from_afar(wire_sequence, packet, now_seconds)
            return
        if sequence < self._next or sequence in self._held:
            self._count_again(sequence, packet)
            return
        # What is repeated tells nothing about the way: a repaired outage would look like a sender that had stood still.
        arrival_seconds = self._missing.arrival_seconds(sequence, now_seconds)
        self._held[sequence] = payload, second, timestamp, arrival_seconds, packet
        if sequence >= end:
            self._end = sequence + 1
        if sequence > end:
            self._missing.add(range(end, sequence), now_seconds)
            self._owner.wake(self._missing.next_seconds())
        elif self._missing.received(sequence, now_seconds):
            self._counters.recovered_packets += 1
        if len(self._held) > MAX_HELD:
            self._missing.forget_before(min(self._held))
        self._release(now_seconds)

    def _count_again(self, sequence: int, packet: bytes) -> None:
        """Had already, or given up."""
        if sequence in self._given_up:
            del self._given_up[sequence]
            self._counters.late_packets += 1
        else:
            self._counters.duplicate_packets += 1
            if packet[SSRC_BYTES] == self._key:
                self._duplicates += 1

    def _release(self, now_seconds: float) -> None:
        """Hand on what is in sequence now, over gaps that are no longer waited for."""
        held = self._held
        lost = 0
        frame_timestamp, frame_arrival_seconds = -1, 0.0
        while held:
            sequence = self._next
            item = held.pop(sequence, None)
            if item is None:
                if sequence in self._missing:
                    break
                self._next = sequence + 1
                self._give_up(sequence)
                lost += 1
                continue
            self._next = sequence + 1
            if lost:
                self._lose(lost, now_seconds)
                lost = 0
            payload, second, timestamp, arrival_seconds, packet = item
            if timestamp == frame_timestamp:  # an earlier packet of the frame may have come later
                arrival_seconds = max(arrival_seconds, frame_arrival_seconds)
            frame_timestamp, frame_arrival_seconds = timestamp, arrival_seconds
            if self._orientation_id:
                self._read_orientation(packet)
            self._add(payload, second, timestamp, arrival_seconds)

    def _give_up(self, sequence: int) -> None:
        self._given_up[sequence] = None
        if len(self._given_up) > MAX_GIVEN_UP:
            del self._given_up[next(iter(self._given_up))]

    def _lose(self, count: int, now_seconds: float) -> None:
        self._counters.lost_packets += count
        self._frames.lost(count, now_seconds)

    def _from_afar(self, wire_sequence: int, packet: bytes, now_seconds: float) -> None:
        """One such packet may be a stray; two in a row are the truth."""
        suspect, self._suspect = self._suspect, (wire_sequence + 1 & 0xFFFF, packet)
        if suspect is None or suspect[0] != wire_sequence:
            return
        self._suspect = None
        packets = suspect[1], packet
        self.packets -= 2  # they are received again
        self.bytes -= len(suspect[1]) + len(packet)
        self.flush(now_seconds)
        if self._continues(packet, now_seconds):
            self._skip_to(suspect[1], now_seconds)
            for each in packets:
                self.receive(each, now_seconds)
        else:
            self._owner.restarted(packets, now_seconds)

    def _continues(self, packet: bytes, now_seconds: float) -> bool:
        timestamp = int.from_bytes(packet[4:8], "big")
        difference_ticks = unwrap32(round(now_seconds * self._clock_rate_hz - timestamp - self._transit), 0)
        return abs(difference_ticks) < CONTINUES_SECONDS * self._clock_rate_hz

    def _skip_to(self, packet: bytes, now_seconds: float) -> None:
        """After an outage. A jump of more than half a turn is no count of lost packets."""
        missed = int.from_bytes(packet[2:4], "big") - self._next & 0xFFFF
        self._next += missed
        if missed < 0x8000:
            self._lose(missed, now_seconds)
        else:
            self.report.first_sequence += missed
            self._lose(0, now_seconds)

    def _read_orientation(self, packet: bytes) -> None:
        """Comes with the last packet of a frame, not necessarily every frame (3GPP TS 26.114 section 7.4.5)."""
        if packet[1] < MARKER:
            return
        try:
            value = extension_of(packet, self._orientation_id)
        except MalformedError:
            return
        if value:
            self._frames.rotation = _DEGREES[value[0] & 3]
