"""One received stream of a track: a simulcast layer, or all there is of it.

Packets go on at once, in the order of arrival. Those in order (nearly all) take the short way through `receive`;
whatever is unusual, and everything while somebody waits for a key frame, goes through `_place`.
"""

from __future__ import annotations

from math import inf

from channel_recorder.errors import MalformedError
from channel_recorder.model import Codec
from channel_recorder.rtc.forward.contract import Forward, LayerOwner, LayerTransport
from channel_recorder.rtc.forward.line import Line
from channel_recorder.rtc.forward.recent import Packet
from channel_recorder.rtc.forward.reception import Reception
from channel_recorder.rtc.forward.sender_clock import StreamClock
from channel_recorder.rtc.forward.watch import KeyFrameWatch, Waiter
from channel_recorder.rtc.receive.source import FAR
from channel_recorder.rtc.receive.statistics import Drop
from channel_recorder.rtc.receive.unwrap import unwrap16
from channel_recorder.rtc.wire.rtcp import (
    FullIntraRequest,
    GenericNack,
    PictureLossIndication,
    ReportBlock,
    RtcpPacket,
    SenderReport,
)
from channel_recorder.rtc.wire.rtp import EXTENDED, FIXED_HEADER, MARKER, PLAIN, extension_of, payload_of

SILENT_SECONDS = 0.5
SILENT_FRAMES = 4
MAX_SILENT_SECONDS = 5.0
"""A layer is given up after half a second and four of its usual pauses between frames: 0.6 s at 30 fps, 4.5 s for a
screen share of 1 fps."""

_unpack = FIXED_HEADER.unpack_from
_OSN_BYTES = 2
_NO_FORMAT = -1
START_PACKETS = 64
"""So many packets may be overtaken by the first that comes."""


