"""Whose a packet is: by SSRC, mid and rid, or a payload type of one m-line only."""

from __future__ import annotations

from channel_recorder.model import MediaKind
from channel_recorder.rtc.description import MediaDescription
from channel_recorder.rtc.forward.uplink_track import MAX_LAYERS
from channel_recorder.rtc.receive.statistics import Drop
from tests.rtc.forward.publisher import EXTENSIONS, MID_ID, REPAIRED_RID_ID, RID_ID
from tests.rtc.forward.wire import MIDDLE, OPUS, SSRC, VP8_RTX, Wire, audio, payload_type, send_description, video
from tests.rtc.receive.packets import DELTA, KEY, VP8


def simulcast(mid: str = "0", rids: tuple[str, ...] = ("q", "f")) -> MediaDescription:
    return MediaDescription(
        mid=mid,
        kind=MediaKind.VIDEO,
        stream_id="-",
        track_id="cid",
        payload_types=(payload_type(96, VP8_CODEC), payload_type(97, None, frozenset())),
        header_extensions=EXTENSIONS,
        rids=rids,
    )


VP8_CODEC = video().payload_types[0].codec


def named(mid: str, rid: str) -> dict[int, bytes]:
    return {MID_ID: mid.encode(), RID_ID: rid.encode()}


def test_layers_are_told_by_their_rids() -> None:
    wire = Wire(simulcast(), simulcast("1"))
    camera, screen = wire.tracks
    wire.send(1, KEY, 0, ssrc=11, extensions=named("0", "q"))
    wire.send(1, KEY, 0, ssrc=12, extensions=named("0", "f"))
    wire.send(1, KEY, 0, ssrc=13, extensions=named("1", "q"))
    wire.send(2, DELTA, 0, ssrc=13)
    assert [layer.ssrc for layer in camera.layers] == [11, 12]
    assert [layer.ssrc for layer in screen.layers] == [13, None]
    assert wire.uplink.drops == {}


def test_repeats_are_told_by_their_repaired_rids() -> None:
    wire = Wire(simulcast())
    wire.subscribe()
    wire.send(1, KEY, 0, ssrc=12, extensions=named("0", "f"))
    wire.send(3, DELTA, 6000, ssrc=12)
    repaired = {MID_ID: b"0", REPAIRED_RID_ID: b"f"}
    wire.send(9, b"\x00\x02" + MIDDLE, 3000, number=VP8_RTX, ssrc=22, extensions=repaired)
    wire.send(10, b"\x00\x02" + MIDDLE, 3000, number=VP8_RTX, ssrc=22)
    assert wire.numbers() == [1, 3, 2]
    assert wire.tracks[0].layers[1].rtx_ssrc == 22


def test_a_packet_that_names_no_known_layer_is_counted() -> None:
    wire = Wire(simulcast())
    wire.send(1, KEY, 0, ssrc=11)
    wire.send(1, KEY, 0, ssrc=11, extensions=named("0", "x"))
    wire.send(1, KEY, 0, ssrc=11, extensions=named("7", "q"))
    wire.send(1, KEY, 0, ssrc=11, number=OPUS, extensions=named("0", "q"))
    wire.send(9, b"\x00\x02", 0, ssrc=22, number=VP8_RTX, extensions={MID_ID: b"0"})
    assert wire.uplink.drops == {Drop.UNKNOWN_SSRC: 5}
    assert list(wire.uplink.handlers) == []


def test_without_rids_the_mid_or_a_payload_type_of_one_line_will_do() -> None:
    wire = Wire(video("v", ssrc=None, rtx_ssrc=None, extensions=EXTENSIONS), audio("a", ssrc=None))
    pictures, sound = wire.tracks
    wire.send(1, b"\xf8", 0, ssrc=5, number=OPUS)
    wire.send(1, KEY, 0, ssrc=6, extensions={MID_ID: b"v", RID_ID: b"whatever"})
    wire.send(1, b"\x00\x02", 0, ssrc=7, number=VP8_RTX)
    assert (sound.layers[0].ssrc, pictures.layers[0].ssrc, pictures.layers[0].rtx_ssrc) == (5, 6, 7)


