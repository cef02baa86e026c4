"""A publisher, the server's forwarding and subscribers, with a network between each two, in virtual time.

Subscribers are the recorder's own receivers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import inf

from channel_recorder.model import Codec, EncodedFrame, MediaKind
from channel_recorder.rtc.description import MediaDescription, PayloadType, SendDescription
from channel_recorder.rtc.forward.down_track import DownTrack
from channel_recorder.rtc.forward.downlink import Downlink
from channel_recorder.rtc.forward.uplink import Uplink
from channel_recorder.rtc.forward.uplink_track import UplinkTrack
from channel_recorder.rtc.receive.receiver import Receiver
from channel_recorder.rtc.wire.rtp import RtpPacket, parse
from tests.rtc.forward.publisher import VIDEO_FEEDBACK, Publisher
from tests.sim.call import Collector
from tests.sim.network import PERFECT, NetworkConditions, SimulatedNetwork
from tests.sim.sender import SentFrame

CLOCK_OFFSET_SECONDS = 3.8e9
"""The server's NTP time when the virtual clock is 0; the publisher's is another."""
VP8, VP8_RTX, OPUS = 120, 121, 109


def send_description(kind: MediaKind, ssrc: int, *, mid: str = "s", rtx: bool = True) -> SendDescription:
    if kind is MediaKind.AUDIO:
        opus = PayloadType(
            number=OPUS, codec=Codec.OPUS, clock_rate_hz=48_000, channels=2, feedback=frozenset({"nack"})
        )
        return SendDescription(mid=mid, kind=kind, payload_types=(opus,), ssrc=ssrc)
    vp8 = PayloadType(number=VP8, codec=Codec.VP8, clock_rate_hz=90_000, feedback=VIDEO_FEEDBACK)
    repeats = PayloadType(number=VP8_RTX, codec=None, clock_rate_hz=90_000, retransmits=VP8)
    types = (vp8, repeats) if rtx else (vp8,)
    return SendDescription(mid=mid, kind=kind, payload_types=types, ssrc=ssrc, rtx_ssrc=ssrc + 1 if rtx else None)


def receive_description(sent: SendDescription) -> MediaDescription:
    """The far side's view of it."""
    return MediaDescription(
        mid=sent.mid,
        kind=sent.kind,
        stream_id="PA",
        track_id=f"TR_{sent.mid}",
        payload_types=sent.payload_types,
        ssrc=sent.ssrc,
        rtx_ssrc=sent.rtx_ssrc,
    )


class Subscriber:
    """Receives tracks; what each delivers is in `collectors` by mid."""

    def __init__(self, seed: int, down: NetworkConditions, up: NetworkConditions) -> None:
        self.sent: list[RtpPacket] = []
        """Everything the server sent, before the network."""
        self.collectors: dict[str, Collector] = {}
        self.down_tracks: dict[str, DownTrack] = {}
        self.now_seconds = 0.0
        self.downlink = Downlink(send=self._send, cname="server", clock_offset_seconds=CLOCK_OFFSET_SECONDS)
        self.receiver = Receiver(ssrc=900 + seed % 1000)
        self.down = SimulatedNetwork(seed, down)
        self.down_rtcp = SimulatedNetwork(seed + 1, down)
        self.up = SimulatedNetwork(seed + 2, up)

    def subscribe(self, track: UplinkTrack, mid: str, now_seconds: float, *, rtx: bool = True) -> DownTrack:
        self.now_seconds = now_seconds
        sent = send_description(track.media.kind, 5000 + 10 * len(self.down_tracks), mid=mid, rtx=rtx)
        self.collectors[mid] = Collector()
        self.receiver.add_media(receive_description(sent), self.collectors[mid], now_seconds)
        down = self.down_tracks[mid] = DownTrack(track)
        self.downlink.add_track(down, sent, now_seconds)
        return down

    @property
    def next_seconds(self) -> float:
        return min(
            self.down.next_seconds,
            self.down_rtcp.next_seconds,
            self.up.next_seconds,
            self.receiver.next_timer_seconds,
            self.downlink.next_timer_seconds,
        )

    def step(self, now: float) -> None:
        for packet in self.up.receive(now):
            self.downlink.receive_rtcp(packet, now)
        if self.downlink.next_timer_seconds <= now:
            for packet in self.downlink.rtcp_to_send(now):
                self.down_rtcp.send(packet, now)
        for packet in self.down.receive(now):
            self.receiver.receive_rtp(packet, now)
        for packet in self.down_rtcp.receive(now):
            self.receiver.receive_rtcp(packet, now)
        if self.receiver.next_timer_seconds <= now:
            for packet in self.receiver.rtcp_to_send(now):
                self.up.send(packet, now)

    def media_sent(self, mid: str = "video") -> list[RtpPacket]:
        """First transmissions and repeats on the media SSRC, in the order of their numbers, each once."""
        ssrc = self.down_tracks[mid].ssrc
        packets = [packet for packet in self.sent if packet.ssrc == ssrc]
        numbers: dict[int, RtpPacket] = {}
        near = packets[0].sequence if packets else 0
        for packet in packets:
            number = near + ((packet.sequence - near + 0x8000) & 0xFFFF) - 0x8000
            near = max(near, number)
            numbers.setdefault(number, packet)
        return [numbers[number] for number in sorted(numbers)]

    def _send(self, packet: bytes) -> None:
        self.sent.append(parse(packet))
        self.down.send(packet, self.now_seconds)


