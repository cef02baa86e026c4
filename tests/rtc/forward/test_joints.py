"""Where one layer takes another's place: in the middle of pictures, with packets missing, late or old."""

from __future__ import annotations

import pytest

from channel_recorder.rtc.forward.down_track import ENDING_SECONDS, DownTrack
from channel_recorder.rtc.wire import rtcp
from tests.rtc.forward.test_demultiplexing import named, simulcast
from tests.rtc.forward.test_feedback import requests
from tests.rtc.forward.wire import MIDDLE, Wire
from tests.rtc.receive.packets import DELTA, KEY

LOW, HIGH = 11, 12


def in_the_middle_of_a_picture() -> tuple[Wire, DownTrack]:
    """Numbers 1 and 2 of the low layer went out, the second without the end of its picture."""
    wire = Wire(simulcast())
    down = wire.subscribe()
    wire.send(1, KEY, 0, ssrc=LOW, extensions=named("0", "q"))
    wire.send(2, DELTA, 3000, ssrc=LOW, marker=False)
    assert wire.numbers() == [1, 2]
    return wire, down


def high_key_frame(wire: Wire, sequence: int = 100, timestamp: int = 500) -> None:
    wire.send(sequence, KEY + b"high", timestamp, ssrc=HIGH, extensions=named("0", "f"))


def sent(wire: Wire) -> list[tuple[int, bytes]]:
    return [(packet.sequence, packet.payload) for packet in wire.take()]


def test_the_rest_of_a_picture_goes_out_before_the_new_layer() -> None:
    wire, down = in_the_middle_of_a_picture()
    high_key_frame(wire)
    wire.send(101, DELTA + b"high", 3500, ssrc=HIGH)
    assert wire.take() == []
    assert down.layer == 0
    wire.send(3, MIDDLE, 3000, ssrc=LOW)
    wire.send(4, DELTA, 6000, ssrc=LOW)
    assert sent(wire) == [(3, MIDDLE), (4, KEY + b"high"), (5, DELTA + b"high")]
    assert down.layer == 1


def test_what_is_missing_of_the_last_picture_keeps_its_place() -> None:
    wire, _ = in_the_middle_of_a_picture()
    high_key_frame(wire)
    wire.send(5, DELTA, 6000, ssrc=LOW)
    assert sent(wire) == [(5, KEY + b"high")]
    wire.send(3, MIDDLE, 3000, ssrc=LOW, marker=False)
    wire.send(4, MIDDLE, 3000, ssrc=LOW)
    wire.send(6, DELTA, 9000, ssrc=LOW)
    assert sent(wire) == [(3, MIDDLE), (4, MIDDLE)]


def test_a_picture_that_was_left_out_leaves_padding() -> None:
    """The number was kept for the end of the last picture, but the next one's beginning had it."""
    wire, _ = in_the_middle_of_a_picture()
    high_key_frame(wire)
    wire.send(5, MIDDLE, 6000, ssrc=LOW)
    wire.send(3, MIDDLE, 3000, ssrc=LOW)
    wire.send(4, DELTA, 6000, ssrc=LOW, marker=False)
    key, rest, padding = wire.take()
    assert (key.sequence, rest.sequence, padding.sequence) == (5, 3, 4)
    assert (rest.payload, padding.payload, padding.padding_bytes) == (MIDDLE, b"", 1)


def test_a_picture_whose_end_does_not_come_shows_as_a_gap() -> None:
    wire, _ = in_the_middle_of_a_picture()
    high_key_frame(wire)
    wire.now += ENDING_SECONDS + 0.01
    wire.send(101, DELTA + b"high", 3500, ssrc=HIGH)
    assert sent(wire) == [(4, KEY + b"high"), (5, DELTA + b"high")]
    wire.send(3, MIDDLE, 3000, ssrc=LOW, marker=False)
    assert wire.take() == []


def test_an_end_that_comes_after_all_closes_the_gap() -> None:
    wire, _ = in_the_middle_of_a_picture()
    high_key_frame(wire)
    wire.now += ENDING_SECONDS + 0.01
    wire.send(101, DELTA, 3500, ssrc=HIGH)
    wire.take()
    wire.send(4, DELTA, 6000, ssrc=LOW)
    wire.send(3, MIDDLE, 3000, ssrc=LOW)
    assert sent(wire) == [(3, MIDDLE)]


