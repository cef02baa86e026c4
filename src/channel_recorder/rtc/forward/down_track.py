"""One track on its way to one far side: which layer goes there, and how layers are joined to one stream.

waiting   a layer was chosen; nothing begins before its next key frame
ending    that came, but the layer forwarded until now is in the middle of a frame
going on  the line forwards; another layer may be waited for meanwhile
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from channel_recorder.model import MediaKind
from channel_recorder.rtc.description import SendDescription
from channel_recorder.rtc.forward.continuity import Continuity
from channel_recorder.rtc.forward.dependency import DEPENDENCY_DESCRIPTOR_URI
from channel_recorder.rtc.forward.history import AUDIO_PACKETS, VIDEO_PACKETS
from channel_recorder.rtc.forward.layer import Layer
from channel_recorder.rtc.forward.line import Line, Route
from channel_recorder.rtc.forward.payload_types import map_retransmissions, map_second_bytes
from channel_recorder.rtc.forward.recent import Packet
from channel_recorder.rtc.forward.sender_clock import signed32
from channel_recorder.rtc.forward.uplink_track import UplinkTrack
from channel_recorder.rtc.wire.rtcp import ReportBlock, SenderReport
from channel_recorder.rtc.wire.rtp import MARKER

ALL_LAYERS = 255
ENDING_SECONDS = 0.1
"""So long the rest of a frame is waited for; its sender paces a frame over a few ms."""
MAX_RESERVED = 64
LATE_SECONDS = 0.1
"""A key frame so much older than what was sent already is passed over: a packet of it was lost on the way."""
MAX_PASSED_OVER = 2


class Received(NamedTuple):
    """By a far side's report, since the one before."""

    expected: int
    lost: float
    highest: int


