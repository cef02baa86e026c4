"""What one subscriber is sent, packet by packet."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import MediaDescription, PayloadType
from channel_recorder.rtc.forward.dependency import DEPENDENCY_DESCRIPTOR_URI
from channel_recorder.rtc.forward.down_track import DownTrack
from channel_recorder.rtc.forward.downlink import Downlink
from channel_recorder.rtc.receive.statistics import Drop
from tests.rtc.forward.wire import (
    MIDDLE,
    OPUS,
    OUT_OPUS,
    OUT_SSRC,
    OUT_VP8,
    SSRC,
    Wire,
    audio,
    send_description,
    video,
)
from tests.rtc.receive.packets import DELTA, H264, KEY, RTX_SSRC, VP8_RTX


def begun(first: int = 1) -> Wire:
    """A key frame of one packet went through."""
    wire = Wire(video())
    wire.subscribe()
    wire.send(first, KEY, 0)
    assert [packet.payload for packet in wire.take()] == [KEY]
    return wire


def test_a_packet_goes_on_at_once_under_the_subscribers_names() -> None:
    wire = Wire(video(extensions={3: "urn:ietf:params:rtp-hdrext:sdes:mid"}))
    wire.subscribe()
    wire.send(7, KEY, 90_000, extensions={3: b"0"})
    wire.send(8, DELTA, 93_000, marker=False)
    key, delta = wire.sent
    assert (key.ssrc, key.payload_type, key.sequence, key.timestamp) == (OUT_SSRC, OUT_VP8, 7, 90_000)
    assert (key.payload, key.marker, key.extensions) == (KEY, True, {})
    assert (delta.payload, delta.marker, delta.sequence) == (DELTA, False, 8)


def test_nothing_comes_before_a_key_frame_and_one_is_asked_for() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    wire.subscribe()
    wire.send(2, DELTA, 3000)
    assert wire.take() == []
    assert len(wire.feedback()) == 1
    wire.send(3, KEY, 6000)
    wire.send(4, DELTA, 9000)
    assert [packet.payload for packet in wire.take()] == [KEY, DELTA]


def test_sound_begins_with_any_packet() -> None:
    wire = Wire(audio())
    wire.subscribe()
    for sequence in range(3):
        wire.send(sequence, b"\xf8" + bytes(sequence), 960 * sequence, number=OPUS, marker=False)
    assert [(packet.payload_type, packet.timestamp) for packet in wire.sent] == [
        (OUT_OPUS, 0),
        (OUT_OPUS, 960),
        (OUT_OPUS, 1920),
    ]
    assert wire.feedback() == []


def test_duplicates_go_on_once() -> None:
    wire = begun()
    wire.send(2, DELTA, 3000)
    wire.send(2, DELTA, 3000)
    wire.send(1, KEY, 0)
    assert wire.numbers() == [2]


def test_late_packets_find_their_place() -> None:
    wire = begun()
    wire.send(4, DELTA, 9000)
    wire.send(2, DELTA, 3000)
    wire.send(3, DELTA, 6000)
    assert [(packet.sequence, packet.timestamp) for packet in wire.take()] == [(4, 9000), (2, 3000), (3, 6000)]


def test_repaired_packets_go_on_as_the_originals() -> None:
    wire = begun()
    wire.send(3, DELTA, 6000)
    wire.send(77, (2).to_bytes(2, "big") + MIDDLE, 3000, number=VP8_RTX, ssrc=RTX_SSRC, marker=False)
    wire.send(78, (2).to_bytes(2, "big") + MIDDLE, 3000, number=VP8_RTX, ssrc=RTX_SSRC, marker=False)
    wire.send(2, MIDDLE, 3000, marker=False)
    third, second = wire.take()
    assert third.sequence == 3
    assert (second.sequence, second.payload, second.timestamp, second.marker) == (2, MIDDLE, 3000, False)


@pytest.mark.parametrize("first", [0, 1, 32_766, 65_533, 65_534, 65_535])
def test_padding_leaves_no_hole(first: int) -> None:
    wire = begun(first)
    wire.send(first + 1, b"", 0, padding_bytes=200)
    wire.send(first + 2, b"", 0, padding_bytes=200)
    wire.send(first + 3, DELTA, 3000)
    wire.send(first + 4, b"", 3000, padding_bytes=200)
    wire.send(first + 5, DELTA, 6000)
    assert wire.numbers() == [(first & 0x7FFF) + 1, (first & 0x7FFF) + 2]


def test_padding_that_comes_late_fills_the_hole_it_left() -> None:
    wire = begun()
    wire.send(3, DELTA, 3000)
    wire.send(2, b"", 0, padding_bytes=200)
    delta, padding = wire.take()
    assert (delta.sequence, padding.sequence, padding.payload, padding.padding_bytes) == (3, 2, b"", 1)
    assert not padding.marker


def test_late_packets_find_their_place_around_padding() -> None:
    wire = begun()
    wire.send(4, b"", 0, padding_bytes=9)
    wire.send(6, DELTA, 9000)
    wire.send(5, DELTA, 6000)
    wire.send(3, MIDDLE, 3000)
    wire.send(2, DELTA, 3000)
    assert wire.numbers() == [5, 4, 3, 2]


@given(st.data(), st.integers(0, 65_535), st.lists(st.booleans(), min_size=1, max_size=40))
@settings(deadline=None)
def test_however_packets_are_reordered_and_doubled_the_stream_is_whole(
    data: st.DataObject, first: int, paddings: list[bool]
) -> None:
    """Only that a number is swallowed or filled depends on the order."""
    wire = begun(first)
    order = data.draw(st.permutations(range(len(paddings))))
    doubled = data.draw(st.lists(st.sampled_from(range(len(paddings))), max_size=10))
    for index in [*order, *doubled]:
        content = b"" if paddings[index] else MIDDLE + bytes((index,))
        wire.send(first + 1 + index, content, 3000, padding_bytes=5 * paddings[index])
    sent = sorted(
        wire.take(), key=lambda packet: packet.sequence - first & 0xFFFF if first < 0x8000 else packet.sequence
    )
    contents = [packet.payload for packet in sent if packet.payload]
    assert contents == [MIDDLE + bytes((index,)) for index, padding in enumerate(paddings) if not padding]
    for before, after in itertools.pairwise(sent):
        assert after.sequence - before.sequence & 0xFFFF == 1


def test_the_first_packet_of_a_key_frame_may_come_last() -> None:
    wire = Wire(video())
    wire.subscribe()
    wire.send(2, MIDDLE, 0, marker=False)
    wire.send(3, MIDDLE + b"end", 0)
    assert wire.take() == []
    wire.send(1, KEY, 0, marker=False)
    assert [(packet.sequence, packet.payload) for packet in wire.take()] == [
        (1, KEY),
        (2, MIDDLE),
        (3, MIDDLE + b"end"),
    ]


def test_a_key_frame_that_began_before_the_subscription_is_not_joined() -> None:
    wire = Wire(video())
    wire.send(2, MIDDLE, 0, marker=False)
    wire.subscribe()
    wire.send(1, KEY, 0, marker=False)
    wire.send(3, MIDDLE, 0)
    assert wire.take() == []
    wire.send(4, KEY, 3000)
    assert [packet.payload for packet in wire.take()] == [KEY]


SPS, PPS, IDR, SLICE = b"\x67\x42\x00\x1f", b"\x68\xce\x3c\x80", b"\x7c\x85\x88\x84", b"\x61\x9a\x00"


def h264_wire() -> Wire:
    wire = Wire(video())
    wire.subscribe(send_description(payload_types=[PayloadType(number=125, codec=Codec.H264, clock_rate_hz=90_000)]))
    return wire


def test_h264_begins_with_its_parameter_sets() -> None:
    wire = h264_wire()
    wire.send(1, SLICE, 0, number=H264)
    for sequence, payload in ((2, SPS), (3, PPS), (4, IDR)):
        wire.send(sequence, payload, 3000, number=H264, marker=sequence == 4)
    assert [packet.payload for packet in wire.take()] == [SPS, PPS, IDR]


def test_h264_waits_for_parameter_sets_that_were_overtaken() -> None:
    wire = h264_wire()
    wire.send(1, SLICE, 0, number=H264)
    wire.send(4, IDR, 3000, number=H264, marker=False)
    assert wire.take() == []
    wire.send(2, SPS, 3000, number=H264, marker=False)
    wire.send(3, PPS, 3000, number=H264, marker=False)
    assert sorted(packet.sequence for packet in wire.sent) == [2, 3, 4]


def test_a_codec_the_far_side_does_not_take_is_counted() -> None:
    wire = Wire(video())
    down = wire.subscribe()
    for sequence, payload in ((1, SPS), (2, IDR)):
        wire.send(sequence, payload, 0, number=H264)
    assert wire.take() == []
    assert down.unsendable_packets == 2
    assert down.layer is None
    wire.send(3, KEY, 3000)
    assert [packet.payload for packet in wire.take()] == [KEY]
    assert down.layer == 0


def test_a_codec_change_begins_at_a_key_frame_and_the_stream_goes_on() -> None:
    wire = Wire(video())
    types = [
        PayloadType(number=OUT_VP8, codec=Codec.VP8, clock_rate_hz=90_000),
        PayloadType(number=125, codec=Codec.H264, clock_rate_hz=90_000),
    ]
    wire.subscribe(send_description(payload_types=types))
    wire.send(1, KEY, 0)
    wire.now += 0.033
    wire.send(2, SLICE, 3000, number=H264)
    wire.send(3, SPS, 6000, number=H264, marker=False)
    wire.send(4, IDR, 6000, number=H264)
    assert [(packet.payload_type, packet.sequence) for packet in wire.take()] == [(120, 1), (125, 2), (125, 3)]
    assert wire.tracks[0].codec is Codec.H264


def test_unknown_payload_types_use_up_no_number() -> None:
    wire = begun()
    wire.send(2, b"\x80dtmf", 0, number=126)
    wire.send(3, DELTA, 3000)
    assert wire.numbers() == [2]
    assert wire.uplink.drops == {Drop.UNKNOWN_PAYLOAD_TYPE: 1}


AV1_MEDIA = MediaDescription(
    mid="0",
    kind=MediaKind.VIDEO,
    stream_id="-",
    track_id="t",
    payload_types=(PayloadType(number=45, codec=Codec.AV1, clock_rate_hz=90_000, feedback=frozenset({"nack pli"})),),
    ssrc=SSRC,
    header_extensions={8: DEPENDENCY_DESCRIPTOR_URI},
)
AV1_KEY, AV1_DELTA = b"\x18\x0a\x0b", b"\x10\x32\x00"


def test_dependency_descriptors_go_on_under_the_number_the_far_side_knows() -> None:
    wire = Wire(AV1_MEDIA)
    accepted = [PayloadType(number=46, codec=Codec.AV1, clock_rate_hz=90_000)]
    down = wire.subscribe(send_description(payload_types=accepted, extensions={4: DEPENDENCY_DESCRIPTOR_URI}))
    long = b"\x80\x00\x07" + bytes(range(40))
    wire.send(1, AV1_KEY, 0, number=45, extensions={8: long})
    wire.send(2, AV1_DELTA, 3000, number=45, extensions={8: b"\xc1\x00\x08"})
    assert [packet.extensions for packet in wire.take()] == [{4: long}, {4: b"\xc1\x00\x08"}]
    down.set_paused(True)
    wire.send(3, AV1_DELTA, 6000, number=45, extensions={8: b"\xc1\x00\x09"})
    down.set_paused(False)
    wire.send(4, AV1_KEY, 9000, number=45, extensions={8: b"\xc0\x00\x0a"})
    wire.nack(3, ssrc=OUT_SSRC)
    first, repeated = wire.take()
    assert (first.sequence, first.extensions) == (3, {4: b"\xc0\x00\x09"})
    assert repeated.extensions == first.extensions


def test_dependency_descriptors_are_left_out_where_they_were_not_agreed_on() -> None:
    wire = Wire(AV1_MEDIA)
    wire.subscribe(send_description(payload_types=[PayloadType(number=46, codec=Codec.AV1, clock_rate_hz=90_000)]))
    wire.send(1, AV1_KEY, 0, number=45, extensions={8: b"\x80\x00\x07"})
    assert [packet.extensions for packet in wire.take()] == [{}]


def test_svc_is_forwarded_whole() -> None:
    """Three spatial layers of a picture under one SSRC."""
    vp9 = PayloadType(number=98, codec=Codec.VP9, clock_rate_hz=90_000, feedback=frozenset({"nack pli"}))
    media = MediaDescription(
        mid="0", kind=MediaKind.VIDEO, stream_id="-", track_id="t", payload_types=(vp9,), ssrc=SSRC
    )
    wire = Wire(media)
    wire.subscribe(send_description(payload_types=[PayloadType(number=99, codec=Codec.VP9, clock_rate_hz=90_000)]))
    picture = [bytes((0xAC, 0x81, 0x02, layer << 1 | (layer > 0), 0x01)) + b"\x82" for layer in range(3)]
    for sequence, payload in enumerate(picture):
        wire.send(sequence, payload, 0, number=98, marker=sequence == 2)
    assert [packet.payload for packet in wire.take()] == picture


def test_a_pause_in_the_middle_of_a_picture_shows_as_a_gap() -> None:
    """Else the far side would take the half for the whole."""
    wire = Wire(video())
    down = wire.subscribe()
    wire.send(1, KEY, 0)
    wire.send(2, DELTA, 3000, marker=False)
    down.set_paused(True)
    wire.send(3, MIDDLE, 3000)
    down.set_paused(False)
    wire.send(4, KEY, 6000)
    assert wire.numbers() == [1, 2, 4]


def test_numbers_that_jump_far_are_believed_the_second_time() -> None:
    wire = begun()
    wire.send(40_000, DELTA, 3000)
    assert wire.take() == []
    wire.send(2, DELTA, 3000)
    assert wire.numbers() == [2]
    wire.now += 1.0
    wire.send(40_000, DELTA, 90_000)
    wire.send(40_001, KEY, 93_000)
    wire.send(40_002, DELTA, 96_000)
    assert [(packet.sequence, packet.timestamp) for packet in wire.take()] == [(3, 3000 + 90_000), (4, 96_000)]


def test_a_removed_track_falls_silent_and_says_good_bye() -> None:
    wire = Wire(video())
    down = wire.subscribe()
    wire.send(1, KEY, 0)
    wire.downlink.remove_track(down, wire.now)
    wire.downlink.remove_track(down, wire.now)
    wire.send(2, DELTA, 3000)
    assert len(wire.take()) == 1
    assert [packet.ssrcs for packet in wire.downward() if hasattr(packet, "ssrcs")] == [(OUT_SSRC,)]  # pyright: ignore[reportAttributeAccessIssue]
    assert wire.tracks[0].subscribers == {}


def test_a_track_ends_with_its_m_line() -> None:
    wire = Wire(video())
    down = wire.subscribe()
    wire.send(1, KEY, 0)
    wire.uplink.remove_media("0", wire.now)
    wire.send(2, DELTA, 3000)
    assert len(wire.take()) == 1
    assert down.layer is None
    assert wire.uplink.drops == {Drop.UNKNOWN_SSRC: 1}
    down.set_layer(1)
    down.set_paused(False)
    wire.downlink.remove_track(down, wire.now)


def test_tracks_added_before_there_is_a_path_begin_with_a_key_frame_when_there_is() -> None:
    wire = Wire(video())
    wire.downlink = Downlink(send=wire._sent, cname="server", clock_offset_seconds=0.0, is_open=False)
    kept, dropped = DownTrack(wire.tracks[0]), DownTrack(wire.tracks[0])
    wire.downlink.add_track(kept, send_description(), wire.now)
    wire.downlink.add_track(dropped, send_description(ssrc=0xB000), wire.now)
    wire.downlink.remove_track(dropped, wire.now)
    wire.send(1, KEY, 0)
    assert wire.take() == []
    wire.downlink.open(wire.now)
    assert len(wire.feedback()) == 1
    wire.send(2, KEY, 3000)
    assert [packet.ssrc for packet in wire.take()] == [OUT_SSRC]


def test_a_description_anew_changes_names_but_not_the_stream() -> None:
    wire = Wire(video())
    down = wire.subscribe()
    wire.send(1, KEY, 0)
    other = [PayloadType(number=99, codec=Codec.VP8, clock_rate_hz=90_000)]
    wire.downlink.add_track(down, send_description(ssrc=0xB000, payload_types=other, rtx=False), wire.now)
    wire.send(2, DELTA, 3000)
    assert [(packet.ssrc, packet.payload_type, packet.sequence) for packet in wire.take()] == [
        (OUT_SSRC, OUT_VP8, 1),
        (0xB000, 99, 2),
    ]
    wire.downlink.add_track(down, send_description(payload_types=[]), wire.now)
    wire.send(3, DELTA, 6000)
    assert wire.take() == []
