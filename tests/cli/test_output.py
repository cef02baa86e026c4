"""A reader that is slow, or goes away, never holds up a recording."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest

from channel_recorder.callbacks import CallbackThread, InlineCallbacks
from channel_recorder.cli.output import LogToOutput, Output, SteadyStream

ROOT = Path(__file__).parents[2]
RECORDING = """
import sys
from channel_recorder.cli import main, record
from channel_recorder.handler import LeavePath
from tests.cli.fake_engine import FakeEngine

record.FINISH_OUTPUT_SECONDS = 0.2
flood = lambda engine: [engine.tell("on_user_info_updated", 7, "x" * 1000) for _ in range(500)]
record.make_engine = FakeEngine(steps=[flood], leave_path=LeavePath.TIMER).plug
sys.exit(main(["record", "room", "--server-url", "ws://h", "--app-id", "k", *sys.argv[1:]]))
"""


@pytest.fixture
def broken_pipe():
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as stream:
        yield stream


def test_what_nobody_reads_any_more_is_thrown_away(broken_pipe: TextIO) -> None:
    stream = SteadyStream(broken_pipe)
    for _ in range(3):
        stream.write("line\n")
        stream.flush()


def test_a_stream_closed_from_the_start_takes_everything() -> None:
    stream = SteadyStream(None)
    assert stream.write("line\n") == 5
    assert not stream.isatty()


def test_names_a_terminal_cannot_show_are_replaced() -> None:
    raw = io.BytesIO()
    stream = SteadyStream(io.TextIOWrapper(raw, encoding="ascii"))
    stream.write("Zoë\n")
    stream.flush()
    assert raw.getvalue() == b"Zo?\n"


def test_first_words_come_first_and_nothing_is_lost() -> None:
    told: list[str] = []
    output = Output(InlineCallbacks())
    output.call(told.append, "early")
    output.begin(told.append, "first")
    output.call(told.append, "late")
    assert told == ["first", "early", "late"]


def test_what_was_held_back_can_be_forgotten() -> None:
    told: list[str] = []
    output = Output(InlineCallbacks())
    output.call(told.append, "early")
    output.discard()
    output.call(told.append, "late")
    assert told == ["late"]


def test_finish_waits_for_the_last_word() -> None:
    told: list[int] = []
    output = Output(CallbackThread("output"))
    output.begin(told.append, 0)
    for number in range(1, 1000):
        output.call(told.append, number)
    assert output.finish(30.0)
    assert told == list(range(1000))


def test_finish_gives_up_on_a_reader_that_does_not_read() -> None:
    class Stuck:
        def call(self, callback: Callable[..., None], *arguments: object) -> None:
            pass

        def close(self) -> None:
            pass

    assert not Output(Stuck()).finish(0.0)


def test_log_records_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(InlineCallbacks())
    output.discard()
    LogToOutput(output).handle(logging.LogRecord("a.b", logging.WARNING, "", 0, "it is %s", ("slow",), None))
    assert capsys.readouterr().err.endswith(" WARNING a.b: it is slow\n")


def recording(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", RECORDING, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_reader_that_goes_away_does_not_end_the_recording(form: tuple[str, ...]) -> None:
    with recording(*form) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr is not None and process.stderr.read() == b""


@pytest.mark.parametrize("form", [("--json",)])
def test_a_reader_that_never_reads_does_not_keep_the_process(form: tuple[str, ...]) -> None:
    with recording(*form) as process:
        assert process.wait(60) == 0
        assert process.stdout is not None
        assert process.stdout.read().startswith(b'{"event": "joined", "storage_dir": ')


@pytest.mark.parametrize("module", ["channel_recorder", "channel_recorder.cli"])
def test_the_package_and_its_command_line_run_as_modules(module: str) -> None:
    from channel_recorder import __version__

    finished = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True)
    assert finished.stdout == f"{__version__}\n"


def test_the_help_needs_no_media_stack() -> None:
    code = "import sys; from channel_recorder.cli import main; main(['record', '--help']); print(*sys.modules)"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(finished.stdout.splitlines()[-1].split())
    assert "channel_recorder.cli.record" in loaded
    assert not loaded & {"av", "aiortc", "aioice", "channel_recorder.aio"}