class DownTrack:
    """Implements `serve.contract.OutgoingTrack`. Unbound, hence silent, until `Downlink.add_track`."""

    def __init__(self, track: UplinkTrack) -> None:
        self.track = track
        self.unsendable_packets = 0
        """Not sent because the far side does not take their codec."""
        self.received: Received | None = None
        """What the far side last said of it."""
        self.has_reported = False
        """A sender report went out since it was bound."""
        self._is_video = track.media.kind is MediaKind.VIDEO
        self._continuity = Continuity(VIDEO_PACKETS if self._is_video else AUDIO_PACKETS)
        self._route: Route | None = None
        self._description: SendDescription | None = None
        self._began: Callable[[DownTrack], None] | None = None
        self._highest_layer = ALL_LAYERS
        self._is_paused = False
        self._line: Line | None = None
        self._layer: Layer | None = None
        """Of the line."""
        self._former: tuple[Layer, Line] | None = None
        """Late packets of the line before still find their place."""
        self._awaited: Layer | None = None
        self._key_frame: int | None = None
        """Number of the awaited layer's packet to begin with."""
        self._ending_since = 0.0
        self._passed_over = 0

    # serve.contract.OutgoingTrack

    @property
    def layer(self) -> int | None:
        """The layer that is being forwarded, 0 the lowest; None while nothing is."""
        return self.track.layers.index(self._layer) if self._layer in self.track.layers else None

    def set_layer(self, highest: int) -> None:
        """Forward no layer above this one; the highest that is sent if there are fewer. Switches at key frames."""
        self._highest_layer = max(highest, 0)
        self.choose()

    def set_paused(self, paused: bool) -> None:
        """Paused: keep the m-line, forward nothing. Going on asks for a key frame."""
        self._is_paused = paused
        if paused:
            self._stop()
        else:
            self.choose()

    # Called by the downlink

    @property
    def ssrc(self) -> int | None:
        return self._route.ssrc if self._route is not None else None

    def bind(
        self, description: SendDescription, send: Callable[[bytes], None], began: Callable[[DownTrack], None]
    ) -> None:
        """Begin to send, or go on as described anew. `began`: a line begins."""
        route = self._route
        if route is None:
            route = self._route = Route(send, self._continuity.history)
            self.has_reported = False
        self._began = began
        self._description = description
        self._describe(route, description)
        self.track.subscribers[self] = None
        self.choose()

    def unbind(self) -> None:
        self._stop()
        self._route = None
        self.track.subscribers.pop(self, None)

    def repeat(self, sequences: Sequence[int], now_seconds: float, interval_seconds: float) -> None:
        """The far side misses packets."""
        route = self._route
        if route is None:
            return
        history = self._continuity.history
        if self._line is not None:
            history.newest = self._line.newest
        for sent in history.to_repeat(sequences, now_seconds, interval_seconds):
            route.repeat(sent)

    def request_key_frame(self) -> None:
        """The far side can't go on without."""
        if self._layer is not None:
            self._layer.request_key_frame()

    def receive_report(self, block: ReportBlock) -> None:
        """What the far side says of it (RFC 3550 section 6.4.1)."""
        before = self.received.highest if self.received is not None else block.highest_sequence - 1
        expected = max(signed32(block.highest_sequence - before), 1)
        self.received = Received(expected, expected * block.fraction_lost / 256, block.highest_sequence)

    def forget_old(self, now_seconds: float) -> None:
        history = self._continuity.history
        if self._line is not None:
            history.newest = self._line.newest
        history.forget_old(now_seconds)

    def sender_report(self, now_seconds: float, ntp: int) -> SenderReport | None:
        """Which time stamp is now, by the publisher's reports; `ntp`: now by the server's clock. None if unknown."""
        offset_seconds = self.track.publisher_clock.offset_seconds
        reference = self._continuity.reference_of(self._line)
        line, route = self._line, self._route
        if offset_seconds is None or reference is None or line is None or route is None:
            return None
        clock, timestamp_offset = reference
        timestamp = clock.timestamp_at(now_seconds - offset_seconds) + timestamp_offset
        self.has_reported = True
        return SenderReport(
            ssrc=route.ssrc,
            ntp=ntp,
            timestamp=timestamp & 0xFFFFFFFF,
            packet_count=route.packets + line.packets & 0xFFFFFFFF,
            octet_count=route.octets + line.octets & 0xFFFFFFFF,
        )

    @property
    def awaits_report(self) -> bool:
        """It is being sent, and nothing told the far side its time yet, though that is known."""
        known = self.track.publisher_clock.offset_seconds is not None
        return known and self._line is not None and not self.has_reported

    # Called by the track

    def choose(self) -> None:
        """Wait for the layer that should be forwarded, if it is not already."""
        if self._is_paused or self not in self.track.subscribers:
            return
        chosen = self._best_layer()
        if chosen is self._layer:
            self._stop_waiting()
        elif chosen is not None and chosen is not self._awaited:
            self._await(chosen)

    def layer_restarted(self, layer: Layer) -> None:
        if layer is self._layer:
            self._end_line(self._unfinished)
        if layer is self._awaited:
            self._stop_waiting()
        self.choose()

    def described(self) -> None:
        if self._route is not None and self._description is not None:
            self._describe(self._route, self._description)
            self.choose()

    def ended(self) -> None:
        self._stop()

    # Choosing

    def _best_layer(self) -> Layer | None:
        """The highest that is alive and wanted, else the lowest alive; while none is, the one there was."""
        layers = self.track.layers
        wanted = layers[: self._highest_layer + 1]
        alive = [layer for layer in wanted if layer.is_alive] or [layer for layer in layers if layer.is_alive][:1]
        if alive:
            return alive[-1]
        if self._layer is not None:
            return self._layer
        return wanted[-1] if wanted else None

    def _await(self, layer: Layer) -> None:
        self._stop_waiting()
        self._awaited = layer
        layer.wait(self)
        if self._takes(layer):
            layer.request_key_frame()

    def _stop_waiting(self) -> None:
        layer, self._awaited = self._awaited, None
        self._key_frame = None
        if layer is not None:
            layer.stop_waiting(self)
        if self._line is not None and self._layer is not None:
            self._layer.attach(self._line, self._forward_catching_up)

    def _takes(self, layer: Layer) -> bool:
        """The far side takes what comes there; true before anything did."""
        if self._route is None or layer.payload_type < 0:
            return True
        return self._route.second_bytes[layer.payload_type] > 0

    # Switching

    def packet_shown(self, key_frame: int | None, now_seconds: float) -> None:
        """By the awaited layer."""
        layer = self._awaited
        if layer is None:
            return
        if not self._takes(layer):
            self.unsendable_packets += 1
            return
        if key_frame is not None:
            self._begin_ending(key_frame, now_seconds)
        if self._key_frame is None:
            return
        if not self._unfinished:
            self._begin(layer, self._key_frame, reserved=0)
        elif now_seconds - self._ending_since > ENDING_SECONDS:
            self._begin(layer, self._key_frame, reserved=1)

    def _begin_ending(self, key_frame: int, now_seconds: float) -> None:
        if self._key_frame is None:
            self._ending_since = now_seconds
            if self._line is not None and self._layer is not None:
                self._layer.attach(self._line, self._forward_ending)
        self._key_frame = key_frame

    def _forward_ending(
        self, number: int, second: int, timestamp: int, payload: bytes, descriptor: bytes | None, now_seconds: float
    ) -> None:
        """The rest of a frame; the packets of the next one are what the new layer takes the place of."""
        line, awaited, key_frame = self._line, self._awaited, self._key_frame
        if line is None or awaited is None or key_frame is None:
            return
        if timestamp != line.timestamp:
            missing = number - line.highest - 1
            self._begin(awaited, key_frame, reserved=missing if missing <= MAX_RESERVED else 1)
            if self._line is not line:
                return
        line.forward(number, second, timestamp, payload, descriptor, now_seconds)
        if second & MARKER and self._awaited is awaited and self._key_frame is not None:
            self._begin(awaited, self._key_frame, reserved=0)

    def _begin(self, layer: Layer, key_frame: int, reserved: int) -> None:
        """End the line there is, and begin the next with a key frame that has come at least in part."""
        packets = layer.watch.recent.since(key_frame)
        route = self._route
        if key_frame < layer.watch.recent.floor or not packets or route is None:  # too many came meanwhile
            self._await(layer)
            return
        if self._comes_late(layer, packets[0]):
            self._passed_over += 1
            self._await(layer)
            return
        self._passed_over = 0
        self._end_line(reserved)
        line = self._continuity.begin_line(route, layer, packets[0])
        self._line, self._layer = line, layer
        self._awaited = self._key_frame = None
        layer.attach(line, self._forward_catching_up)
        for packet in packets:
            self._forward_catching_up(*packet)
        layer.stop_waiting(self)
        if self._began is not None:
            self._began(self)

    def _comes_late(self, layer: Layer, first: Packet) -> bool:
        if self._line is None or self._layer is None or not self._layer.is_alive or self._layer is layer:
            return False
        late_seconds = self._continuity.lateness_seconds(self._line, layer, first)
        return late_seconds > LATE_SECONDS and self._passed_over < MAX_PASSED_OVER

    def _forward_catching_up(
        self, number: int, second: int, timestamp: int, payload: bytes, descriptor: bytes | None, now_seconds: float
    ) -> None:
        """The first packets of a line."""
        line, layer = self._line, self._layer
        if line is None or layer is None:
            return
        if not line.catches_up(timestamp):
            layer.attach(line, line.forward)
        line.forward(number, second, timestamp, payload, descriptor, now_seconds)

    def _end_line(self, reserved: int) -> None:
        line, layer, route = self._line, self._layer, self._route
        self._line = self._layer = None
        if line is None or layer is None or route is None:
            return
        if self._former is not None:
            self._former[0].drop(self._former[1])
        self._former = layer, line
        layer.detach(line)
        self._continuity.end_line(line, reserved)
        route.packets += line.packets
        route.octets += line.octets

    def _stop(self) -> None:
        """Nothing is forwarded any more, not even late packets."""
        self._stop_waiting()
        self._end_line(self._unfinished)
        former, self._former = self._former, None
        if former is not None:
            former[0].drop(former[1])

    @property
    def _unfinished(self) -> int:
        """1 in the middle of a frame: the far side must see a gap, or would take what it has for all."""
        return int(self._line is not None and self._is_video and not self._line.ends_frame)

    def _describe(self, route: Route, description: SendDescription) -> None:
        route.ssrc, route.rtx_ssrc = description.ssrc, description.rtx_ssrc
        route.second_bytes = map_second_bytes(self.track.media.payload_types, description.payload_types)
        route.retransmissions = map_retransmissions(description.payload_types)
        ids = {uri: number for number, uri in description.header_extensions.items()}
        route.descriptor_id = ids.get(DEPENDENCY_DESCRIPTOR_URI, 0)
        line = self._line
        if line is not None:
            line.take_route()
            if not route.second_bytes[line.payload_type]:
                self._stop()