class Stage:
    def __init__(
        self,
        publisher: Publisher,
        media: Sequence[MediaDescription],
        *,
        seed: int = 1,
        up: NetworkConditions = PERFECT,
        back: NetworkConditions = PERFECT,
    ) -> None:
        """`up`: from the publisher to the server."""
        self.publisher = publisher
        self.uplink = Uplink(ssrc=1)
        self.tracks = {each.mid: self.uplink.add_media(each, 0.0) for each in media}
        self.subscribers: list[Subscriber] = []
        self.now_seconds = 0.0
        self._seed = seed
        self._up = SimulatedNetwork(seed, up)
        self._up_rtcp = SimulatedNetwork(seed + 1, up)
        self._back = SimulatedNetwork(seed + 2, back)

    def subscriber(self, down: NetworkConditions = PERFECT, up: NetworkConditions = PERFECT) -> Subscriber:
        subscriber = Subscriber(self._seed + 10 + 3 * len(self.subscribers), down, up)
        self.subscribers.append(subscriber)
        return subscriber

    def run(self, until_seconds: float) -> None:
        while True:
            next_seconds = min(
                self.publisher.next_seconds,
                self._up.next_seconds,
                self._up_rtcp.next_seconds,
                self._back.next_seconds,
                self.uplink.next_timer_seconds,
                *(subscriber.next_seconds for subscriber in self.subscribers),
            )
            if next_seconds > until_seconds or next_seconds == inf:
                self.now_seconds = max(self.now_seconds, until_seconds)
                return
            self.now_seconds = max(self.now_seconds, next_seconds)
            self._step(self.now_seconds)

    def _step(self, now: float) -> None:
        for subscriber in self.subscribers:
            subscriber.now_seconds = now
        if self.publisher.next_seconds <= now:
            self.publisher.handle_timer(now)
        for packet in self._back.receive(now):
            self.publisher.receive_rtcp(packet)
        rtp, compounds = self.publisher.packets_to_send()
        for packet in rtp:
            self._up.send(packet, now)
        for packet in compounds:
            self._up_rtcp.send(packet, now)
        for packet in self._up.receive(now):
            self.uplink.receive_rtp(packet, now)
        for packet in self._up_rtcp.receive(now):
            self.uplink.receive_rtcp(packet, now)
        if self.uplink.next_timer_seconds <= now:
            for packet in self.uplink.rtcp_to_send(now):
                self._back.send(packet, now)
        for subscriber in self.subscribers:
            subscriber.step(now)


Delivered = tuple[EncodedFrame, str, SentFrame]
"""With the rid of the layer it is of, and how it was published."""


def delivered(publisher: Publisher, collector: Collector) -> list[Delivered]:
    """Every frame is, byte by byte, one that was published."""
    published = {
        frame.data: (getattr(stream.settings, "rid", ""), frame)
        for stream in publisher.streams
        for frame in stream.sent
        if frame.data
    }
    return [(frame, *published[frame.data]) for frame in collector.frames]


def assert_once_and_in_order(frames: Sequence[Delivered], behind_seconds: float = 0.0) -> None:
    """A switch may show the same instant twice, in both layers, or where key frames are repaired an older one."""
    assert len({frame.data for frame, _, _ in frames}) == len(frames)
    for (before, _, sent_before), (frame, _, sent) in itertools.pairwise(frames):
        assert sent.sent_seconds >= sent_before.sent_seconds - behind_seconds
        assert frame.timestamp > before.timestamp


def assert_decodable(frames: Sequence[Delivered]) -> None:
    """Every picture follows the one before it in its layer, or is a key frame."""
    assert frames[0][2].key_frame
    for (_, rid_before, before), (_, rid, sent) in itertools.pairwise(frames):
        assert sent.key_frame or (rid == rid_before and sent.number == before.number + 1)


def assert_times_are_true(frames: Sequence[Delivered], tolerance_seconds: float) -> None:
    first, _, first_sent = frames[0]
    for frame, _, sent in frames:
        seconds = (frame.timestamp - first.timestamp) / frame.codec.clock_rate_hz
        assert abs(seconds - (sent.sent_seconds - first_sent.sent_seconds)) <= tolerance_seconds


def assert_pictures_are_continuous(packets: Sequence[RtpPacket]) -> None:
    """By the descriptors: every picture id follows the one before, whatever layers they are of."""
    pictures: list[tuple[int, int, int]] = []
    for packet in packets:
        if not packet.payload:
            continue
        payload = packet.payload
        counters = ((payload[2] << 8 | payload[3]) & 0x7FFF, payload[4], payload[5])
        if not pictures or counters != pictures[-1]:
            pictures.append(counters)
    for (before, tl0_before, layers_before), (picture_id, tl0, layers) in itertools.pairwise(pictures):
        assert picture_id == before + 1 & 0x7FFF
        assert tl0 == tl0_before + (layers < 0x40) & 0xFF
        assert layers & 0x1F in (layers_before & 0x1F, (layers_before & 0x1F) + 1 & 0x1F)


def assert_no_number_is_missing(packets: Sequence[RtpPacket]) -> None:
    for before, packet in itertools.pairwise(packets):
        assert packet.sequence == before.sequence + 1 & 0xFFFF
