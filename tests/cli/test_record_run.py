"""From the join to the exit status: how a recording ends, and what signals do to it."""

from __future__ import annotations

import json
import os
import signal

import pytest

from channel_recorder.cli.report import outcome_of_leave
from channel_recorder.errors import (
    ConfigError,
    ErrorCode,
    RecorderError,
    ServerUnreachableError,
    StateError,
    StorageError,
    TokenError,
    UidInUseError,
)
from channel_recorder.handler import ConnectionChangedReason, ConnectionState, LeavePath, RecordedFile
from channel_recorder.model import User
from tests.cli.conftest import CONNECTION, Run
from tests.cli.fake_engine import FakeEngine

RECORD = ("record", "room", "--uid", "1001", *CONNECTION)


def send(number: signal.Signals):
    return lambda engine: os.kill(os.getpid(), number)


@pytest.mark.parametrize("path", [LeavePath.NOBODY_LEFT, LeavePath.TIMER, LeavePath.CHANNEL_ENDED])
def test_a_recording_that_is_over_exits_0(run: Run, path: LeavePath) -> None:
    engine = FakeEngine(leave_path=path)
    finished = run(RECORD, engine)
    assert (finished.status, finished.err) == (0, "")
    assert [call[0] for call in engine.calls] == ["log_level", "join", "release"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (LeavePath.CONNECTION_FAILED, "the connection was lost and could not be regained"),
        (LeavePath.STORAGE_FAILED, "the recordings folder is full or gone"),
        (LeavePath.FAILED_INIT, "the recording could not be started"),
    ],
)
def test_a_recording_that_broke_off_exits_1_and_says_why(run: Run, path: LeavePath, sentence: str) -> None:
    finished = run(RECORD, FakeEngine(leave_path=path))
    assert (finished.status, finished.err) == (1, f"channel-recorder: {sentence}\n")


def test_two_causes_are_both_told() -> None:
    outcome = outcome_of_leave(LeavePath.SIGNAL | LeavePath.STORAGE_FAILED)
    assert outcome.sentence == "stopped by a signal and the recordings folder is full or gone"
    assert (outcome.exit_code, outcome.reason) == (1, "signal|storage_failed")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ServerUnreachableError("nothing answers at ws://127.0.0.1:7880"), 1),
        (TokenError("the access token is expired", code=ErrorCode.TOKEN_EXPIRED), 1),
        (UidInUseError("uid 1001 is taken"), 1),
        (StorageError("/recordings is not writable"), 1),
        (ConfigError("no such thing"), 2),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_failed_join_is_one_sentence_and_an_exit_status(
    run: Run, error: RecorderError, status: int, form: tuple[str, ...]
) -> None:
    engine = FakeEngine(join_error=error)
    finished = run([*RECORD, *form], engine)
    assert (finished.status, finished.err) == (status, f"channel-recorder: {error}\n")
    assert engine.calls[-1] == ("release",)
    if not form:
        assert finished.out == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP])
def test_a_signal_leaves_and_exits_0(run: Run, number: signal.Signals) -> None:
    engine = FakeEngine(steps=[send(number)])
    finished = run([*RECORD, "--json"], engine)
    assert (finished.status, finished.err) == (0, "")
    assert engine.calls[2:] == [("leave", LeavePath.SIGNAL), ("release",)]
    events = [json.loads(line) for line in finished.out.splitlines()]
    assert [event["event"] for event in events] == ["joined", "leaving", "left"]
    assert (events[1]["signal"], events[2]["reason"], events[2]["exit_code"]) == (number.name, "signal", 0)


