"""A published track: the layers of one m-line, and who is sent one of them."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import MediaDescription, PayloadType
from channel_recorder.rtc.forward.contract import Format, LayerTransport
from channel_recorder.rtc.forward.dependency import DEPENDENCY_DESCRIPTOR_URI
from channel_recorder.rtc.forward.layer import Layer
from channel_recorder.rtc.forward.levels import AudioLevel
from channel_recorder.rtc.forward.sender_clock import PublisherClock
from channel_recorder.rtc.receive.depacketize.formats import FORMATS
from channel_recorder.rtc.receive.stream import TRANSPORT_CC_URIS
from channel_recorder.rtc.wire.extension_uris import AUDIO_LEVEL_URI

MAX_LAYERS = 4
RATE_SAMPLES = 4
"""One a second: the bit rate is that of the last 3 seconds."""
_RID_ORDER = {"q": 0, "h": 1, "f": 2}


class Subscriber(Protocol):
    """An outgoing track."""

    def choose(self) -> None:
        """Which layers are alive changed."""
        ...

    def layer_restarted(self, layer: Layer) -> None: ...

    def described(self) -> None:
        """The publisher's payload types may be other ones now."""
        ...

    def ended(self) -> None:
        """The publisher sends no more of it."""
        ...


class UplinkTrack:
    """Implements `serve.contract.IncomingTrack`; made by `Uplink.add_media`."""

    def __init__(self, transport: LayerTransport, media: MediaDescription) -> None:
        self.level = AudioLevel()
        self.formats: dict[int, Format] = {}
        self.retransmits: dict[int, int] = {}
        self.transport_id = self.level_id = self.descriptor_id = 0
        self.nack = self.pli = self.fir = False
        self.wants_estimates = False
        """The sender takes a bit rate (REMB), and has no better way to find its own."""
        self.layers: list[Layer] = []
        """From the lowest up."""
        self.subscribers: dict[Subscriber, None] = {}
        self._transport = transport
        self._rates: deque[tuple[float, int]] = deque(maxlen=RATE_SAMPLES)
        self.media = media
        self.describe(media)

    def describe(self, media: MediaDescription) -> None:
        """What negotiation agreed on, now or anew. Binding SSRCs is the caller's business."""
        self.media = media
        sent = [each for each in media.payload_types if each.codec is not None]
        self.formats = {each.number: _format(each, each.codec) for each in sent if each.codec is not None}
        self.retransmits = {
            each.number: each.retransmits for each in media.payload_types if each.retransmits is not None
        }
        self._describe_feedback({name for each in sent for name in each.feedback})
        self._describe_layers(media.rids)
        for subscriber in list(self.subscribers):
            subscriber.described()

    @property
    def publisher_clock(self) -> PublisherClock:
        return self._transport.publisher_clock

    @property
    def codec(self) -> Codec | None:
        """Of the newest packets; None before the first."""
        return next((layer.codec for layer in reversed(self.layers) if layer.codec is not None), None)

    def accepts(self, payload_type: int) -> bool:
        return payload_type in self.formats or payload_type in self.retransmits

    def layer_of(self, rid: str | None) -> Layer | None:
        """By rid; without one only where there is but one layer."""
        if len(self.layers) == 1 and (rid is None or not self.layers[0].rid):
            return self.layers[0]
        return next((layer for layer in self.layers if layer.rid == rid), None)

    def take_level(self) -> float:
        """Loudness since the last call, 0 (silence) to 1 (RFC 6464): root mean square."""
        return self.level.take()

    def bitrate_bps(self) -> float:
        """Received, of all layers together, over the last 3 seconds."""
        if len(self._rates) < 2:
            return 0.0
        (since, before), (until, after) = self._rates[0], self._rates[-1]
        return 8 * (after - before) / (until - since)

    # Called by the uplink

    def sample_rate(self, now_seconds: float) -> None:
        if not self._rates or now_seconds > self._rates[-1][0]:
            self._rates.append((now_seconds, sum(layer.bytes for layer in self.layers)))

    @property
    def is_reviewed(self) -> bool:
        """Its layers may fall silent one by one."""
        return len(self.layers) > 1 and bool(self.subscribers)

    def review(self, now_seconds: float) -> None:
        silent = [layer.check_alive(now_seconds) for layer in self.layers]
        if any(silent):
            self._choose()

    def receive_goodbye(self, layer: Layer) -> None:
        if layer.receive_goodbye():
            self._choose()

    def close(self) -> None:
        subscribers, self.subscribers = self.subscribers, {}
        for subscriber in subscribers:
            subscriber.ended()
        for layer in self.layers:
            layer.close()

    # Called by the layers

    def layer_woke(self, layer: Layer) -> None:
        self._choose()

    def layer_restarted(self, layer: Layer) -> None:
        for subscriber in list(self.subscribers):
            subscriber.layer_restarted(layer)

    def _choose(self) -> None:
        for subscriber in list(self.subscribers):
            subscriber.choose()

    def _describe_feedback(self, feedback: set[str]) -> None:
        media = self.media
        self.nack = "nack" in feedback
        self.pli = "nack pli" in feedback
        self.fir = "ccm fir" in feedback
        ids = {uri: number for number, uri in media.header_extensions.items()}
        transport_ids = [number for uri, number in ids.items() if uri in TRANSPORT_CC_URIS]
        self.transport_id = transport_ids[0] if transport_ids and "transport-cc" in feedback else 0
        self.level_id = ids.get(AUDIO_LEVEL_URI, 0) if media.kind is MediaKind.AUDIO else 0
        self.descriptor_id = ids.get(DEPENDENCY_DESCRIPTOR_URI, 0) if media.kind is MediaKind.VIDEO else 0
        self.wants_estimates = "goog-remb" in feedback and not self.transport_id

    def _describe_layers(self, rids: tuple[str, ...]) -> None:
        """Layers that were there before stay the same objects."""
        names = _from_the_lowest(rids)[:MAX_LAYERS] if rids else [""]
        known = {layer.rid: layer for layer in self.layers}
        self.layers = [known.pop(name, None) or Layer(self, self._transport, name) for name in names]
        for layer in known.values():
            layer.close()
        for layer in self.layers:
            layer.described()


def _format(payload_type: PayloadType, codec: Codec) -> Format:
    return Format(codec, payload_type.clock_rate_hz, FORMATS[codec].starts_key_frame)


def _from_the_lowest(rids: tuple[str, ...]) -> list[str]:
    """LiveKit's names tell, whatever their order; others come in the order of the offer."""
    names = list(dict.fromkeys(rids))
    return sorted(names, key=_RID_ORDER.__getitem__) if all(name in _RID_ORDER for name in names) else names
