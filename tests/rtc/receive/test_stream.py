from math import inf

from channel_recorder.rtc.receive.source import FAR, MAX_HELD
from channel_recorder.rtc.receive.statistics import Drop
from channel_recorder.rtc.wire import rtcp
from tests.rtc.receive.packets import DELTA, KEY, OPUS, OURS, SSRC, Wire, audio, payload_type, video

PLI = rtcp.PictureLossIndication(sender_ssrc=OURS, media_ssrc=SSRC)


def nack(*sequences: int) -> rtcp.GenericNack:
    return rtcp.GenericNack(sender_ssrc=OURS, media_ssrc=SSRC, sequences=sequences)


def sound(wire: Wire, sequence: int, timestamp: int | None = None) -> None:
    wire.send(
        sequence,
        b"\xf8" + sequence.to_bytes(8, "big", signed=True),
        sequence * 960 if timestamp is None else timestamp,
        marker=False,
        number=OPUS,
    )


def sounds_delivered(wire: Wire) -> list[int]:
    return [int.from_bytes(frame.data[1:], "big", signed=True) for frame in wire.collector.frames]


def test_a_missing_packet_is_asked_for_at_once_and_fills_the_gap() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    wire.send(3, DELTA, 6000)
    assert wire.receiver.next_timer_seconds == wire.now
    assert wire.feedback() == [nack(2)]
    wire.now += 0.03
    wire.repeat(2, DELTA, 3000)
    assert [timestamp for timestamp, _ in wire.delivered] == [0, 3000, 6000]
    assert [frame.arrival_seconds for frame in wire.collector.frames] == [100.0] * 3, (
        "repeating it took time, not the way"
    )
    statistics = wire.receiver.statistics("0")
    assert (statistics.recovered_packets, statistics.lost_packets, statistics.nacked_packets) == (1, 0, 1)
    assert wire.wait(5.0) == []


def test_a_packet_repeated_as_it_was_fills_the_gap_too() -> None:
    wire = Wire(video(rtx_ssrc=None))
    wire.send(1, KEY, 0)
    wire.send(3, DELTA, 6000)
    wire.feedback()
    wire.send(2, DELTA, 3000)
    assert [timestamp for timestamp, _ in wire.delivered] == [0, 3000, 6000]
    assert wire.receiver.statistics("0").recovered_packets == 1


def test_reordered_packets_are_put_in_order_without_asking_where_time_allows() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    wire.send(3, DELTA, 6000)
    wire.send(2, DELTA, 3000)
    assert [timestamp for timestamp, _ in wire.delivered] == [0, 3000, 6000]
    assert wire.feedback() == []
    assert wire.receiver.statistics("0").recovered_packets == 0


def test_a_picture_that_stays_incomplete_freezes_the_video_until_a_key_frame() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    wire.send(2, DELTA, 3000, marker=False)
    wire.send(4, b"\x00end", 3000)
    wire.send(5, DELTA, 6000)
    asked = wire.wait(1.0)
    assert asked[:-1] == [nack(3)] * (len(asked) - 1)
    assert len(asked) > 4
    assert asked[-1] == PLI
    wire.send(6, DELTA, 9000)
    wire.send(7, KEY, 12_000)
    wire.send(8, DELTA, 15_000)
    assert [timestamp for timestamp, _ in wire.delivered] == [0, 12_000, 15_000]
    assert [frame.lost_packets for frame in wire.collector.frames] == [0, 1, 0]
    assert wire.receiver.statistics("0").dropped_frames == 3


def test_a_gap_ends_in_time_though_nothing_more_comes() -> None:
    wire = Wire(audio())
    sound(wire, 1)
    sound(wire, 3)
    wire.wait(0.99)
    assert sounds_delivered(wire) == [1]
    wire.wait(0.02)
    assert sounds_delivered(wire) == [1, 3]
    assert wire.collector.frames[1].lost_packets == 1


def test_a_key_frame_behind_the_loss_goes_on_without_asking_again() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    wire.send(3, DELTA, 6000)
    wire.send(4, KEY, 9000)
    asked = wire.wait(3.0)
    assert [timestamp for timestamp, _ in wire.delivered] == [0, 9000]
    assert wire.collector.frames[1].lost_packets == 1
    assert PLI not in asked


def test_lost_sound_is_told_with_the_next_packet() -> None:
    wire = Wire(audio())
    for sequence in (1, 2, 5, 6):
        sound(wire, sequence)
    wire.wait(1.0)
    assert sounds_delivered(wire) == [1, 2, 5, 6]
    assert [frame.lost_packets for frame in wire.collector.frames] == [0, 0, 2, 0]


def test_duplicates_are_dropped() -> None:
    wire = Wire(audio())
    for sequence in (1, 1, 2, 4, 4, 3, 3, 2):
        sound(wire, sequence)
    assert sounds_delivered(wire) == [1, 2, 3, 4]
    assert wire.receiver.statistics("1").duplicate_packets == 4


