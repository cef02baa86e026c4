from math import inf

from channel_recorder.rtc.receive.key_frames import MAX_RETRY_SECONDS, MIN_INTERVAL_SECONDS, KeyFrameRequests


def test_nothing_is_asked_for_unless_wanted() -> None:
    requests = KeyFrameRequests()
    assert requests.next_seconds == inf
    assert not requests.due(100.0)


def test_requests_back_off_while_no_key_frame_comes() -> None:
    requests = KeyFrameRequests()
    requests.want(10.0)
    asked: list[float] = []
    while len(asked) < 8:
        now = requests.next_seconds
        assert requests.due(now)
        assert not requests.due(now)
        requests.want(now)  # every picture that cannot be decoded says so again
        asked.append(now - 10.0)
    assert asked == [0.0, 0.5, 1.5, 3.5, 7.5, 12.5, 17.5, 22.5]
    assert asked[-1] - asked[-2] == MAX_RETRY_SECONDS
    assert requests.commands == 1


def test_a_key_frame_ends_the_asking_and_the_next_loss_asks_at_once() -> None:
    requests = KeyFrameRequests()
    requests.want(0.0)
    assert requests.due(0.0)
    requests.arrived()
    assert requests.next_seconds == inf
    requests.want(7.0)
    assert requests.due(7.0)
    assert requests.commands == 2


def test_losses_in_quick_succession_do_not_flood_the_sender() -> None:
    requests = KeyFrameRequests()
    requests.want(0.0)
    assert requests.due(0.0)
    requests.arrived()
    requests.want(0.1)
    assert requests.next_seconds == MIN_INTERVAL_SECONDS
