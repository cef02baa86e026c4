from channel_recorder.recording.outage import Outage, OutageLimits, OutageStage


def test_stages_are_told_once_and_in_order() -> None:
    outage = Outage(100.0, OutageLimits())
    assert outage.stages_reached(103.9) == []
    assert outage.stages_reached(104.0) == [OutageStage.INTERRUPTED]
    assert outage.stages_reached(104.1) == []
    assert outage.next_stage_seconds() == 110.0
    assert outage.stages_reached(1300.0) == [OutageStage.LOST, OutageStage.FAILED]
    assert outage.next_stage_seconds() is None


def test_retries_back_off_up_to_the_longest_pause() -> None:
    outage = Outage(0.0, OutageLimits(first_retry_seconds=0.5, longest_retry_seconds=3.0))
    assert [outage.next_retry_delay() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_connection_that_does_not_last_is_tried_ever_less_often() -> None:
    outage = Outage(0.0, OutageLimits(first_retry_seconds=0.5, longest_retry_seconds=3.0, stable_seconds=10.0))
    delays: list[float] = []
    for lost_at in (0.0, 5.0, 14.9, 20.0):
        outage = outage.lost_again(lost_at)
        delays.append(outage.next_retry_delay())
        outage.regained(lost_at + 1.0)
    assert delays == [0.5, 1.0, 2.0, 3.0]
    assert outage.lost_again(30.9).next_retry_delay() == 3.0
    outage.regained(31.0)
    assert outage.lost_again(41.0).next_retry_delay() == 0.5


def test_stages_are_counted_from_each_loss() -> None:
    outage = Outage(0.0, OutageLimits())
    outage.stages_reached(11.0)
    outage.regained(12.0)
    again = outage.lost_again(13.0)
    assert again.stages_reached(16.9) == []
    assert again.stages_reached(17.0) == [OutageStage.INTERRUPTED]
