"""Packets that a subscriber misses, and what it says of its reception."""

from __future__ import annotations

import pytest

from channel_recorder.rtc.forward.history import MAX_AGE_SECONDS, MAX_REPEATS, VIDEO_PACKETS
from channel_recorder.rtc.wire import rtcp
from tests.rtc.forward.wire import (
    OPUS,
    OUT_OPUS,
    OUT_RTX_SSRC,
    OUT_SSRC,
    OUT_VP8,
    OUT_VP8_RTX,
    Wire,
    audio,
    send_description,
    video,
)
from tests.rtc.receive.packets import DELTA, KEY


def begun(rtx: bool = True) -> Wire:
    wire = Wire(video())
    wire.subscribe(send_description(rtx=rtx))
    wire.send(1, KEY, 0)
    wire.send(2, DELTA, 3000)
    wire.take()
    return wire


def test_a_missing_packet_is_repeated_through_rtx() -> None:
    wire = begun()
    wire.nack(2, 1)
    second, first = wire.take()
    assert (second.ssrc, second.payload_type, second.timestamp, second.marker) == (
        OUT_RTX_SSRC,
        OUT_VP8_RTX,
        3000,
        True,
    )
    assert (second.payload, first.payload) == (b"\x00\x02" + DELTA, b"\x00\x01" + KEY)
    assert first.sequence == second.sequence + 1


def test_without_rtx_the_same_packet_comes_again() -> None:
    wire = begun(rtx=False)
    wire.nack(2)
    (again,) = wire.take()
    assert (again.ssrc, again.payload_type, again.sequence, again.payload) == (OUT_SSRC, OUT_VP8, 2, DELTA)


def test_sound_is_repeated_too() -> None:
    wire = Wire(audio())
    wire.subscribe(send_description(rtx=False))
    wire.send(1, b"\xf8sound", 0, number=OPUS)
    wire.nack(1)
    assert [(packet.payload_type, packet.payload) for packet in wire.take()] == [(OUT_OPUS, b"\xf8sound")] * 2


def test_each_number_is_repeated_once_in_a_round_trip_and_not_without_end() -> None:
    wire = begun()
    wire.nack(2, 2, 2)
    wire.nack(2)
    assert len(wire.take()) == 1
    for _ in range(100):
        wire.now += 0.012
        wire.nack(2)
    assert len(wire.take()) == MAX_REPEATS - 1


def test_the_measured_round_trip_is_kept_to() -> None:
    wire = begun()
    wire.report(3000, 5000.0)
    wire.now += 1.0
    report = next(packet for packet in wire.downward() if isinstance(packet, rtcp.SenderReport))
    wire.now += 0.2
    block = rtcp.ReportBlock(
        ssrc=OUT_SSRC,
        fraction_lost=64,
        packets_lost=1,
        highest_sequence=2,
        jitter_ticks=0,
        last_report=report.ntp >> 16 & 0xFFFFFFFF,
        delay_since_last_report=65_536 // 20,
    )
    assert wire.downlink.round_trip_seconds is None
    assert wire.downlink.fraction_lost() is None
    wire.ask(rtcp.ReceiverReport(ssrc=1, reports=(block,)))
    assert wire.downlink.round_trip_seconds == pytest.approx(0.15, abs=0.001)
    assert wire.downlink.fraction_lost() == 0.25
    wire.now -= 1.0  # so that the history is young enough
    for _ in range(10):
        wire.now += 0.06
        wire.nack(2)
    assert len(wire.take()) == 4


def test_impossible_round_trips_are_not_believed() -> None:
    wire = begun()
    for last_report, delay in ((1, 0), (0xFFFFFFFF, 0xFFFFFFFF)):
        block = rtcp.ReportBlock(
            ssrc=OUT_SSRC,
            fraction_lost=0,
            packets_lost=0,
            highest_sequence=2,
            jitter_ticks=0,
            last_report=last_report,
            delay_since_last_report=delay,
        )
        wire.ask(rtcp.ReceiverReport(ssrc=1, reports=(block,)))
    assert wire.downlink.round_trip_seconds is None


def test_old_packets_are_not_repeated_and_not_kept() -> None:
    wire = begun()
    wire.now += MAX_AGE_SECONDS + 0.1
    wire.nack(1, 2)
    assert wire.take() == []
    wire.downward()
    down = next(iter(wire.downlink._tracks.values()))
    slots = down._continuity.history.slots
    assert [slot[0] for slot in slots if slot is not None] == [2]


def test_a_slow_track_keeps_no_more_than_seconds() -> None:
    wire = Wire(video())
    down = wire.subscribe()
    wire.send(0, KEY, 0)
    for sequence in range(1, 600):
        wire.now += 0.1
        wire.send(sequence, DELTA, 9000 * sequence)
        if wire.downlink.next_timer_seconds <= wire.now:
            wire.downward()
    kept = [slot for slot in down._continuity.history.slots if slot is not None]
    assert 15 <= len(kept) <= 50
    wire.take()
    wire.nack(598)
    assert len(wire.take()) == 1


def test_what_is_kept_is_bounded_and_shared() -> None:
    wire = Wire(video())
    downs = [wire.subscribe(send_description(ssrc=0xC000 + 2 * index)) for index in range(3)]
    wire.send(0, KEY, 0)
    for sequence in range(1, 5000):
        wire.send(sequence, DELTA + bytes(1000), 3000)
    kept = [[slot for slot in down._continuity.history.slots if slot is not None] for down in downs]
    assert [len(slots) for slots in kept] == [VIDEO_PACKETS] * 3
    assert len({id(slot[3]) for slots in kept for slot in slots}) == VIDEO_PACKETS
    wire.take()
    wire.nack(4999 - VIDEO_PACKETS, 5000, 6000, ssrc=0xC000)
    assert wire.take() == []
    wire.nack(5000 - VIDEO_PACKETS, ssrc=0xC000)
    assert len(wire.take()) == 1


def test_numbers_of_nobodys_are_not_answered() -> None:
    wire = begun()
    wire.nack(1, 2, ssrc=0x4444)
    wire.nack(3, 4, 65_535, 30_000)
    assert wire.take() == []
    down = wire.subscribe(send_description(ssrc=0xC000))
    wire.nack(1, ssrc=0xC000)
    down.set_paused(True)
    wire.nack(1, ssrc=0xC000)
    assert wire.take() == []
