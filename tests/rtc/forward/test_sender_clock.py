"""Time stamps to the server's clock: late reports, drift, clocks that are set."""

from __future__ import annotations

import itertools
import random

import pytest

from channel_recorder.model import Codec
from channel_recorder.rtc.forward.sender_clock import PublisherClock, StreamClock
from channel_recorder.rtc.wire import rtcp
from tests.rtc.forward.publisher import Publisher, Simulcast, layer
from tests.rtc.forward.stage import CLOCK_OFFSET_SECONDS, Stage, Subscriber
from tests.rtc.forward.wire import OPUS, OUT_SSRC, SSRC, Wire, audio, send_description, video
from tests.rtc.receive.packets import DELTA, KEY
from tests.sim.network import NetworkConditions
from tests.sim.sender import StreamSettings


def test_the_newest_report_counts() -> None:
    clock = StreamClock(90_000)
    clock.add(2**32 - 90_000, 100.0)
    clock.add(0, 101.0002)
    assert clock.ntp_seconds(90_000) == pytest.approx(102.0002)
    assert clock.timestamp_at(102.0002) == 90_000
    assert clock.timestamp_at(100.0002) == 2**32 - 90_000


def test_a_report_that_was_read_late_is_held_to_the_ones_before() -> None:
    clock = StreamClock(48_000)
    for second in range(5):
        clock.add(48_000 * second, 100.0 + second)
    clock.add(48_000 * 5, 105.05)
    assert clock.ntp_seconds(48_000 * 5) == pytest.approx(105.0, abs=0.001)


def test_time_stamps_that_stood_still_are_followed() -> None:
    clock = StreamClock(48_000)
    clock.add(0, 100.0)
    clock.add(48_000, 101.0)
    clock.add(96_000, 132.0)
    assert clock.ntp_seconds(96_000) == 132.0
    clock.add(48_000 * 40, 133.0)  # and ahead again
    assert clock.ntp_seconds(48_000 * 40) == 133.0


def test_overtaken_and_doubled_reports_change_nothing() -> None:
    clock = StreamClock(48_000)
    clock.add(96_000, 102.0)
    clock.add(48_000, 101.05)
    clock.add(96_000, 102.0)
    assert clock.ntp_seconds(96_000) == 102.0


def test_the_least_late_arrival_counts() -> None:
    clock, chance = PublisherClock(), random.Random(1)
    for second in range(120):
        lateness = chance.choice((0.0, 0.01, 0.05, 0.4))
        clock.add(1000.0 + second, 5.0 + second + lateness)
    assert clock.offset_seconds == pytest.approx(-995.0, abs=0.005)


def test_the_offset_glides_and_time_never_runs_backwards() -> None:
    """The first report waited 1.5 s for the connection."""
    clock = PublisherClock()
    clock.add(1000.0, 6.5)
    before = clock.offset_seconds
    for second in range(1, 40):
        clock.add(1000.0 + second, 5.0 + second)
        assert before is not None
        assert clock.offset_seconds is not None
        assert -0.5 < clock.offset_seconds - before <= 0.0
        before = clock.offset_seconds
    assert before == pytest.approx(-995.0, abs=0.005)


def test_a_clock_that_was_set_is_followed_and_one_late_report_is_not() -> None:
    clock = PublisherClock()
    for second in range(10):
        clock.add(1000.0 + second, 5.0 + second)
    clock.add(1010.0, 25.0)
    assert clock.offset_seconds == -995.0
    for second in range(10, 15):
        clock.add(5000.0 + second, 5.0 + second)
    assert clock.offset_seconds == -4995.0


DRIFTS = [(0.0, 0.0), (300.0, 0.0), (-300.0, 0.0), (0.0, 300.0), (0.0, -300.0), (300.0, -300.0)]


def reported_errors(stage: Stage, subscriber: Subscriber, mid: str, delay_seconds: float) -> list[float]:
    """By each report a subscriber got: what the server said when its last picture was taken, less when that was."""
    collector = subscriber.collectors[mid]
    published = {frame.data: frame for stream in stage.publisher.streams for frame in stream.sent}
    errors: list[float] = []
    for timestamp, ntp_seconds, arrival_seconds in collector.reports:
        frames = [frame for frame in collector.frames if frame.arrival_seconds <= arrival_seconds]
        if not frames:
            continue
        frame = frames[-1]
        said_seconds = ntp_seconds - (timestamp - frame.timestamp) / frame.codec.clock_rate_hz
        taken_seconds = published[frame.data].sent_seconds + delay_seconds + CLOCK_OFFSET_SECONDS
        errors.append(said_seconds - taken_seconds)
    return errors


