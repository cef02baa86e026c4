import pytest

from channel_recorder.model import Codec
from channel_recorder.rtc.receive.pictures import MAX_FRAME_PACKETS
from channel_recorder.rtc.receive.statistics import Drop
from channel_recorder.rtc.wire import rtcp
from channel_recorder.rtc.wire.extension_uris import VIDEO_ORIENTATION_URI
from tests.rtc.receive.packets import DELTA, H264, KEY, OURS, SSRC, VP8, Wire, video

PLI = rtcp.PictureLossIndication(sender_ssrc=OURS, media_ssrc=SSRC)
BLANK_VP8 = b"\x10" + b"\x10\x00\x00\x9d\x01\x2a\x08\x00\x08\x00"
SPS = bytes.fromhex("6742c00ada11e840000003004000000ca3c489a8")
PPS = bytes.fromhex("68ce0fc8")
IDR = b"\x65\x88\x84\x3a"
SLICE = b"\x41\x9a\x02"
START = b"\x00\x00\x00\x01"


def stap(*units: bytes) -> bytes:
    return b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def test_a_picture_of_several_packets_is_put_together() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 5000, marker=False)
    wire.send(2, b"\x00middle", 5000, marker=False)
    wire.now += 0.01
    wire.send(3, b"\x00end", 5000)
    (frame,) = wire.collector.frames
    assert frame.data == KEY[1:] + b"middleend"
    assert (frame.codec, frame.key_frame, frame.width, frame.height) == (Codec.VP8, True, 320, 240)
    assert (frame.timestamp, frame.arrival_seconds, frame.lost_packets) == (5000, 100.01, 0)
    assert wire.feedback() == []


def test_a_new_time_stamp_ends_a_picture_without_marker() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0, marker=False)
    wire.now += 0.5
    wire.send(2, DELTA, 3000, marker=False)
    wire.send(3, DELTA, 6000)
    assert wire.delivered == [(0, KEY[1:]), (3000, DELTA[1:]), (6000, DELTA[1:])]
    assert wire.collector.frames[0].arrival_seconds == 100.0


def test_a_stream_that_does_not_begin_with_a_key_frame_asks_for_one_at_once() -> None:
    wire = Wire(video())
    wire.send(1, DELTA, 0)
    assert wire.receiver.next_timer_seconds == wire.now
    assert wire.feedback() == [PLI]
    wire.send(2, DELTA, 3000)
    assert wire.feedback() == []
    wire.send(3, KEY, 6000)
    wire.send(4, DELTA, 9000)
    assert wire.delivered == [(6000, KEY[1:]), (9000, DELTA[1:])]
    assert wire.wait(10.0) == []
    assert wire.receiver.statistics("0").dropped_frames == 2


def test_joining_in_the_middle_of_a_picture_skips_its_rest() -> None:
    wire = Wire(video())
    wire.send(1, b"\x00rest of a key frame", 0, marker=False)
    wire.send(2, b"\x00end", 0)
    wire.send(3, KEY, 3000)
    assert wire.delivered == [(3000, KEY[1:])]
    assert wire.receiver.statistics("0").dropped_frames == 1


def test_fir_is_sent_where_it_is_all_there_is() -> None:
    wire = Wire(video(feedback=frozenset({"nack", "ccm fir"})))
    wire.send(1, DELTA, 0)
    assert wire.feedback() == [rtcp.FullIntraRequest(sender_ssrc=OURS, requests=((SSRC, 1),))]
    (repeated,) = wire.wait(0.5)
    assert repeated == rtcp.FullIntraRequest(sender_ssrc=OURS, requests=((SSRC, 1),))
    wire.send(2, KEY, 3000)
    wire.receiver.request_key_frame("0", wire.now)
    assert wire.wait(1.0)[0] == rtcp.FullIntraRequest(sender_ssrc=OURS, requests=((SSRC, 2),))


def test_no_key_frame_is_asked_for_where_nobody_takes_requests() -> None:
    wire = Wire(video(feedback=frozenset({"nack"})))
    wire.send(1, DELTA, 0)
    wire.receiver.request_key_frame("0", wire.now)
    assert wire.wait(5.0) == []


def test_blank_pictures_of_a_muted_track_are_left_out_without_asking() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    wire.send(2, BLANK_VP8, 3000)
    wire.send(3, BLANK_VP8, 6000)
    assert wire.wait(5.0) == []
    wire.send(4, DELTA, 9000)
    assert wire.feedback() == [PLI]
    wire.send(5, KEY, 12_000)
    assert wire.delivered == [(0, KEY[1:]), (12_000, KEY[1:])]
    assert wire.receiver.statistics("0").blank_frames == 2


def test_padding_advances_the_sequence_and_carries_nothing() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    wire.send(2, b"", 0, marker=False, padding_bytes=255)
    wire.send(3, b"", 0, padding_bytes=1)
    wire.send(4, DELTA, 3000, marker=False)
    wire.send(5, b"", 3000, marker=False, padding_bytes=255)
    wire.send(6, b"\x00end", 3000)
    assert wire.delivered == [(0, KEY[1:]), (3000, DELTA[1:] + b"end")]
    assert wire.feedback() == []


def test_a_codec_that_changes_in_mid_stream_begins_with_its_key_frame() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    wire.send(2, SLICE, 3000, number=H264)
    assert wire.feedback() == [PLI]
    wire.send(3, stap(SPS, PPS, IDR), 6000, number=H264)
    wire.send(4, SLICE, 9000, number=H264)
    wire.send(5, KEY, 12_000, number=VP8)
    assert [(frame.codec, frame.key_frame) for frame in wire.collector.frames] == [
        (Codec.VP8, True),
        (Codec.H264, True),
        (Codec.H264, False),
        (Codec.VP8, True),
    ]