def test_a_wish_that_is_taken_back_changes_nothing() -> None:
    wire, down = in_the_middle_of_a_picture()
    high_key_frame(wire)
    down.set_layer(0)
    wire.send(3, MIDDLE, 3000, ssrc=LOW)
    wire.send(4, DELTA, 6000, ssrc=LOW)
    wire.send(101, DELTA, 3500, ssrc=HIGH)
    assert sent(wire) == [(3, MIDDLE), (4, DELTA)]


def test_late_packets_of_the_layer_before_find_their_place() -> None:
    wire, _ = in_the_middle_of_a_picture()
    wire.send(5, MIDDLE, 6000, ssrc=LOW)
    high_key_frame(wire)
    wire.send(4, DELTA, 6000, ssrc=LOW, marker=False)
    wire.send(3, MIDDLE, 3000, ssrc=LOW)
    wire.send(6, DELTA, 9000, ssrc=LOW)
    assert sent(wire) == [(5, MIDDLE), (6, KEY + b"high"), (4, DELTA), (3, MIDDLE)]
    wire.ask(rtcp.GenericNack(sender_ssrc=1, media_ssrc=0xA000, sequences=(3,)))
    assert sent(wire) == [(1, b"\x00\x03" + MIDDLE)]


def old_key_frames() -> tuple[Wire, int]:
    """A second of the low layer went out; reports of both layers told how their time stamps lie to each other."""
    wire = Wire(simulcast())
    wire.subscribe()
    wire.send(1, KEY, 0, ssrc=LOW, extensions=named("0", "q"))
    wire.send(99, DELTA, 500, ssrc=HIGH, extensions=named("0", "f"))
    wire.report(0, 5000.0, ssrc=LOW)
    wire.report(500, 5000.0, ssrc=HIGH)
    for picture in range(1, 31):
        wire.wait(1 / 30)
        wire.send(1 + picture, DELTA, 3000 * picture, ssrc=LOW)
    wire.take()
    return wire, 500 + 90_000


def test_a_key_frame_that_is_much_older_than_what_was_sent_is_passed_over_and_asked_for_again() -> None:
    wire, now = old_key_frames()
    high_key_frame(wire, timestamp=now - 18_000)
    assert wire.take() == []
    assert len(requests(wire.wait(0.4))) == 1
    wire.send(32, DELTA, 90_000 + 36_000, ssrc=LOW)
    high_key_frame(wire, 101, now + 36_000)
    assert [(packet.sequence, packet.timestamp) for packet in wire.take()] == [(32, 126_000), (33, 126_001)]


def test_pictures_a_little_older_are_shown_in_passing_until_time_is_caught_up() -> None:
    wire, now = old_key_frames()
    high_key_frame(wire, timestamp=now - 7500)
    for index in range(1, 6):
        wire.send(100 + index, DELTA, now - 7500 + 3000 * index, ssrc=HIGH)
    stamps = [packet.timestamp for packet in wire.take()]
    assert stamps[0] == 90_001
    assert stamps == sorted(set(stamps))
    assert stamps[2] < 90_200
    assert stamps[3:] == [91_500, 94_500, 97_500]


@pytest.mark.parametrize("first", [0xFFFF - 1, 0xFFFF, 0])
def test_joints_hold_around_the_wrap(first: int) -> None:
    wire = Wire(simulcast())
    down = wire.subscribe()
    wire.send(first, KEY, 2**32 - 1000, ssrc=LOW, extensions=named("0", "q"))
    down.set_layer(0)
    for index in range(1, 0x8004):
        wire.send(first + index, DELTA, 2**32 - 1000 + index, ssrc=LOW)
    assert [packet.sequence for packet in wire.take()] == [(first & 0x7FFF) + index & 0xFFFF for index in range(0x8004)]
    down.set_layer(1)
    high_key_frame(wire, first)
    high_key_frame(wire, first + 1, 3500)
    assert [packet.sequence for packet in wire.take()] == [
        (first & 0x7FFF) + 0x8004 + index & 0xFFFF for index in (0, 1)
    ]


def test_a_key_frame_that_is_passed_over_costs_the_old_layer_nothing() -> None:
    wire, now = old_key_frames()
    wire.send(32, DELTA, 93_000, ssrc=LOW, marker=False)
    high_key_frame(wire, timestamp=now - 18_000)
    wire.send(33, DELTA, 96_000, ssrc=LOW)
    wire.send(34, DELTA, 99_000, ssrc=LOW)
    assert wire.numbers() == [32, 33, 34]