@pytest.mark.parametrize(("rtp_ppm", "wall_ppm"), DRIFTS)
def test_reports_tell_subscribers_the_truth_within_a_millisecond_while_clocks_drift(
    rtp_ppm: float, wall_ppm: float
) -> None:
    """Also while layers are switched. The truth is when a picture was taken, and one way later."""
    layers = tuple(layer(rid, frames=3000, drift_ppm=rtp_ppm, wall_ppm=wall_ppm) for rid in ("q", "h", "f"))
    stage = Stage(Publisher(*layers), [Simulcast(layers).description])
    subscriber = stage.subscriber()
    down = subscriber.subscribe(stage.tracks["0"], "video", 0.0)
    for second in range(5, 100, 5):
        stage.run(float(second))
        down.set_layer(second % 3)
    stage.run(102.0)
    errors = reported_errors(stage, subscriber, "video", delay_seconds=0.02)
    assert len(errors) > 30
    assert max(map(abs, errors)) < 0.001


def test_sound_and_pictures_of_a_publisher_stay_in_step_on_a_network_that_jitters() -> None:
    sound = StreamSettings(
        mid="sound", codec=Codec.OPUS, ssrc=0x50, payload_type=111, rtx=False, interval_seconds=0.02, frames=3000
    )
    pictures = layer("", frames=1800, first_timestamp=77)
    stage = Stage(
        Publisher(sound, pictures),
        [sound.description(), Simulcast((pictures,)).description],
        up=NetworkConditions(delay_seconds=0.03, jitter_seconds=0.1),
    )
    subscriber = stage.subscriber()
    subscriber.subscribe(stage.tracks["sound"], "sound", 0.0)
    subscriber.subscribe(stage.tracks["0"], "video", 0.0)
    stage.run(62.0)
    by_instant = [
        {
            round(report[2], 6): said
            for report, said in zip(
                subscriber.collectors[mid].reports, reported_errors(stage, subscriber, mid, 0.03), strict=False
            )
        }
        for mid in ("sound", "video")
    ]
    apart = [abs(by_instant[0][at] - by_instant[1][at]) for at in by_instant[0] if at in by_instant[1]]
    assert len(apart) > 10
    assert max(apart) < 0.002


def reports(wire: Wire) -> list[rtcp.SenderReport]:
    return [packet for packet in wire.downward() if isinstance(packet, rtcp.SenderReport)]


def test_the_first_report_goes_out_with_the_first_packet_if_the_clock_is_known() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 90_000)
    wire.report(90_000, 5000.0)
    woken: list[float] = []
    wire.downlink.on_wake = lambda: woken.append(wire.downlink.next_timer_seconds)
    wire.subscribe()
    wire.now += 0.5
    wire.send(2, KEY, 90_000 + 45_000)
    assert woken == [0.0]
    (report,) = reports(wire)
    assert (report.ssrc, report.timestamp, report.packet_count) == (OUT_SSRC, 90_000 + 45_000, 1)
    assert report.octet_count == len(KEY)
    assert report.ntp_seconds == pytest.approx(1100.5, abs=1e-6)


def test_reports_come_every_second_and_later_every_three() -> None:
    wire = Wire(audio())
    wire.subscribe(send_description())
    at: list[float] = []
    for tenth in range(300):
        wire.now = 100 + tenth / 10
        wire.send(tenth, b"\xf8", 4800 * tenth, number=OPUS)
        if tenth % 10 == 0:
            wire.report(4800 * tenth, 5000 + tenth / 10)
        if wire.downlink.next_timer_seconds <= wire.now and reports(wire):
            at.append(wire.now - 100)
    pauses = [after - before for before, after in itertools.pairwise(at)]
    assert pauses[:4] == pytest.approx([1.0] * 4, abs=0.11)
    assert pauses[-3:] == pytest.approx([3.0] * 3, abs=0.11)


def test_nothing_is_reported_that_is_not_known_or_not_sent() -> None:
    wire = Wire(video())
    down = wire.subscribe()
    wire.send(1, KEY, 0)
    wire.now += 1.1
    assert reports(wire) == []
    wire.uplink.receive_rtcp(rtcp.SenderReport(ssrc=SSRC, ntp=0, timestamp=5).to_bytes(), wire.now)
    wire.now += 1.1
    assert reports(wire) == []
    wire.report(99_000, 5000.0)
    wire.send(2, DELTA, 99_000)
    wire.now += 1.1
    assert len(reports(wire)) == 1
    down.set_paused(True)
    wire.now += 3.1
    assert reports(wire) == []