def test_an_unknown_payload_type_is_counted_and_breaks_nothing() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    wire.send(2, b"what is this", 1000, number=55)
    wire.send(3, DELTA, 3000)
    assert wire.delivered == [(0, KEY[1:]), (3000, DELTA[1:])]
    assert wire.receiver.drops == {Drop.UNKNOWN_PAYLOAD_TYPE: 1}


def test_packets_that_make_no_picture_are_counted_and_a_key_frame_is_asked_for() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    wire.send(2, b"\x00no beginning", 3000)
    assert wire.receiver.drops == {Drop.MALFORMED_FRAME: 1}
    assert wire.feedback() == [PLI]
    wire.send(3, DELTA, 6000)
    wire.send(4, KEY, 9000)
    assert wire.delivered == [(0, KEY[1:]), (9000, KEY[1:])]


def test_parameter_sets_sent_once_complete_every_key_frame() -> None:
    wire = Wire(video())
    wire.send(1, stap(SPS, PPS), 0, number=H264)
    assert wire.feedback() == []
    wire.send(2, IDR, 3000, number=H264)
    wire.send(3, SLICE, 6000, number=H264)
    wire.send(4, IDR, 9000, number=H264)
    whole = START + SPS + START + PPS + START + IDR
    assert wire.delivered == [(3000, whole), (6000, START + SLICE), (9000, whole)]
    assert all(frame.width and frame.height for frame in wire.collector.frames if frame.key_frame)
    assert wire.feedback() == []


def test_a_key_frame_whose_parameter_sets_may_be_lost_is_not_trusted() -> None:
    wire = Wire(video())
    wire.send(1, stap(SPS, PPS, IDR), 0, number=H264)
    wire.send(3, IDR, 3000, number=H264)  # the sets, perhaps of another size, went with packet 2
    wire.wait(1.5)
    wire.send(4, SLICE, 6000, number=H264)
    wire.send(5, stap(SPS, PPS, IDR), 9000, number=H264)
    assert [frame.timestamp for frame in wire.collector.frames] == [0, 9000]


def test_a_picture_arrived_when_its_last_packet_came_in_whatever_order() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    wire.send(2, DELTA, 3000, marker=False)
    wire.send(4, b"\x00end", 3000)
    wire.send(5, DELTA, 6000)
    wire.now += 0.25
    wire.send(3, b"\x00middle", 3000, marker=False)
    assert [frame.arrival_seconds for frame in wire.collector.frames] == [100.0, 100.25, 100.0]


def test_a_picture_without_end_is_given_up() -> None:
    wire = Wire(video())
    wire.send(0, KEY, 0, marker=False)
    for sequence in range(1, MAX_FRAME_PACKETS + 10):
        wire.send(sequence, b"\x00more", 0, marker=False)
    assert wire.receiver.drops == {Drop.MALFORMED_FRAME: 1}
    wire.send(MAX_FRAME_PACKETS + 10, KEY, 3000)
    assert wire.delivered == [(3000, KEY[1:])]


def test_orientation_is_kept_until_it_changes() -> None:
    wire = Wire(video(extensions={4: VIDEO_ORIENTATION_URI}))
    wire.send(1, KEY, 0, extensions={4: b"\x01"})
    wire.send(2, DELTA, 3000)
    wire.send(3, DELTA, 6000, marker=False, extensions={4: b"\x03"})
    wire.send(4, b"\x00end", 6000, extensions={4: b"\x02"})
    wire.send(5, DELTA, 9000, extensions={4: b"\x00"})
    assert [frame.rotation for frame in wire.collector.frames] == [90, 90, 180, 0]


def numbered(picture: bytes, number: int) -> bytes:
    """With a picture id."""
    return b"\x90\x80" + (number & 0x7FFF | 0x8000).to_bytes(2, "big") + picture[1:]


@pytest.mark.parametrize("first", [5, 0x7FFE, 0x7FFF])
def test_lost_padding_stops_no_picture(first: int) -> None:
    wire = Wire(video())
    wire.send(1, numbered(KEY, first), 0)
    wire.send(4, numbered(DELTA, first + 1), 3000)
    wire.send(6, numbered(DELTA, first + 2), 6000)
    wire.wait(1.5)
    assert wire.delivered == [(0, KEY[1:]), (3000, DELTA[1:]), (6000, DELTA[1:])]
    assert [frame.lost_packets for frame in wire.collector.frames] == [0, 0, 0]
    assert wire.receiver.statistics("0").key_frame_requests == 0


def test_a_lost_picture_between_two_that_are_numbered_is_missed() -> None:
    wire = Wire(video())
    wire.send(1, numbered(KEY, 7), 0)
    wire.send(3, numbered(DELTA, 9), 6000)
    assert PLI in wire.wait(1.5)
    wire.send(4, numbered(KEY, 10), 9000)
    assert wire.delivered == [(0, KEY[1:]), (9000, KEY[1:])]
    assert [frame.lost_packets for frame in wire.collector.frames] == [0, 1]


def test_padding_lost_inside_a_picture_may_have_been_a_part_of_it() -> None:
    wire = Wire(video())
    wire.send(1, numbered(KEY, 7), 0)
    wire.send(2, numbered(DELTA, 8), 3000, marker=False)
    wire.send(4, numbered(DELTA, 9), 6000)
    assert PLI in wire.wait(1.5)
    assert wire.delivered == [(0, KEY[1:])]
