"""Everything one peer connection receives: packets to their m-lines, feedback back to the sender.

Sans-IO. The driver gives packets in and sends what `rtcp_to_send` returns, at the latest at `next_timer_seconds`.
All times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from math import inf

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.description import MediaDescription, TrackListener
from channel_recorder.rtc.receive.nack import RoundTrip
from channel_recorder.rtc.receive.statistics import Drop, ReceiveStatistics
from channel_recorder.rtc.receive.stream import Handler, MediaStream
from channel_recorder.rtc.receive.transport_cc import TransportArrivals
from channel_recorder.rtc.wire import rtcp
from channel_recorder.rtc.wire.extension_uris import MID_URI
from channel_recorder.rtc.wire.reports import MAX_BLOCKS
from channel_recorder.rtc.wire.rtp import FIXED_HEADER_BYTES, PLAIN, SSRC_BYTES, extension_of

REPORT_INTERVAL_SECONDS = 1.0
ESTIMATED_BITRATE_BPS = 100_000_000
"""A constant: with anything that looks like congestion, servers would send a lower layer."""
MAX_RETIRED = 64


class Receiver:
    """Demultiplexes by SSRC, else by mid, else by a payload type that only one m-line has."""

    def __init__(self, *, ssrc: int, cname: str = "recorder", window_seconds: float = 1.0) -> None:
        """`ssrc`: ours, as sender of RTCP. `window_seconds`: how long missing packets are waited for."""
        self.ssrc = ssrc
        self.window_seconds = window_seconds
        self.round_trip = RoundTrip()
        self.handlers: dict[bytes, Handler] = {}
        self.drops: Counter[Drop] = Counter()
        """Packets not used, by reason."""
        self.next_timer_seconds = inf
        """When `rtcp_to_send` must be called next; infinity: not before something is received."""
        self._description = rtcp.SourceDescription(cnames=((ssrc, cname),))
        self._streams: dict[str, MediaStream] = {}
        self._retired: deque[bytes] = deque(maxlen=MAX_RETIRED)
        """SSRCs that others took the place of, or that ended: stragglers must not take a place (again)."""
        self._arrivals = TransportArrivals()
        self._report_seconds = inf

    # In

    def add_media(self, media: MediaDescription, listener: TrackListener, now_seconds: float) -> None:
        """Receive an m-line, or receive it as described anew: other SSRCs, other payload types."""
        stream = self._streams.get(media.mid)
        if stream is None:
            stream = self._streams[media.mid] = MediaStream(self, media, listener)
        else:
            stream.describe(media, listener)
        if media.ssrc is not None:
            self._bind(stream, media.ssrc, now_seconds)
        if media.rtx_ssrc is not None:
            self._bind_rtx(stream, media.rtx_ssrc, now_seconds)

    def remove_media(self, mid: str, now_seconds: float) -> None:
        """What is whole of it is delivered; nothing comes after that."""
        stream = self._streams.pop(mid, None)
        if stream is not None:
            self._retire(stream.ssrc)
            self._retire(stream.rtx_ssrc)
            stream.close(now_seconds)

    def receive_rtp(self, packet: bytes, now_seconds: float) -> None:
        """One decrypted RTP packet. Hot path; raises nothing, counts what it drops."""
        handler = self.handlers.get(packet[8:12])
        if handler is not None:
            handler(packet, now_seconds)
        else:
            self._receive_unknown(packet, now_seconds)

    def receive_rtcp(self, packet: bytes, now_seconds: float) -> None:
        """One decrypted RTCP compound; raises nothing."""
        try:
            packets = rtcp.parse(packet)
        except MalformedError:
            self.drops[Drop.MALFORMED_RTCP] += 1
            return
        for each in packets:
            if isinstance(each, rtcp.SenderReport):
                for stream in self._streams_of(each.ssrc):
                    stream.receive_sender_report(each, now_seconds)
            elif isinstance(each, rtcp.Goodbye):
                for ssrc in each.ssrcs:
                    for stream in self._streams_of(ssrc):
                        stream.receive_goodbye()

    def request_key_frame(self, mid: str, now_seconds: float) -> None:
        """Ask until one comes. Unknown mids and sound are ignored."""
        stream = self._streams.get(mid)
        if stream is not None:
            stream.request_key_frame(now_seconds)

    # Out

    def rtcp_to_send(self, now_seconds: float) -> list[bytes]:
        """Give up what came too late, then all feedback that is due, as plain compounds.

        Feedback between reports goes in reduced-size packets (RFC 5506).
        """
        for stream in list(self._streams.values()):
            stream.handle_timer(now_seconds)
        packets = list(self._reports(now_seconds))
        for stream in self._streams.values():
            packets += stream.feedback(now_seconds)
        packets += self._arrivals.feedback(self.ssrc, self._media_ssrc(), now_seconds)
        self._rearm()
        return list(rtcp.compounds(packets))

    def statistics(self, mid: str) -> ReceiveStatistics:
        """Raises `KeyError` for a mid that was not added, or was removed."""
        return self._streams[mid].statistics()

    # Called by the streams

    def count_drop(self, reason: Drop) -> None:
        self.drops[reason] += 1

    def wake(self, at_seconds: float) -> None:
        if at_seconds < self.next_timer_seconds:
            self.next_timer_seconds = at_seconds

    def packet_arrived(self, transport_sequence: int, now_seconds: float) -> None:
        if self._arrivals.record(transport_sequence, now_seconds):
            self.wake(self._arrivals.next_seconds)

    # Inside

    def _bind(self, stream: MediaStream, ssrc: int, now_seconds: float) -> None:
        self._take(ssrc, stream, now_seconds)
        if stream.ssrc != ssrc:
            self._retire(stream.ssrc)
        self._restore(ssrc)
        stream.bind(ssrc, now_seconds)
        if self._report_seconds == inf:
            self._report_seconds = now_seconds + REPORT_INTERVAL_SECONDS
            self.wake(self._report_seconds)

    def _bind_rtx(self, stream: MediaStream, ssrc: int, now_seconds: float) -> None:
        self._take(ssrc, stream, now_seconds)
        if stream.rtx_ssrc != ssrc:
            self._retire(stream.rtx_ssrc)
        self._restore(ssrc)
        stream.bind_rtx(ssrc)

    def _retire(self, ssrc: int | None) -> None:
        if ssrc is not None:
            self._retired.append(ssrc.to_bytes(4, "big"))

    def _restore(self, ssrc: int) -> None:
        key = ssrc.to_bytes(4, "big")
        if key in self._retired:
            self._retired.remove(key)

    def _take(self, ssrc: int, taker: MediaStream, now_seconds: float) -> None:
        """An SSRC is used by one m-line only: who had it before loses it."""
        for stream in self._streams.values():
            if stream is not taker and ssrc in (stream.ssrc, stream.rtx_ssrc):
                stream.close(now_seconds)

    def _receive_unknown(self, packet: bytes, now_seconds: float) -> None:
        """Bind the SSRC if the packet tells whose it is."""
        if len(packet) < FIXED_HEADER_BYTES or packet[0] & 0xC0 != PLAIN:
            self.drops[Drop.MALFORMED] += 1
            return
        stream = None if packet[SSRC_BYTES] in self._retired else self._owner_of(packet)
        if stream is None:
            self.drops[Drop.UNKNOWN_SSRC] += 1
            return
        ssrc = int.from_bytes(packet[SSRC_BYTES], "big")
        if packet[1] & 0x7F in stream.retransmits:
            self._bind_rtx(stream, ssrc, now_seconds)
        else:
            self._bind(stream, ssrc, now_seconds)
        self.handlers[packet[SSRC_BYTES]](packet, now_seconds)

    def _owner_of(self, packet: bytes) -> MediaStream | None:
        payload_type = packet[1] & 0x7F
        stream = self._by_mid(packet)
        if stream is not None:
            return stream if stream.accepts(payload_type) else None
        owners = [stream for stream in self._streams.values() if stream.accepts(payload_type)]
        return owners[0] if len(owners) == 1 else None

    def _by_mid(self, packet: bytes) -> MediaStream | None:
        """By the extension of RFC 9143 section 15, whose id is the same in all m-lines of a bundle."""
        ids = {
            number
            for stream in self._streams.values()
            for number, uri in stream.media.header_extensions.items()
            if uri == MID_URI
        }
        for number in ids:
            try:
                value = extension_of(packet, number)
            except MalformedError:
                return None
            if value is not None:
                return self._streams.get(value.decode(errors="replace"))
        return None

    def _streams_of(self, ssrc: int) -> Iterator[MediaStream]:
        return (stream for stream in self._streams.values() if stream.ssrc == ssrc)

    def _media_ssrc(self) -> int:
        """Transport-wide feedback is about all streams, but the field must name one."""
        return next((stream.ssrc for stream in self._streams.values() if stream.ssrc is not None), 0)

    def _reports(self, now_seconds: float) -> Iterator[rtcp.RtcpPacket]:
        if now_seconds < self._report_seconds:
            return
        bound = any(stream.ssrc is not None for stream in self._streams.values())
        self._report_seconds = now_seconds + REPORT_INTERVAL_SECONDS if bound else inf
        blocks = [block for stream in self._streams.values() if (block := stream.report_block(now_seconds))]
        for start in range(0, max(len(blocks), 1), MAX_BLOCKS):
            yield rtcp.ReceiverReport(ssrc=self.ssrc, reports=tuple(blocks[start : start + MAX_BLOCKS]))
            yield self._description
        estimated = [stream.ssrc for stream in self._streams.values() if stream.estimates and stream.ssrc is not None]
        if estimated:
            yield rtcp.ReceiverEstimatedBitrate(
                sender_ssrc=self.ssrc, bitrate_bps=ESTIMATED_BITRATE_BPS, ssrcs=tuple(estimated[:255])
            )

    def _rearm(self) -> None:
        streams_seconds = min((stream.next_seconds() for stream in self._streams.values()), default=inf)
        self.next_timer_seconds = min(self._report_seconds, self._arrivals.next_seconds, streams_seconds)
