"""What a person reads while a recording runs, and at its end."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from channel_recorder.cli.board import Board
from channel_recorder.cli.human import HumanReport
from channel_recorder.cli.report import JoinedFacts, outcome_of_leave
from channel_recorder.cli.tables import live_view, status_line
from channel_recorder.errors import ErrorCode, StatusCode, WarningCode
from channel_recorder.handler import (
    ConnectionChangedReason,
    ConnectionState,
    LeavePath,
    OfflineReason,
    RecordedFile,
    RecordingStats,
    RemoteStreamState,
    RemoteStreamStateReason,
    UserJoinInfo,
)
from channel_recorder.model import User

DIRECTORY = Path("/rec/20261124/room_120000_000000")
STATS = RecordingStats(
    duration_seconds=2.0,
    received_bytes=1000,
    received_kbps=1234,
    received_audio_kbps=34,
    received_video_kbps=1200,
    written_bytes=12_345_678,
    lost_packets=0,
    user_count=2,
    open_files=1,
    dropped_frames=0,
    cpu_percent=1.5,
)
CAMERA = RecordedFile(
    path=DIRECTORY / "7_20261124120001000.webm",
    user=User(uid=7, account="7"),
    source="camera",
    start_seconds=1.0,
    duration_seconds=3723.4,
    bytes=1_234_567,
    codecs=("vp8", "opus"),
)


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def report(stream: io.StringIO, clock: Clock) -> HumanReport:
    return HumanReport(Console(file=stream, width=120, highlight=False), clock)


def facts(**changes: object) -> JoinedFacts:
    usual = JoinedFacts(
        storage_dir=DIRECTORY,
        channel="room",
        user=User(uid=1001, account="1001"),
        chosen_uid=False,
        manual=False,
        idle_limit_seconds=300,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def join_user(report: HumanReport, uid: int, account: str | None = None, name: str = "") -> None:
    report.on_user_joined(uid, UserJoinInfo(storage_dir=DIRECTORY, account=account or str(uid), name=name))


def rendered(view: RenderableType) -> str:
    stream = io.StringIO()
    Console(file=stream, width=100).print(view)
    return stream.getvalue()


def test_the_first_lines_say_where_as_whom_and_how_it_ends(report: HumanReport, stream: io.StringIO) -> None:
    report.joined(facts())
    assert stream.getvalue() == (
        f"Joined room as uid 1001.\nRecording into {DIRECTORY}\nCtrl-C ends it; so do 300 seconds without anybody.\n"
    )


@pytest.mark.parametrize(
    ("changes", "who"),
    [
        ({"chosen_uid": True}, "uid 1001 (drawn at random: give --uid for one of your own)"),
        ({"user": User(uid=2**31 + 5, account="recorder")}, "recorder (uid 2147483653)"),
    ],
)
def test_a_uid_nobody_chose_is_told(
    report: HumanReport, stream: io.StringIO, changes: dict[str, object], who: str
) -> None:
    report.joined(facts(**changes))
    assert stream.getvalue().splitlines()[0] == f"Joined room as {who}."


def test_the_whole_story_of_a_recording(report: HumanReport, stream: io.StringIO, clock: Clock) -> None:
    def after(seconds: float, callback: Callable[..., None], *arguments: object) -> None:
        clock.seconds += seconds
        callback(*arguments)

    report.joined(facts())
    after(1, join_user, report, 7, "7", "Alice")
    after(0.5, report.on_file_created, CAMERA.path, CAMERA.user)
    after(60, report.on_connection_state_changed, ConnectionState.RECONNECTING, ConnectionChangedReason.INTERRUPTED)
    after(4, report.on_connection_interrupted)
    after(6, report.on_connection_lost)
    after(2, report.on_rejoin_channel_success, "room", 1001)
    after(0, report.on_warning, WarningCode.VIDEO_DROPPED_BY_OVERLOAD, "30 frames of user 7 were left out")
    after(0, report.on_error, ErrorCode.GENERIC, StatusCode.FROM_ENGINE, "the disk is slow")
    after(3600, report.on_user_offline, 7, OfflineReason.DROPPED)
    after(1, report.leaving, "SIGTERM", False)
    after(0, report.leaving, "SIGINT", True)
    after(0, report.on_file_closed, CAMERA)
    after(0, report.left, outcome_of_leave(LeavePath.SIGNAL))
    lines = [line.rstrip() for line in stream.getvalue().splitlines()[3:]]
    assert lines[:13] == [
        "   0:01  user 7 (Alice) joined",
        "   0:01  file 7_20261124120001000.webm begun",
        "   1:01  the connection broke, connecting again",
        "   1:05  no connection for 4 seconds, still trying",
        "   1:11  no connection for 10 seconds, still trying",
        "   1:13  connected again",
        "   1:13  warning 1001: 30 frames of user 7 were left out",
        "   1:13  error 1: the disk is slow",
        "1:01:13  user 7 (Alice) dropped out",
        "1:01:14  SIGTERM: leaving, finishing the files",
        "1:01:14  SIGINT: still finishing the files, nothing will be lost",
        "1:01:14  file 7_20261124120001000.webm whole, 1:02:03 long",
        "Left after 1:01:14: stopped by a signal.",
    ]
    table = [re.split(r"\s{2,}", line.strip()) for line in lines[13:] if line.strip() and "─" not in line]
    assert table == [
        ["File", "User", "Source", "Duration", "Size", "Codecs"],
        ["7_20261124120001000.webm", "7 (Alice)", "camera", "1:02:03", "1.2 MB", "vp8 + opus"],
    ]


def test_an_empty_recording_says_so(report: HumanReport, stream: io.StringIO) -> None:
    report.joined(facts())
    report.left(outcome_of_leave(LeavePath.NOBODY_LEFT))
    assert stream.getvalue().splitlines()[-1] == "Nothing was recorded: nobody sent anything."


def test_without_a_terminal_a_line_a_minute_shows_the_growth(
    report: HumanReport, stream: io.StringIO, clock: Clock
) -> None:
    report.joined(facts())
    join_user(report, 7)
    for _ in range(100):
        clock.seconds += 2
        report.on_recording_stats(STATS)
    status = [line for line in stream.getvalue().splitlines() if "MB" in line]
    assert status == [
        "1:00  1 user  1 open file  12.3 MB  1.2 Mbit/s",
        "2:00  1 user  1 open file  12.3 MB  1.2 Mbit/s",
        "3:00  1 user  1 open file  12.3 MB  1.2 Mbit/s",
    ]


def test_names_of_users_cannot_paint_the_screen(report: HumanReport, stream: io.StringIO) -> None:
    report.joined(facts())
    join_user(report, 7, "7", "[red]\x1b[2J\x07[/red]\nfake line")
    report.on_file_closed(CAMERA)
    report.left(outcome_of_leave(LeavePath.TIMER))
    text = stream.getvalue()
    assert "\x1b" not in text and "\x07" not in text
    assert "[red]" in text
    assert "fake line" not in [line.strip() for line in text.splitlines()]


def test_the_live_table_grows_with_time_and_with_the_file(report: HumanReport, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "7_20261124120001000.webm"
    path.write_bytes(b"x" * 2500)
    report.joined(facts())
    join_user(report, 7, "7", "Alice")
    join_user(report, 2**31 + 1, "bob@example.org")
    report.on_remote_audio_stream_state_changed(7, RemoteStreamState.RUNNING, RemoteStreamStateReason.STARTED)
    report.on_remote_video_stream_state_changed(7, RemoteStreamState.RUNNING, RemoteStreamStateReason.STARTED)
    report.on_first_remote_video_frame(7, 640, 360, 200)
    report.on_file_created(path, CAMERA.user)
    clock.seconds += 12
    rows = [re.split(r"\s{2,}", line.strip()) for line in rendered(report.live_view()).splitlines() if line.strip()]
    assert rows[0] == ["User", "There", "Sound", "Picture", "File", "Size"]
    assert rows[2] == ["7 (Alice)", "0:12", "on", "640x360", path.name, "2.5 kB"]
    assert rows[3] == ["2147483649 (bob@example.org)", "0:12", "-", "-", "-"]
    assert rows[4] == ["0:12", "2 users"]
    path.write_bytes(b"x" * 7500)
    report.on_user_offline(2**31 + 1, OfflineReason.QUIT)
    view = rendered(report.live_view())
    assert "7.5 kB" in view and "bob" not in view


def test_the_live_table_says_when_nobody_is_there_and_when_the_line_is_cut(report: HumanReport) -> None:
    report.joined(facts())
    assert "Nobody is there." in rendered(report.live_view())
    report.on_connection_lost()
    assert "No connection for 10 seconds, still trying ..." in rendered(report.live_view())
    report.on_rejoin_channel_success("room", 1001)
    assert "connection" not in rendered(report.live_view())


def test_losses_are_told_only_when_there_are_any() -> None:
    board = Board()
    board.stats = STATS
    assert status_line(board, 5.0) == "0:05  0 users  1 open file  12.3 MB  1.2 Mbit/s"
    board.stats = replace(STATS, lost_packets=1, dropped_frames=30)
    assert status_line(board, 5.0).endswith("  1 packet lost  30 frames left out")
    assert "1 packet lost" in rendered(live_view(board, 5.0))


def test_on_a_terminal_the_table_is_shown_while_it_runs_and_gone_at_the_end(clock: Clock) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=True, color_system=None, highlight=False)
    report = HumanReport(console, clock)
    report.joined(facts())
    assert "Nobody is there." in stream.getvalue()
    join_user(report, 7)
    report.on_file_closed(CAMERA)
    report.left(outcome_of_leave(LeavePath.SIGNAL))
    text = stream.getvalue()
    assert text.index("user 7 joined") < text.index("Left after 0:00: stopped by a signal.")
    assert "7_20261124120001000.webm" in text[text.index("Left after") :]
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is shown again"
