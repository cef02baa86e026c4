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
