"""One receiving m-line: its payload types, its SSRCs, what it asks the sender for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from math import inf
from typing import Protocol

from channel_recorder.errors import MalformedError
from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import MediaDescription, TrackListener, UnsealingListener
from channel_recorder.rtc.receive.key_frames import KeyFrameRequests
from channel_recorder.rtc.receive.nack import MissingPackets, RoundTrip
from channel_recorder.rtc.receive.pictures import PictureFrames
from channel_recorder.rtc.receive.sealed import SealedPictureFrames, SealedSoundFrames
from channel_recorder.rtc.receive.sound import SoundFrames
from channel_recorder.rtc.receive.source import Source
from channel_recorder.rtc.receive.statistics import Counters, Drop, ReceiveStatistics
from channel_recorder.rtc.wire.extension_uris import TRANSPORT_CC_2_URI, TRANSPORT_CC_URI, VIDEO_ORIENTATION_URI
from channel_recorder.rtc.wire.rtcp import (
    FullIntraRequest,
    GenericNack,
    PictureLossIndication,
    ReportBlock,
    RtcpPacket,
    SenderReport,
)
from channel_recorder.rtc.wire.rtp import MARKER, SSRC_BYTES, extension_of, payload_of

TRANSPORT_CC_URIS = frozenset(
    {
        TRANSPORT_CC_URI,
        TRANSPORT_CC_2_URI,
    }
)
REORDER_SECONDS = 0.1
"""Without NACK nothing comes again, and what is only out of order comes soon."""

_OSN_BYTES = 2

Handler = Callable[[bytes, float], None]


class Transport(Protocol):
    """What the streams of one connection share."""

    ssrc: int
    """Ours, the sender of feedback."""
    window_seconds: float
    round_trip: RoundTrip
    handlers: dict[bytes, Handler]
    """What takes the packets of an SSRC, by its four bytes."""

    def count_drop(self, reason: Drop) -> None: ...

    def wake(self, at_seconds: float) -> None: ...

    def packet_arrived(self, transport_sequence: int, now_seconds: float) -> None: ...


class MediaStream:
    """Binds the SSRCs of an m-line and turns its packets into frames for the listener."""

    def __init__(self, transport: Transport, media: MediaDescription, listener: TrackListener) -> None:
        self.ssrc: int | None = None
        self.rtx_ssrc: int | None = None
        self._transport = transport
        self._counters = Counters()
        self._key_frames = KeyFrameRequests()
        self._codecs: dict[int, Codec] = {}
        self._source: Source | None = None
        self._frames: SoundFrames | PictureFrames | None = None
        self._early_report: tuple[SenderReport, float] | None = None
        self._ended = False
        self.describe(media, listener)

    def describe(self, media: MediaDescription, listener: TrackListener) -> None:
        """What negotiation agreed on, now or anew. Binding SSRCs is the caller's business."""
        self.media = media
        self.listener = listener
        self._clock_rates_hz = {each.number: each.clock_rate_hz for each in media.payload_types}
        # Frames being built share this table. A payload type never changes its codec (RFC 8829 section 5.3.1).
        self._codecs.update({each.number: each.codec for each in media.payload_types if each.codec is not None})
        self.retransmits = {
            each.number: each.retransmits for each in media.payload_types if each.retransmits is not None
        }
        feedback = {name for each in media.payload_types if each.codec is not None for name in each.feedback}
        self._nack = "nack" in feedback
        self._pli = "nack pli" in feedback
        self._fir = "ccm fir" in feedback
        self.estimates = "goog-remb" in feedback
        """The sender wants to be told a bitrate (REMB)."""
        ids = {uri: number for number, uri in media.header_extensions.items()}
        self._orientation_id = ids.get(VIDEO_ORIENTATION_URI, 0) if media.kind is MediaKind.VIDEO else 0
        transport_ids = [number for uri, number in ids.items() if uri in TRANSPORT_CC_URIS]
        self._transport_id = transport_ids[0] if transport_ids and "transport-cc" in feedback else 0
        if self._source is not None:
            self._source.want_extensions(self._transport_id > 0, self._orientation_id)

    def accepts(self, payload_type: int) -> bool:
        return payload_type in self._codecs or payload_type in self.retransmits

    # Binding

    def bind(self, ssrc: int, now_seconds: float) -> None:
        """Media comes with this SSRC from now on."""
        if ssrc == self.ssrc:
            return
        self._unbind(self.ssrc)
        self._retire(now_seconds)
        self.ssrc = ssrc
        self._transport.handlers[ssrc.to_bytes(4, "big")] = self._receive_first
        self._transport.wake(self._key_frames.next_seconds)

    def bind_rtx(self, ssrc: int | None) -> None:
        """Repeated packets come with this SSRC from now on."""
        if ssrc == self.rtx_ssrc:
            return
        self._unbind(self.rtx_ssrc)
        self.rtx_ssrc = ssrc
        if ssrc is not None:
            self._transport.handlers[ssrc.to_bytes(4, "big")] = self.receive_rtx

    def close(self, now_seconds: float) -> None:
        """Deliver what is whole, forget the rest."""
        self._unbind(self.ssrc)
        self._unbind(self.rtx_ssrc)
        self.ssrc = self.rtx_ssrc = None
        self._retire(now_seconds)

    def _unbind(self, ssrc: int | None) -> None:
        if ssrc is not None:
            self._transport.handlers.pop(ssrc.to_bytes(4, "big"), None)

    def _retire(self, now_seconds: float) -> None:
        source = self._source
        if source is None:
            return
        source.flush(now_seconds)
        self._counters.packets += source.packets
        self._counters.bytes += source.bytes
        self._source = None

    # Packets

    def _receive_first(self, packet: bytes, now_seconds: float) -> None:
        """The SSRC is known, but nothing came yet. Later packets go straight to the source."""
        if packet[0] & 0xC0 != 0x80:
            self.malformed()
        elif packet[1] & 0x7F not in self._codecs:
            self._transport.count_drop(Drop.UNKNOWN_PAYLOAD_TYPE)
        else:
            self._open(packet, now_seconds).receive(packet, now_seconds)

    def receive_rtx(self, packet: bytes, now_seconds: float) -> None:
        """A packet of the RTX stream: the original's number, then its payload (RFC 4588 section 4)."""
        try:
            payload = payload_of(packet)
            self.note_extensions(packet, now_seconds)
        except MalformedError:
            self.malformed()
            return
        self._counters.packets += 1
        self._counters.bytes += len(packet)
        if len(payload) < _OSN_BYTES or self._source is None:  # padding only: a bandwidth probe
            return
        repeated = self.retransmits.get(packet[1] & 0x7F)
        if repeated is None:
            self._transport.count_drop(Drop.UNKNOWN_PAYLOAD_TYPE)
            return
        second = packet[1] & MARKER | repeated
        sequence = payload[0] << 8 | payload[1]
        self._source.recover(packet, sequence, second, payload[_OSN_BYTES:], now_seconds)

    def receive_sender_report(self, report: SenderReport, now_seconds: float) -> None:
        if self._source is None or self._frames is None:
            self._early_report = report, now_seconds
            return
        self._source.report.sender_report(report, now_seconds)
        if not report.ntp:  # a sender without clock (RFC 3550 section 6.4.1)
            return
        self.listener.on_sender_report(self._frames.unwrap(report.timestamp), report.ntp_seconds, now_seconds)

    def receive_goodbye(self) -> None:
        self._ended = True

    def _open(self, packet: bytes, now_seconds: float) -> Source:
        frames = self._make_frames(int.from_bytes(packet[4:8], "big"))
        window_seconds = self._transport.window_seconds if self._nack else REORDER_SECONDS
        source = Source(
            self,
            packet,
            frames,
            MissingPackets(window_seconds, self._nack, self._transport.round_trip),
            self._counters,
            self._clock_rates_hz[packet[1] & 0x7F],
            now_seconds,
        )
        source.want_extensions(self._transport_id > 0, self._orientation_id)
        restart = self._frames is not None
        self._source, self._frames = source, frames
        self._ended = False
        self._transport.handlers[packet[SSRC_BYTES]] = source.receive
        if restart:
            self._key_frames.arrived()
            self.listener.on_restart()
        early, self._early_report = self._early_report, None
        if early and early[0].ssrc == source.ssrc:
            self.receive_sender_report(*early)
        return source

    def _make_frames(self, first_timestamp: int) -> SoundFrames | PictureFrames:
        counted = self._counters, first_timestamp, self._transport.count_drop
        asking = self._key_frames, self.request_key_frame
        listener = self.listener
        is_sound = self.media.kind is MediaKind.AUDIO
        if isinstance(listener, UnsealingListener):
            if is_sound:
                return SealedSoundFrames(self._codecs, listener, *counted)
            return SealedPictureFrames(self._codecs, listener, *counted, *asking)
        if is_sound:
            return SoundFrames(self._codecs, listener, *counted)
        return PictureFrames(self._codecs, listener, *counted, *asking)

    # Called by the source

    def malformed(self) -> None:
        self._transport.count_drop(Drop.MALFORMED)

    def note_extensions(self, packet: bytes, now_seconds: float) -> None:
        if not self._transport_id:
            return
        value = extension_of(packet, self._transport_id)
        if value and len(value) >= 2:
            self._transport.packet_arrived(value[0] << 8 | value[1], now_seconds)

    def wake(self, at_seconds: float) -> None:
        self._transport.wake(at_seconds)

    def restarted(self, packets: tuple[bytes, ...], now_seconds: float) -> None:
        self._retire(now_seconds)
        source = self._open(packets[0], now_seconds)
        for packet in packets:
            source.receive(packet, now_seconds)

    # Feedback

    def request_key_frame(self, now_seconds: float) -> None:
        """Ask until a key frame comes. Does nothing for sound, or where the sender takes no such requests."""
        if self._pli or self._fir:
            self._key_frames.want(now_seconds)
            self._transport.wake(self.next_seconds())

    def handle_timer(self, now_seconds: float) -> None:
        if self._source is not None:
            self._source.handle_timer(now_seconds)

    def feedback(self, now_seconds: float) -> list[RtcpPacket]:
        """Requests that are due, for packets and for a key frame."""
        if self.ssrc is None:
            return []
        packets: list[RtcpPacket] = []
        missing = self._source.missing_to_ask(now_seconds) if self._source is not None else []
        if missing:
            self._counters.nacked_packets += len(missing)
            packets.append(
                GenericNack(sender_ssrc=self._transport.ssrc, media_ssrc=self.ssrc, sequences=tuple(missing))
            )
        if self._key_frames.due(now_seconds):
            self._counters.key_frame_requests += 1
            packets.append(self._key_frame_request(self.ssrc))
        return packets

    def next_seconds(self) -> float:
        """When `handle_timer` or `feedback` has something to do."""
        if self.ssrc is None:
            return inf
        key_frame_seconds = self._key_frames.next_seconds
        return key_frame_seconds if self._source is None else min(key_frame_seconds, self._source.next_seconds())

    def report_block(self, now_seconds: float) -> ReportBlock | None:
        return self._source.report_block(now_seconds) if self._source is not None else None

    def _key_frame_request(self, ssrc: int) -> RtcpPacket:
        if self._pli:
            return PictureLossIndication(sender_ssrc=self._transport.ssrc, media_ssrc=ssrc)
        request = ssrc, self._key_frames.commands & 0xFF
        return FullIntraRequest(sender_ssrc=self._transport.ssrc, requests=(request,))

    def statistics(self) -> ReceiveStatistics:
        source = self._source
        totals = asdict(self._counters)
        totals["packets"] += source.packets if source else 0
        totals["bytes"] += source.bytes if source else 0
        return ReceiveStatistics(
            **totals,
            jitter_seconds=source.jitter_seconds if source else 0.0,
            round_trip_seconds=self._transport.round_trip.measured_seconds,
            fraction_lost=source.report.fraction_lost / 256 if source else 0.0,
            ended=self._ended,
        )
