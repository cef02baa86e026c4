import logging
import threading

import pytest

from channel_recorder.callbacks import CallbackThread, InlineCallbacks


def test_callbacks_run_in_order_on_one_thread_of_their_own() -> None:
    runner = CallbackThread("handler")
    seen: list[tuple[int, bool]] = []
    for number in range(100):
        runner.call(lambda n: seen.append((n, runner.is_current())), number)
    runner.close()
    runner.join()
    assert seen == [(number, True) for number in range(100)]
    assert not runner.is_current()


@pytest.mark.parametrize("threaded", [True, False])
def test_a_callback_that_raises_is_logged_and_the_next_one_runs(
    threaded: bool, caplog: pytest.LogCaptureFixture
) -> None:
    runner = CallbackThread("handler") if threaded else InlineCallbacks()
    done = threading.Event()

    def fail() -> None:
        raise RuntimeError("user's bug")

    with caplog.at_level(logging.ERROR):
        runner.call(fail)
        runner.call(done.set)
        runner.close()
        if isinstance(runner, CallbackThread):
            runner.join()
    assert done.is_set()
    assert "user's bug" in caplog.text
