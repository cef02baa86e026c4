from collections.abc import Iterable
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.rtc.receive.transport_cc import MAX_PACKETS, TransportArrivals
from channel_recorder.rtc.wire import rtcp
from channel_recorder.rtc.wire.transport_feedback import TransportFeedback


def arrivals_told(reports: Iterable[TransportFeedback]) -> dict[int, float | None]:
    """16-bit number to arrival in seconds, or None for lost, as the sender reads it."""
    told: dict[int, float | None] = {}
    for report in reports:
        (read,) = rtcp.parse(report.to_bytes())
        assert isinstance(read, TransportFeedback)
        ticks = read.reference_time * 256
        for offset, delta in enumerate(read.deltas):
            ticks += delta or 0
            told[read.base_sequence + offset & 0xFFFF] = None if delta is None else ticks / 4000
    return told


def test_arrivals_and_losses_are_told_across_the_wrap() -> None:
    arrivals = TransportArrivals()
    for sequence, now in ((65_534, 8.0), (65_535, 8.01), (1, 8.02), (2, 8.025)):
        arrivals.record(sequence, now)
    assert arrivals.next_seconds == 8.1
    assert arrivals.feedback(1, 2, 8.05) == []
    told = arrivals_told(arrivals.feedback(1, 2, 8.1))
    assert told == {65_534: 8.0, 65_535: 8.01, 0: None, 1: 8.02, 2: 8.025}
    assert arrivals.next_seconds == inf
    assert arrivals.feedback(1, 2, 9.0) == []


def test_losses_between_two_feedbacks_are_told_in_the_second() -> None:
    arrivals = TransportArrivals()
    arrivals.record(10, 1.0)
    arrivals.feedback(1, 2, 1.1)
    arrivals.record(13, 1.2)
    assert arrivals_told(arrivals.feedback(1, 2, 1.3)) == {11: None, 12: None, 13: 1.2}


def test_a_straggler_is_told_together_with_what_came_before_it() -> None:
    arrivals = TransportArrivals()
    arrivals.record(10, 1.0)
    arrivals.record(12, 1.01)
    arrivals.feedback(1, 2, 1.1)
    arrivals.record(11, 1.15)
    assert arrivals_told(arrivals.feedback(1, 2, 1.25)) == {11: 1.15, 12: 1.01}


def test_feedback_is_numbered() -> None:
    arrivals = TransportArrivals()
    counts: list[int] = []
    for sequence in range(258):
        arrivals.record(sequence, float(sequence))
        counts += [report.feedback_count for report in arrivals.feedback(1, 2, sequence + 0.5)]
    assert counts == [*range(256), 0, 1]


def test_a_flood_is_told_in_several_reports_that_fit_a_datagram() -> None:
    arrivals = TransportArrivals()
    for sequence in range(3 * MAX_PACKETS):
        arrivals.record(sequence, 1.0 + sequence * 1e-5)
    reports = arrivals.feedback(1, 2, 1.1)
    assert len(reports) == 3
    assert all(len(report.to_bytes()) < 1200 for report in reports)
    assert list(arrivals_told(reports)) == list(range(3 * MAX_PACKETS))


def test_a_pause_too_long_for_a_delta_begins_another_report() -> None:
    arrivals = TransportArrivals()
    arrivals.record(1, 1.0)
    arrivals.record(3, 20.0)
    assert arrivals_told(arrivals.feedback(1, 2, 20.1)) == {1: 1.0, 2: None, 3: 20.0}


def test_a_sender_that_starts_anew_is_followed() -> None:
    arrivals = TransportArrivals()
    arrivals.record(1, 1.0)
    arrivals.feedback(1, 2, 1.1)
    arrivals.record(30_000, 2.0)
    assert arrivals_told(arrivals.feedback(1, 2, 2.1)) == {30_000: 2.0}


@given(
    st.integers(0, 2**16 - 1),
    st.lists(st.tuples(st.integers(-5, 30), st.floats(0, 0.3)), min_size=1, max_size=150),
)
@settings(deadline=None)
def test_whatever_comes_is_told_at_least_once_and_rightly(start: int, steps: list[tuple[int, float]]) -> None:
    arrivals = TransportArrivals()
    sequence, now = start, 1.0
    came: dict[int, float] = {}
    told: dict[int, float | None] = {}
    for step, pause in steps:
        sequence, now = sequence + step, now + pause
        told |= {
            n: at for n, at in arrivals_told(arrivals.feedback(1, 2, now)).items() if at is not None or n not in told
        }
        arrivals.record(sequence & 0xFFFF, now)
        came.setdefault(sequence & 0xFFFF, now)
    told |= {n: at for n, at in arrivals_told(arrivals.feedback(1, 2, now + 1)).items() if at is not None}
    for number, at in came.items():
        said = told[number]
        assert said is not None
        # A number that came again long after its report counts as new.
        assert said == pytest.approx(at, abs=0.000_126) or said > at