def test_a_new_ssrc_takes_a_layer_over_and_the_old_one_does_not_come_back() -> None:
    wire = Wire(simulcast())
    wire.subscribe()
    wire.send(1, KEY, 0, ssrc=11, extensions=named("0", "q"))
    wire.now += 0.1
    wire.send(500, KEY, 7, ssrc=15, extensions=named("0", "q"))
    wire.send(2, DELTA, 3000, ssrc=11, extensions=named("0", "q"))
    wire.send(501, DELTA, 3007, ssrc=15)
    assert [(packet.sequence, packet.timestamp) for packet in wire.take()] == [(1, 0), (2, 9000), (3, 12_000)]
    assert wire.uplink.drops == {Drop.UNKNOWN_SSRC: 1}


def test_numbers_of_a_new_ssrc_are_not_taken_for_late_ones_of_the_old() -> None:
    wire = Wire(simulcast())
    wire.subscribe()
    wire.send(1, KEY, 0, ssrc=11, extensions=named("0", "q"))
    for sequence in range(2, 50):
        wire.send(sequence, DELTA, 3000 * sequence, ssrc=11)
    wire.take()
    wire.send(20, KEY, 7, ssrc=15, extensions=named("0", "q"))
    wire.send(22, DELTA, 6007, ssrc=15)
    wire.send(21, DELTA, 3007, ssrc=15)
    assert wire.numbers() == [50, 52, 51]


def test_a_payload_type_alone_takes_no_announced_ssrc_over() -> None:
    wire = Wire(video())
    wire.subscribe()
    wire.send(1, KEY, 0)
    wire.send(1, KEY, 0, ssrc=0x666)
    wire.send(9, b"\x00\x02" + MIDDLE, 0, ssrc=0x777, number=VP8_RTX)
    wire.send(2, DELTA, 3000)
    assert wire.numbers() == [1, 2]
    assert wire.uplink.drops == {Drop.UNKNOWN_SSRC: 2}


def test_an_ssrc_belongs_to_one_track_only() -> None:
    wire = Wire(video("a"))
    wire.send(1, KEY, 0)
    other = wire.uplink.add_media(video("b"), wire.now)
    wire.send(2, DELTA, 3000)
    assert wire.tracks[0].layers[0].ssrc is None
    assert other.layers[0].ssrc == SSRC


def test_a_line_described_anew_is_the_same_track_with_the_same_layers() -> None:
    wire = Wire(simulcast(rids=("q", "f")))
    track = wire.tracks[0]
    wire.send(1, KEY, 0, ssrc=12, extensions=named("0", "f"))
    down = wire.subscribe()
    wire.send(2, KEY, 0, ssrc=12)
    layer = track.layers[1]
    assert wire.uplink.add_media(simulcast(rids=("f", "h", "q")), wire.now) is track
    assert [each.rid for each in track.layers] == ["q", "h", "f"]
    assert track.layers[2] is layer
    wire.send(3, DELTA, 3000, ssrc=12)
    assert len(wire.take()) == 2
    assert down.layer == 2
    wire.uplink.add_media(simulcast(rids=("q",)), wire.now)
    assert down.layer is None
    wire.send(4, DELTA, 6000, ssrc=12)
    assert wire.take() == []


def test_the_number_of_layers_is_bounded() -> None:
    wire = Wire(simulcast(rids=tuple(f"r{index}" for index in range(100))))
    assert len(wire.tracks[0].layers) == MAX_LAYERS


def test_a_flood_of_invented_ssrcs_leaves_nothing_behind() -> None:
    wire = Wire(simulcast())
    wire.subscribe(send_description())
    for ssrc in range(1000, 3000):
        wire.send(1, KEY, 0, ssrc=ssrc)
        wire.send(1, KEY, 0, ssrc=ssrc, number=VP8, extensions=named("0", "q"))
    assert len(wire.uplink.handlers) == 1
    assert len(wire.tracks[0].layers[0].lines) <= 2
