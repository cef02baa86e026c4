"""Everything one far side publishes: packets to the layers of its tracks and on to subscribers, feedback back.

Sans-IO. The driver gives packets in and sends what `rtcp_to_send` returns, at the latest at `next_timer_seconds`.
All times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from math import inf

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.description import MediaDescription
from channel_recorder.rtc.forward.layer import Layer
from channel_recorder.rtc.forward.sender_clock import PublisherClock
from channel_recorder.rtc.forward.uplink_track import UplinkTrack
from channel_recorder.rtc.receive.nack import RoundTrip
from channel_recorder.rtc.receive.receiver import ESTIMATED_BITRATE_BPS, MAX_RETIRED, REPORT_INTERVAL_SECONDS
from channel_recorder.rtc.receive.statistics import Drop
from channel_recorder.rtc.receive.stream import Handler
from channel_recorder.rtc.receive.transport_cc import TransportArrivals
from channel_recorder.rtc.wire import rtcp
from channel_recorder.rtc.wire.extension_uris import MID_URI, REPAIRED_RID_URI, RID_URI
from channel_recorder.rtc.wire.reports import MAX_BLOCKS
from channel_recorder.rtc.wire.rtp import FIXED_HEADER_BYTES, PLAIN, SSRC_BYTES, extension_of

REVIEW_INTERVAL_SECONDS = 0.25


class Uplink:
    """Demultiplexes by SSRC; an unknown one by mid and rid, else by a payload type that only one m-line has."""

    def __init__(self, *, ssrc: int, cname: str = "server") -> None:
        """`ssrc`: ours, as sender of RTCP."""
        self.ssrc = ssrc
        self.round_trip = RoundTrip()
        self.publisher_clock = PublisherClock()
        self.handlers: dict[bytes, Handler] = {}
        """What takes the packets of an SSRC, by its four bytes."""
        self.drops: Counter[Drop] = Counter()
        """Packets not used, by reason."""
        self.next_timer_seconds = inf
        """When `rtcp_to_send` must be called next; infinity: not before something is received."""
        self.on_wake: Callable[[], None] | None = None
        """`next_timer_seconds` came nearer while nothing was being received: a subscriber wants a key frame."""
        self._description = rtcp.SourceDescription(cnames=((ssrc, cname),))
        self._tracks: dict[str, UplinkTrack] = {}
        self._retired: deque[bytes] = deque(maxlen=MAX_RETIRED)
        """SSRCs that others took the place of: stragglers must not take it back."""
        self._arrivals = TransportArrivals()
        self._report_seconds = inf
        self._review_seconds = inf
        self._fraction_lost: float | None = None

    # In

    def add_media(self, media: MediaDescription, now_seconds: float) -> UplinkTrack:
        """Receive an m-line, or receive it as described anew: the same track, other SSRCs, other payload types."""
        track = self._tracks.get(media.mid)
        if track is None:
            track = self._tracks[media.mid] = UplinkTrack(self, media)
        else:
            track.describe(media)
        layer = track.layer_of(None)
        if layer is not None and not media.rids:
            if media.ssrc is not None:
                self._bind(layer, media.ssrc, now_seconds)
            if media.rtx_ssrc is not None:
                self._bind_rtx(layer, media.rtx_ssrc)
        return track

    def remove_media(self, mid: str, now_seconds: float) -> None:
        """Nothing of it is forwarded any more."""
        track = self._tracks.pop(mid, None)
        if track is not None:
            track.close()

    def receive_rtp(self, packet: bytes, now_seconds: float) -> None:
        """One decrypted RTP packet. Hot path; raises nothing, counts what it drops."""
        handler = self.handlers.get(packet[8:12])
        if handler is not None:
            handler(packet, now_seconds)
        else:
            self._receive_unknown(packet, now_seconds)

    def receive_rtcp(self, packet: bytes, now_seconds: float) -> None:
        """One decrypted RTCP compound; raises nothing. What is about packets we send is passed over."""
        try:
            packets = rtcp.parse(packet)
        except MalformedError:
            self.drops[Drop.MALFORMED_RTCP] += 1
            return
        for each in packets:
            if isinstance(each, rtcp.SenderReport):
                for _, layer in self._bound_to(each.ssrc):
                    layer.receive_sender_report(each, now_seconds)
            elif isinstance(each, rtcp.Goodbye):
                for ssrc in each.ssrcs:
                    for track, layer in self._bound_to(ssrc):
                        track.receive_goodbye(layer)

    # Out

    def rtcp_to_send(self, now_seconds: float) -> list[bytes]:
        """All feedback that is due, as plain compounds; between reports in reduced-size packets (RFC 5506)."""
        self._review(now_seconds)
        packets = list(self._reports(now_seconds))
        for layer in self._layers():
            layer.handle_timer(now_seconds)
            packets += layer.feedback(now_seconds)
        packets += self._arrivals.feedback(self.ssrc, self._media_ssrc(), now_seconds)
        self._rearm()
        return list(rtcp.compounds(packets))

    def fraction_lost(self) -> float | None:
        """0 to 1, before retransmission, of all layers, in the last report interval; None before the first."""
        return self._fraction_lost

    @property
    def round_trip_seconds(self) -> float | None:
        """From asking for a packet to its arrival, smoothed; None until one came."""
        return self.round_trip.measured_seconds

    # Called by the layers

    def count_drop(self, reason: Drop) -> None:
        self.drops[reason] += 1

    def wake(self, at_seconds: float) -> None:
        if at_seconds < self.next_timer_seconds:
            self.next_timer_seconds = at_seconds

    def wake_now(self) -> None:
        if self.next_timer_seconds > 0.0:
            self.next_timer_seconds = 0.0
            if self.on_wake is not None:
                self.on_wake()

    def packet_arrived(self, transport_sequence: int, now_seconds: float) -> None:
        if self._arrivals.record(transport_sequence, now_seconds):
            self.wake(self._arrivals.next_seconds)

    # Inside

    def _layers(self) -> Iterator[Layer]:
        return (layer for track in self._tracks.values() for layer in track.layers)

    def _bound_to(self, ssrc: int) -> list[tuple[UplinkTrack, Layer]]:
        return [(track, layer) for track in self._tracks.values() for layer in track.layers if layer.ssrc == ssrc]

    def _bind(self, layer: Layer, ssrc: int, now_seconds: float) -> None:
        self._take(ssrc, layer)
        if layer.ssrc is not None and layer.ssrc != ssrc:
            self._retired.append(layer.ssrc.to_bytes(4, "big"))
        key = ssrc.to_bytes(4, "big")
        if key in self._retired:
            self._retired.remove(key)
        layer.bind(ssrc)
        if self._report_seconds == inf:
            self._report_seconds = now_seconds + REPORT_INTERVAL_SECONDS
            self._review_seconds = now_seconds + REVIEW_INTERVAL_SECONDS
            self.wake(self._review_seconds)

    def _bind_rtx(self, layer: Layer, ssrc: int) -> None:
        self._take(ssrc, layer)
        layer.bind_rtx(ssrc)

    def _take(self, ssrc: int, taker: Layer) -> None:
        """An SSRC is used once only: who had it before loses it."""
        for layer in self._layers():
            if layer is not taker and ssrc in (layer.ssrc, layer.rtx_ssrc):
                layer.close()

    def _receive_unknown(self, packet: bytes, now_seconds: float) -> None:
        """Bind the SSRC if the packet tells whose it is."""
        if len(packet) < FIXED_HEADER_BYTES or packet[0] & 0xC0 != PLAIN:
            self.drops[Drop.MALFORMED] += 1
            return
        mid = self._text_of(packet, MID_URI, self._tracks.values())
        track = None if packet[SSRC_BYTES] in self._retired else self._track_of(mid, packet[1] & 0x7F)
        is_repeat = track is not None and packet[1] & 0x7F in track.retransmits
        layer = self._layer_of(packet, track, is_repeat) if track is not None else None
        taken = layer is not None and (layer.rtx_ssrc if is_repeat else layer.ssrc) is not None
        if layer is None or (taken and mid is None):  # a payload type alone is no reason to leave a known SSRC
            self.drops[Drop.UNKNOWN_SSRC] += 1
            return
        ssrc = int.from_bytes(packet[SSRC_BYTES], "big")
        if is_repeat:
            self._bind_rtx(layer, ssrc)
        else:
            self._bind(layer, ssrc, now_seconds)
        self.handlers[packet[SSRC_BYTES]](packet, now_seconds)

    def _layer_of(self, packet: bytes, track: UplinkTrack, is_repeat: bool) -> Layer | None:
        return track.layer_of(self._text_of(packet, REPAIRED_RID_URI if is_repeat else RID_URI, (track,)))

    def _track_of(self, mid: str | None, payload_type: int) -> UplinkTrack | None:
        """By the mid (RFC 9143 section 15), else the only one that may be meant."""
        if mid is not None:
            track = self._tracks.get(mid)
            return track if track is not None and track.accepts(payload_type) else None
        owners = [track for track in self._tracks.values() if track.accepts(payload_type)]
        return owners[0] if len(owners) == 1 else None

    def _text_of(self, packet: bytes, uri: str, tracks: Iterable[UplinkTrack]) -> str | None:
        """The value of an extension, whose id is the same in all m-lines of a bundle."""
        ids = {number for track in tracks for number, each in track.media.header_extensions.items() if each == uri}
        for number in ids:
            try:
                value = extension_of(packet, number)
            except MalformedError:
                return None
            if value is not None:
                return value.decode(errors="replace")
        return None

    def _media_ssrc(self) -> int:
        """Transport-wide feedback is about all streams, but the field must name one."""
        return next((layer.ssrc for layer in self._layers() if layer.ssrc is not None), 0)

    def _review(self, now_seconds: float) -> None:
        if now_seconds < self._review_seconds:
            return
        for track in self._tracks.values():
            if track.is_reviewed:
                track.review(now_seconds)
        self._review_seconds = now_seconds + REVIEW_INTERVAL_SECONDS

    def _reports(self, now_seconds: float) -> Iterator[rtcp.RtcpPacket]:
        if now_seconds < self._report_seconds:
            return
        bound = any(layer.ssrc is not None for layer in self._layers())
        self._report_seconds = now_seconds + REPORT_INTERVAL_SECONDS if bound else inf
        for track in self._tracks.values():
            track.sample_rate(now_seconds)
        reported = [(layer, block) for layer in self._layers() if (block := layer.report_block(now_seconds))]
        self._sum_losses([layer for layer, _ in reported])
        blocks = [block for _, block in reported]
        for start in range(0, max(len(blocks), 1), MAX_BLOCKS):
            yield rtcp.ReceiverReport(ssrc=self.ssrc, reports=tuple(blocks[start : start + MAX_BLOCKS]))
            yield self._description
        yield from self._estimates()

    def _sum_losses(self, layers: list[Layer]) -> None:
        counts = [layer.expected_and_lost() for layer in layers]
        expected = sum(each for each, _ in counts)
        if expected:
            self._fraction_lost = sum(lost for _, lost in counts) / expected

    def _estimates(self) -> Iterator[rtcp.RtcpPacket]:
        """A constant: the sender has its losses to go by."""
        tracks = [track for track in self._tracks.values() if track.wants_estimates]
        ssrcs = [layer.ssrc for track in tracks for layer in track.layers if layer.ssrc is not None]
        if ssrcs:
            yield rtcp.ReceiverEstimatedBitrate(
                sender_ssrc=self.ssrc, bitrate_bps=ESTIMATED_BITRATE_BPS, ssrcs=tuple(ssrcs[:255])
            )

    def _rearm(self) -> None:
        layers_seconds = min((layer.next_seconds() for layer in self._layers()), default=inf)
        reviewed = any(track.is_reviewed for track in self._tracks.values())
        review_seconds = self._review_seconds if reviewed else inf
        self.next_timer_seconds = min(self._report_seconds, review_seconds, self._arrivals.next_seconds, layers_seconds)