class Layer:
    """Subscribers' lines are in `lines`, those that go on also in `_active`."""

    def __init__(self, owner: LayerOwner, transport: LayerTransport, rid: str = "") -> None:
        self.rid = rid
        self.ssrc: int | None = None
        self.rtx_ssrc: int | None = None
        self.clock: StreamClock | None = None
        """None before the first packet."""
        self.bytes = 0
        self.is_alive = False
        self.codec: Codec | None = None
        self.payload_type = _NO_FORMAT
        self.watch = KeyFrameWatch()
        self.lines: list[Line] = []
        self._active: dict[Line, Forward] = {}
        self._forwards: tuple[Forward, ...] = ()
        self._owner = owner
        self._transport = transport
        self._reception: Reception | None = None
        self._early_report: tuple[SenderReport, float] | None = None
        self._wants_extensions = False
        self._slow = True
        """Nothing takes the short way."""
        self._packets = 0
        self._next = 0
        """Number behind the highest that came, not wrapped; never used twice, whatever restarts."""
        self._plain = self._marked = _NO_FORMAT
        self._timestamp = -1
        self._suspect: tuple[int, bytes] | None = None
        """A packet from far away: the number that would confirm it, and the packet."""
        self.described()

    def described(self) -> None:
        """What was negotiated is known, now or anew."""
        owner = self._owner
        self._wants_extensions = bool(owner.transport_id or owner.level_id or owner.descriptor_id)
        if self.payload_type not in owner.formats:
            self._plain = self._marked = self.payload_type = _NO_FORMAT

    # SSRCs

    def bind(self, ssrc: int) -> None:
        if ssrc == self.ssrc:
            return
        self._unbind(self.ssrc)
        self._retire()
        self.ssrc = ssrc
        self._transport.handlers[ssrc.to_bytes(4, "big")] = self.receive

    def bind_rtx(self, ssrc: int) -> None:
        if ssrc == self.rtx_ssrc:
            return
        self._unbind(self.rtx_ssrc)
        self.rtx_ssrc = ssrc
        self._transport.handlers[ssrc.to_bytes(4, "big")] = self.receive_rtx

    def close(self) -> None:
        """Nothing is received any more; subscribers are told by the track."""
        self._unbind(self.ssrc)
        self._unbind(self.rtx_ssrc)
        self.ssrc = self.rtx_ssrc = None
        self._retire()
        self.watch.give_up()

    def _unbind(self, ssrc: int | None) -> None:
        if ssrc is not None:
            self._transport.handlers.pop(ssrc.to_bytes(4, "big"), None)

    def _retire(self) -> None:
        """What comes next has other numbers and time stamps."""
        was_open, self._reception = self._reception is not None, None
        self._early_report = None
        self._suspect = None
        self.is_alive = False
        self._update_pace()
        if was_open:
            self._next = (self._next >> 16) + 2 << 16
            self.watch.restart(self._next)
            self._owner.layer_restarted(self)

    # Packets

    def receive(self, packet: bytes, now_seconds: float) -> None:
        """A packet of at least 12 bytes with this SSRC. Hot path."""
        first, second, sequence, timestamp = _unpack(packet)
        descriptor = None
        if first == PLAIN:
            payload = packet[12:]
        elif first == EXTENDED and len(packet) > 15 and not self._wants_extensions:
            payload = packet[16 + 4 * (packet[14] << 8 | packet[15]) :]
        else:
            try:
                payload = payload_of(packet)
                if self._wants_extensions:
                    descriptor = self._read_extensions(packet, now_seconds)
            except MalformedError:
                self._transport.count_drop(Drop.MALFORMED)
                return
        self._packets += 1
        self.bytes += len(packet)
        number = self._next
        usual = second == self._plain or second == self._marked
        if self._slow or sequence != number & 0xFFFF or not usual or not payload:
            self._place(packet, sequence, second, timestamp, payload, descriptor, now_seconds)
            return
        self._next = number + 1
        if timestamp != self._timestamp:
            self._begin_frame(timestamp, now_seconds)
        for forward in self._forwards:
            forward(number, second, timestamp, payload, descriptor, now_seconds)

    def receive_rtx(self, packet: bytes, now_seconds: float) -> None:
        """A packet of the RTX stream: the original's number, then its payload (RFC 4588 section 4)."""
        try:
            payload = payload_of(packet)
            descriptor = self._read_extensions(packet, now_seconds) if self._wants_extensions else None
        except MalformedError:
            self._transport.count_drop(Drop.MALFORMED)
            return
        self.bytes += len(packet)
        if len(payload) < _OSN_BYTES or self._reception is None:  # padding only: a bandwidth probe
            return
        repeated = self._owner.retransmits.get(packet[1] & 0x7F)
        if repeated is None or repeated not in self._owner.formats:
            self._transport.count_drop(Drop.UNKNOWN_PAYLOAD_TYPE)
            return
        number = unwrap16(payload[0] << 8 | payload[1], self._next)
        if -FAR < number - self._next < FAR:
            second, timestamp = packet[1] & MARKER | repeated, int.from_bytes(packet[4:8], "big")
            repeat = Packet(number, second, timestamp, payload[_OSN_BYTES:], descriptor, now_seconds)
            self._sort_in(repeat, self._reception, is_repeat=True)

    def receive_sender_report(self, report: SenderReport, now_seconds: float) -> None:
        if self._reception is None or self.clock is None:
            self._early_report = report, now_seconds
            return
        self._reception.sender_report(report, now_seconds)
        if report.ntp:  # else a sender without clock (RFC 3550 section 6.4.1)
            self.clock.add(report.timestamp, report.ntp_seconds)
            self._transport.publisher_clock.add(report.ntp_seconds, now_seconds)

    def _begin_frame(self, timestamp: int, now_seconds: float) -> None:
        self._timestamp = timestamp
        assert self._reception is not None
        self._reception.begin_frame(timestamp, now_seconds)

    def _read_extensions(self, packet: bytes, now_seconds: float) -> bytes | None:
        """The dependency descriptor. Raises `MalformedError`."""
        owner = self._owner
        if owner.transport_id:
            value = extension_of(packet, owner.transport_id)
            if value and len(value) >= 2:
                self._transport.packet_arrived(value[0] << 8 | value[1], now_seconds)
        if owner.level_id:
            value = extension_of(packet, owner.level_id)
            if value:
                owner.level.add(value[0])
        return extension_of(packet, owner.descriptor_id) if owner.descriptor_id else None

    def _place(
        self,
        packet: bytes,
        sequence: int,
        second: int,
        timestamp: int,
        payload: bytes,
        descriptor: bytes | None,
        now_seconds: float,
    ) -> None:
        """Any packet that is not simply the next one."""
        known = second & 0x7F in self._owner.formats
        if not known:
            self._transport.count_drop(Drop.UNKNOWN_PAYLOAD_TYPE)
            payload = b""  # its number is used up all the same, as by padding
        if self._reception is None:
            if not known:
                return
            self._open(sequence, second & 0x7F, now_seconds)
        assert self._reception is not None
        number = unwrap16(sequence, self._next)
        if -FAR < number - self._next < FAR:
            self._suspect = None
            arrived = Packet(number, second, timestamp, payload, descriptor, now_seconds)
            self._sort_in(arrived, self._reception, is_repeat=False)
        else:
            self._from_afar(sequence, packet, now_seconds)

    def _open(self, sequence: int, payload_type: int, now_seconds: float) -> None:
        format_ = self._owner.formats[payload_type]
        self._next = self._next & ~0xFFFF | sequence
        self._packets = 1
        self._timestamp = -1
        self._reception = Reception(
            range(self._next - START_PACKETS, self._next),
            format_.clock_rate_hz,
            self._owner.nack,
            self._transport.round_trip,
        )
        self.clock = StreamClock(format_.clock_rate_hz)
        self._take_format(payload_type)
        self.watch.restart(self._next - START_PACKETS)
        early, self._early_report = self._early_report, None
        if early and early[0].ssrc == self.ssrc:
            self.receive_sender_report(*early)

    def _take_format(self, payload_type: int) -> None:
        self.payload_type = self._plain = payload_type
        self._marked = payload_type | MARKER
        self.codec, _, starts_key_frame = self._owner.formats[payload_type]
        self.watch.take_format(self.codec, starts_key_frame)

    def _sort_in(self, packet: Packet, reception: Reception, is_repeat: bool) -> None:
        number, now_seconds = packet.number, packet.arrival_seconds
        if number < self._next:
            if not reception.fill(number, now_seconds, is_repeat):
                return
            for line in self.lines:
                line.forward_late(*packet)
        else:
            if number > self._next:
                is_wanted = bool(self._active) or self.watch.has_waiters
                reception.skip(range(self._next, number), now_seconds, is_wanted)
                self._transport.wake(reception.missing.next_seconds())
            if is_repeat:
                reception.recovered += 1
            self._go_on(packet)
            self._next = number + 1
        if self.watch.is_on and packet.payload and packet.second & 0x7F == self.payload_type:
            self.watch.show(packet)
        self._update_pace()

    def _go_on(self, packet: Packet) -> None:
        """The newest packet."""
        if not packet.payload:
            for line in list(self._active):
                line.swallow(packet.number)
            return
        if packet.second & 0x7F != self.payload_type:
            self._take_format(packet.second & 0x7F)
            self.watch.restart(packet.number)
            self._owner.layer_restarted(self)
        if packet.timestamp != self._timestamp:
            self._begin_frame(packet.timestamp, packet.arrival_seconds)
        if not self.is_alive:
            self.is_alive = True
            self._owner.layer_woke(self)
        for forward in self._forwards:
            forward(*packet)

    def _from_afar(self, sequence: int, packet: bytes, now_seconds: float) -> None:
        """One such packet may be a stray; two in a row are the truth (RFC 3550 appendix A.1)."""
        suspect, self._suspect = self._suspect, (sequence + 1 & 0xFFFF, packet)
        if suspect is None or suspect[0] != sequence:
            return
        self.bytes -= len(suspect[1]) + len(packet)  # they are received again
        self._retire()
        for each in (suspect[1], packet):
            self.receive(each, now_seconds)

    # Key frames

    def wait(self, waiter: Waiter) -> None:
        self.watch.wait(waiter, self._next)
        self._update_pace()

    def stop_waiting(self, waiter: Waiter) -> None:
        self.watch.stop_waiting(waiter)
        self._update_pace()

    def request_key_frame(self) -> None:
        """Ask until one comes. Does nothing where the sender takes no such requests."""
        if self._owner.pli or self._owner.fir:
            self.watch.ask()
            self._update_pace()
            self._transport.wake_now()

    def _update_pace(self) -> None:
        self._slow = self.watch.is_on or not self.is_alive or self._reception is None

    # Subscribers

    def attach(self, line: Line, forward: Forward) -> None:
        """`forward` gets every packet with content from now on, `line` what comes late; or another `forward`."""
        if line not in self._active:
            self.lines.append(line)
        self._active[line] = forward
        self._forwards = tuple(self._active.values())

    def detach(self, line: Line) -> None:
        """Only late packets from now on."""
        self._active.pop(line, None)
        self._forwards = tuple(self._active.values())

    def drop(self, line: Line) -> None:
        self.detach(line)
        if line in self.lines:
            self.lines.remove(line)

    # Feedback

    def check_alive(self, now_seconds: float) -> bool:
        """True if it fell silent since the last call."""
        reception = self._reception
        if not self.is_alive or reception is None:
            return False
        limit_seconds = min(SILENT_SECONDS + SILENT_FRAMES * reception.interval_seconds, MAX_SILENT_SECONDS)
        if now_seconds - reception.frame_seconds <= limit_seconds:
            return False
        self.is_alive = False
        self._update_pace()
        return True

    def receive_goodbye(self) -> bool:
        """The sender said that nothing more comes. True if something did until now."""
        was_alive, self.is_alive = self.is_alive, False
        self._update_pace()
        return was_alive

    def handle_timer(self, now_seconds: float) -> None:
        if self._reception is not None:
            self._reception.missing.expire(now_seconds)

    def feedback(self, now_seconds: float) -> list[RtcpPacket]:
        """Requests that are due, for packets and for a key frame."""
        if self.ssrc is None:
            return []
        packets: list[RtcpPacket] = []
        missing = self._reception.missing.due(now_seconds) if self._reception is not None else []
        if missing:
            sequences = tuple(number & 0xFFFF for number in missing)
            packets.append(GenericNack(sender_ssrc=self._transport.ssrc, media_ssrc=self.ssrc, sequences=sequences))
        if self.watch.due(now_seconds):
            packets.append(self._key_frame_request(self.ssrc))
        return packets

    def next_seconds(self) -> float:
        """When `handle_timer` or `feedback` has something to do."""
        if self.ssrc is None:
            return inf
        missing_seconds = self._reception.missing.next_seconds() if self._reception is not None else inf
        return min(self.watch.next_seconds, missing_seconds)

    def report_block(self, now_seconds: float) -> ReportBlock | None:
        """None if nothing came since the last."""
        if self._reception is None or self.ssrc is None:
            return None
        return self._reception.block(self.ssrc, self._next - 1, self._packets, now_seconds)

    def expected_and_lost(self) -> tuple[int, float]:
        """Packets of the interval that the last report block was about."""
        if self._reception is None:
            return 0, 0.0
        report = self._reception.report
        return report.expected_packets, report.expected_packets * report.fraction_lost / 256

    def _key_frame_request(self, ssrc: int) -> RtcpPacket:
        if self._owner.pli:
            return PictureLossIndication(sender_ssrc=self._transport.ssrc, media_ssrc=ssrc)
        request = ssrc, self.watch.commands & 0xFF
        return FullIntraRequest(sender_ssrc=self._transport.ssrc, requests=(request,))
