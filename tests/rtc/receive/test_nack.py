import itertools
from math import inf

import pytest

from channel_recorder.rtc.receive.nack import MAX_MISSING, MissingPackets, RoundTrip


def missing_packets(asks: bool = True) -> MissingPackets:
    return MissingPackets(1.0, asks, RoundTrip())


def test_missing_packets_are_asked_for_at_once() -> None:
    missing = missing_packets()
    missing.add(range(10, 13), 5.0)
    assert missing.next_seconds() == 5.0
    assert missing.due(5.0) == [10, 11, 12]
    assert missing.due(5.0) == []


def test_unanswered_requests_are_repeated_every_round_trip_until_given_up() -> None:
    missing = missing_packets()
    missing.add(range(10, 11), 0.0)
    asked: list[float] = []
    while missing.next_seconds() < inf:
        now = missing.next_seconds()
        if not missing.expire(now):
            assert missing.due(now) == [10]
            asked.append(now)
    assert asked
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert asked[-1] < 1.0
    assert len(asked) >= 9
    assert pauses == pytest.approx([0.1] * len(pauses))


def test_a_measured_round_trip_sets_the_pace_of_retries() -> None:
    round_trip = RoundTrip()
    missing = MissingPackets(1.0, True, round_trip)
    for sequence in range(20):
        now = sequence * 1.0
        missing.add(range(sequence, sequence + 1), now)
        missing.due(now)
        assert missing.received(sequence, now + 0.04)
    assert round_trip.measured_seconds == pytest.approx(0.04)
    missing.add(range(50, 51), 100.0)
    missing.due(100.0)
    assert 100.04 <= missing.next_seconds() <= 100.05


def test_requests_that_were_lost_do_not_make_the_round_trip_longer() -> None:
    """Else retries would become rare just where many are needed."""
    round_trip = RoundTrip()
    for number in range(200):
        tries = 1 + number % 4
        round_trip.answered(0.04 + 0.06 * (tries - 1), tries)
    assert round_trip.measured_seconds == pytest.approx(0.04)


def test_a_way_that_has_become_longer_is_noticed_though_every_answer_comes_after_a_retry() -> None:
    round_trip = RoundTrip()
    for _ in range(20):
        round_trip.answered(0.04, 1)
    for number in range(400):
        round_trip.answered(0.5 + number % 5 * 0.1, 4)
    assert round_trip.measured_seconds == pytest.approx(0.5, abs=0.05)


def test_a_packet_that_was_only_late_does_not_count_as_recovered() -> None:
    round_trip = RoundTrip()
    missing = MissingPackets(1.0, True, round_trip)
    missing.add(range(1, 2), 0.0)
    assert not missing.received(1, 0.01)
    assert round_trip.measured_seconds is None
    assert missing.next_seconds() == inf


def test_without_nack_nothing_is_asked_for_but_waited_for() -> None:
    missing = missing_packets(asks=False)
    missing.add(range(1, 3), 0.0)
    assert missing.due(0.5) == []
    assert missing.next_seconds() == 1.0
    assert missing.expire(1.0)
    assert len(missing) == 0


def test_an_outage_is_no_loss_to_be_repaired() -> None:
    missing = missing_packets()
    missing.add(range(10, 11), 0.0)
    missing.add(range(20, 20 + MAX_MISSING + 1), 0.1)
    assert len(missing) == 0


def test_the_oldest_are_forgotten_when_too_many_are_missing() -> None:
    missing = missing_packets()
    missing.add(range(MAX_MISSING), 0.0)
    missing.add(range(1000, 1010), 0.1)
    assert len(missing) == MAX_MISSING
    assert 9 not in missing
    assert 10 in missing
    assert 1009 in missing


def test_gaps_end_in_the_order_they_began() -> None:
    missing = missing_packets()
    missing.add(range(1, 2), 0.0)
    missing.add(range(5, 6), 0.4)
    assert missing.expire(1.0)
    assert 1 not in missing
    assert 5 in missing
    assert not missing.expire(1.3)
    assert missing.expire(1.4)
