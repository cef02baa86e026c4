"""Encrypted frames are opened before anybody looks for key frames; what stays sealed is told apart from losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from channel_recorder.codecs.vp9 import split_superframe
from channel_recorder.model import Codec, EncodedFrame
from channel_recorder.rtc.wire import rtcp
from tests.rtc.receive.packets import DELTA, KEY, OPUS, Wire, audio, payload_type, video
from tests.sim.call import Collector

SEALED = b"\x10\x01SEALED"
"""A VP8 payload descriptor and a frame that does not open."""
VP9 = 98


@dataclass
class Unsealing(Collector):
    """Opens what begins with `open:` or a plain VP8 frame; the rest stays sealed."""

    sealed: list[tuple[EncodedFrame, tuple[bytes, ...]]] = field(
        default_factory=list[tuple[EncodedFrame, tuple[bytes, ...]]]
    )

    def unseal(self, codec: Codec, unit: bytes) -> bytes:
        del codec
        return b"" if b"SEALED" in unit else unit.removeprefix(b"open:")

    def on_sealed_frame(self, frame: EncodedFrame, units: Sequence[bytes]) -> None:
        self.sealed.append((frame, tuple(units)))


class SealedWire(Wire):
    def __init__(self, *media: object) -> None:
        super().__init__()
        self.collector = self.listener = Unsealing()
        for each in media:
            self.receiver.add_media(each, self.listener, self.now)  # type: ignore[arg-type]


def key_frame_requests(packets: list[rtcp.RtcpPacket]) -> int:
    return sum(isinstance(packet, rtcp.PictureLossIndication) for packet in packets)


def test_key_frames_and_sizes_are_seen_in_the_opened_frame() -> None:
    wire = SealedWire(video())
    wire.send(1, KEY[:1] + b"open:" + KEY[1:], 3000)
    wire.send(2, DELTA, 6000)
    first, second = wire.listener.frames
    assert (first.key_frame, first.width, first.height) == (True, 320, 240)
    assert first.data == KEY[1:]
    assert not second.key_frame


def test_what_stays_sealed_is_handed_over_whole_and_no_key_frame_is_asked_for() -> None:
    wire = SealedWire(video())
    wire.send(1, SEALED, 3000)
    wire.send(2, SEALED, 6000, marker=False)
    wire.send(3, b"\x00 and more", 6000)
    assert wire.delivered == []
    assert [(frame.timestamp, units) for frame, units in wire.listener.sealed] == [
        (3000, (b"\x01SEALED",)),
        (6000, (b"\x01SEALED and more",)),
    ]
    assert key_frame_requests(wire.wait(30.0)) == 0
    assert wire.receiver.statistics("0").sealed_frames == 2


def test_the_first_frame_that_opens_asks_for_a_key_frame() -> None:
    wire = SealedWire(video())
    wire.send(1, SEALED, 3000)
    wire.send(2, DELTA, 6000)
    assert wire.delivered == []
    assert key_frame_requests(wire.feedback()) == 1
    wire.send(3, KEY, 9000)
    wire.send(4, DELTA, 12000)
    assert [timestamp for timestamp, _ in wire.delivered] == [9000, 12000]


def test_after_a_frame_that_stays_sealed_pictures_go_on_with_a_key_frame() -> None:
    wire = SealedWire(video())
    wire.send(1, KEY, 3000)
    wire.send(2, SEALED, 6000)
    wire.send(3, DELTA, 9000)
    wire.send(4, KEY, 12000)
    assert [timestamp for timestamp, _ in wire.delivered] == [3000, 12000]


def test_losses_before_a_sealed_frame_are_told_with_it() -> None:
    wire = SealedWire(video())
    wire.send(1, SEALED, 3000)
    wire.send(4, SEALED, 9000)
    wire.wait(2.0)
    assert [frame.lost_packets for frame, _ in wire.listener.sealed] == [0, 2]


def test_sound_opens_packet_by_packet() -> None:
    wire = SealedWire(audio())
    wire.send(1, b"open:one", 0, number=OPUS)
    wire.send(2, b"SEALED", 960, number=OPUS)
    wire.send(3, b"open:three", 1920, number=OPUS)
    assert wire.delivered == [(0, b"one"), (1920, b"three")]
    ((frame, units),) = wire.listener.sealed
    assert (frame.timestamp, frame.codec, units) == (960, Codec.OPUS, (b"SEALED",))
    assert wire.receiver.statistics("1").sealed_frames == 1


def vp9_layers(*layers: bytes) -> list[bytes]:
    """Each in one packet: L set, begin and end of a frame, spatial layer number with inter-layer prediction."""
    return [bytes((0x2C, number << 1 | bool(number), 0)) + layer for number, layer in enumerate(layers)]


def test_layers_of_a_vp9_picture_open_one_by_one() -> None:
    media = video(feedback=frozenset())
    media = type(media)(
        mid="0",
        kind=media.kind,
        stream_id="PA_1",
        track_id="TR_1",
        payload_types=(payload_type(VP9, Codec.VP9),),
        ssrc=media.ssrc,
    )
    wire = SealedWire(media)
    key = bytes.fromhex("824983420013f00ef600")
    for sequence, payload in enumerate(vp9_layers(b"open:" + key, b"open:" + key)):
        wire.send(sequence, payload, 3000, marker=sequence == 1, number=VP9)
    for sequence, payload in enumerate(vp9_layers(b"open:" + key, b"SEALED"), 2):
        wire.send(sequence, payload, 6000, marker=sequence == 3, number=VP9)
    (frame,) = wire.listener.frames
    assert split_superframe(frame.data) == [key, key]
    ((_, units),) = wire.listener.sealed
    assert units == (b"open:" + key, b"SEALED")