def test_a_second_signal_changes_nothing(run: Run) -> None:
    engine = FakeEngine(steps=[send(signal.SIGINT), send(signal.SIGINT), send(signal.SIGTERM)])
    finished = run(RECORD, engine)
    assert finished.status == 0
    assert [call for call in engine.calls if call[0] == "leave"] == [("leave", LeavePath.SIGNAL)]
    assert finished.out.count("SIGINT: leaving, finishing the files") == 1
    assert "SIGINT: still finishing the files, nothing will be lost" in finished.out
    assert "SIGTERM: still finishing the files, nothing will be lost" in finished.out


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_signal_during_the_join_gives_up_joining(run: Run, form: tuple[str, ...]) -> None:
    engine = FakeEngine(before_join=[send(signal.SIGTERM)], join_hangs=True)
    finished = run([*RECORD, *form], engine)
    assert (finished.status, finished.err) == (0, "")
    assert engine.calls[-1] == ("release",)
    assert ("leave", LeavePath.SIGNAL) not in engine.calls
    assert "stopped by a signal" in finished.out


def test_a_signal_that_comes_as_the_join_succeeds_still_leaves(run: Run) -> None:
    engine = FakeEngine(before_join=[send(signal.SIGTERM)])
    finished = run([*RECORD, "--json"], engine)
    assert finished.status == 0
    assert json.loads(finished.out.splitlines()[-1])["reason"] == "signal"


def test_files_that_cannot_be_finished_exit_1(run: Run) -> None:
    engine = FakeEngine(steps=[send(signal.SIGTERM)], leave_error=StorageError("the disk is full"))
    finished = run(RECORD, engine)
    assert (finished.status, finished.err) == (1, "channel-recorder: the disk is full\n")


def test_signals_start_and_pause_in_manual_mode(run: Run) -> None:
    engine = FakeEngine(
        steps=[send(signal.SIGUSR1), send(signal.SIGUSR2), send(signal.SIGUSR1), send(signal.SIGTERM)],
    )
    finished = run([*RECORD, "--trigger-mode", "1"], engine)
    assert finished.status == 0
    services = [call[0] for call in engine.calls if "service" in str(call[0])]
    assert services == ["start_service", "stop_service", "start_service"]
    assert f"kill -USR1 {os.getpid()}" in finished.out
    notices = [line.split()[-1] for line in finished.out.splitlines() if line.endswith((" recording", " paused"))]
    assert notices == ["recording", "paused", "recording"]


def test_start_and_pause_signals_in_automatic_mode_are_ignored_and_said_so(run: Run) -> None:
    error = StateError("start_service needs trigger_mode 1")
    engine = FakeEngine(steps=[send(signal.SIGUSR1)], service_error=error, leave_path=LeavePath.TIMER)
    finished = run(RECORD, engine)
    assert finished.status == 0
    assert "signal SIGUSR1 ignored: start_service needs trigger_mode 1" in finished.out


def test_the_signals_mean_what_they_did_before_once_it_is_over(run: Run) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    run(RECORD, FakeEngine(leave_path=LeavePath.TIMER))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == before


def test_joined_is_told_first_whatever_the_engine_says_during_the_join(run: Run) -> None:
    def connecting(engine: FakeEngine) -> None:
        engine.tell("on_connection_state_changed", ConnectionState.CONNECTING, ConnectionChangedReason.CONNECTING)

    finished = run([*RECORD, "--json"], FakeEngine(before_join=[connecting], leave_path=LeavePath.TIMER))
    events = [json.loads(line)["event"] for line in finished.out.splitlines()]
    assert events == ["joined", "connection_state", "left"]


def test_long_file_names_stay_in_one_piece_without_a_terminal(run: Run) -> None:
    name = "4294967295_20261124120001000_screen.webm"

    def close_file(engine: FakeEngine) -> None:
        engine.tell(
            "on_file_closed",
            RecordedFile(
                path=engine.storage_dir / name,
                user=User(uid=2**32 - 1, account="somebody.with.a.long.account@example.org"),
                source="screen_share",
                start_seconds=0.0,
                duration_seconds=61.0,
                bytes=10**9,
                codecs=("vp9", "opus"),
            ),
        )

    finished = run(RECORD, FakeEngine(steps=[close_file], leave_path=LeavePath.TIMER))
    row = finished.out.splitlines()[-2].split()
    assert row == [name, "4294967295", "screen_share", "1:01", "1.0", "GB", "vp9", "+", "opus"]