def test_a_packet_that_comes_after_it_was_given_up_is_late_not_used() -> None:
    wire = Wire(audio())
    for sequence in (1, 3):
        sound(wire, sequence)
    wire.wait(1.0)
    sound(wire, 2)
    statistics = wire.receiver.statistics("1")
    assert sounds_delivered(wire) == [1, 3]
    assert (statistics.late_packets, statistics.duplicate_packets, statistics.lost_packets) == (1, 0, 1)


def test_a_stray_packet_from_far_away_changes_nothing() -> None:
    wire = Wire(audio())
    for sequence in (1, 2, 30_000, 3, 20_000, 4):
        sound(wire, sequence)
    assert sounds_delivered(wire) == [1, 2, 3, 4]
    assert wire.feedback() == []


def test_an_outage_is_counted_and_not_asked_for() -> None:
    wire = Wire(audio())
    sound(wire, 1)
    after = FAR + 500
    wire.now += after * 0.02
    for sequence in (after, after + 1):
        sound(wire, sequence)
    assert sounds_delivered(wire) == [1, after, after + 1]
    assert [frame.lost_packets for frame in wire.collector.frames] == [0, after - 2, 0]
    assert wire.collector.frames[1].timestamp == after * 960
    assert not any(isinstance(packet, rtcp.GenericNack) for packet in wire.feedback())
    assert wire.collector.restarts == 0


def test_a_sender_that_begins_anew_is_followed_with_new_time_stamps() -> None:
    wire = Wire(audio())
    for sequence in (1, 2):
        sound(wire, sequence)
    for sequence in (40_000, 40_001, 40_002):
        sound(wire, sequence, timestamp=3_000_000_000 + sequence * 960)
    assert wire.collector.restarts == 1
    assert sounds_delivered(wire) == [1, 2, 40_000, 40_001, 40_002]
    assert [frame.timestamp for frame in wire.collector.frames][2:] == [
        3_000_000_000 + sequence * 960 for sequence in (40_000, 40_001, 40_002)
    ]
    assert wire.receiver.statistics("1").packets == 5


def test_a_flood_behind_a_gap_is_bounded() -> None:
    wire = Wire(audio())
    sound(wire, 1)
    for sequence in range(3, MAX_HELD + 10):
        sound(wire, sequence)
    delivered = sounds_delivered(wire)
    assert delivered[:3] == [1, 3, 4]
    assert delivered == [1, *range(3, MAX_HELD + 10)]


def test_without_nack_a_gap_is_waited_for_only_shortly() -> None:
    wire = Wire(video(feedback=frozenset({"nack pli"})))
    wire.send(1, KEY, 0)
    wire.send(3, KEY, 6000)
    assert wire.wait(0.11) == []
    assert [timestamp for timestamp, _ in wire.delivered] == [0, 6000]


def test_what_is_whole_is_delivered_when_the_track_ends() -> None:
    wire = Wire(audio())
    for sequence in (1, 3, 4):
        sound(wire, sequence)
    wire.receiver.remove_media("1", wire.now)
    assert sounds_delivered(wire) == [1, 3, 4]
    sound(wire, 5)
    assert sounds_delivered(wire) == [1, 3, 4]
    assert wire.receiver.drops == {Drop.UNKNOWN_SSRC: 1}
    wire.wait(5.0)
    assert wire.receiver.next_timer_seconds == inf


def test_rtx_of_padding_is_ignored() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    wire.send(8, b"", 0, number=97, ssrc=0x2222, padding_bytes=200)
    wire.send(2, DELTA, 3000)
    assert len(wire.delivered) == 2
    assert wire.receiver.drops == {}


def test_sound_takes_rtx_where_negotiated() -> None:
    wire = Wire(audio(rtx_ssrc=0x3333))
    sound(wire, 1)
    sound(wire, 3)
    assert wire.feedback() == [nack(2)]
    wire.send(9, b"\x00\x02\xf8" + (2).to_bytes(8, "big"), 1920, marker=False, number=112, ssrc=0x3333)
    assert sounds_delivered(wire) == [1, 2, 3]


def test_payload_types_negotiated_later_are_taken() -> None:
    wire = Wire(audio())
    sound(wire, 1)
    wire.send(2, b"\xf8new", 1920, marker=False, number=63)
    changed = audio()
    codec = changed.payload_types[0].codec
    more = (*changed.payload_types, payload_type(63, codec))
    wire.receiver.add_media(
        type(changed)(mid="1", kind=changed.kind, stream_id="", track_id="", payload_types=more, ssrc=SSRC),
        wire.collector,
        wire.now,
    )
    wire.send(3, b"\xf8newer", 2880, marker=False, number=63)
    assert [frame.data for frame in wire.collector.frames][1:] == [b"\xf8newer"]
    assert wire.collector.restarts == 0
