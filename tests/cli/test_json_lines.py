"""`--json` is a contract with programs: the lines are compared whole."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from channel_recorder.cli.json_lines import JsonLines
from channel_recorder.cli.report import JoinedFacts, Report, outcome_of_error, outcome_of_leave
from channel_recorder.errors import ErrorCode, StatusCode, TokenError, WarningCode
from channel_recorder.handler import (
    ConnectionChangedReason,
    ConnectionState,
    LeavePath,
    OfflineReason,
    RecordedFile,
    RecordingHandler,
    RecordingStats,
    RemoteStreamState,
    RemoteStreamStateReason,
    UserJoinInfo,
)
from channel_recorder.model import User

NOON = datetime(2026, 11, 24, 12, 0, 0, 7000, tzinfo=UTC)
DIRECTORY = Path("/rec/20261124/room_120000_000000")
FACTS = JoinedFacts(
    storage_dir=DIRECTORY,
    channel="room",
    user=User(uid=1001, account="1001"),
    chosen_uid=False,
    manual=False,
    idle_limit_seconds=300,
)
STATS = RecordingStats(
    duration_seconds=2.00012345,
    received_bytes=1000,
    received_kbps=4,
    received_audio_kbps=1,
    received_video_kbps=3,
    written_bytes=900,
    lost_packets=0,
    user_count=2,
    open_files=1,
    dropped_frames=0,
    cpu_percent=1.5,
)
FILE = RecordedFile(
    path=DIRECTORY / "7_20261124120001000.webm",
    user=User(uid=7, account="7"),
    source="camera",
    start_seconds=1.0,
    duration_seconds=19.4999,
    bytes=123456,
    codecs=("vp8", "opus"),
)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def report(stream: io.StringIO) -> JsonLines:
    return JsonLines(stream, lambda: NOON)


def line_of(stream: io.StringIO) -> str:
    text = stream.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n")
    return text[:-1]


def test_the_first_line_names_the_directory(report: JsonLines, stream: io.StringIO) -> None:
    report.joined(FACTS)
    assert line_of(stream) == (
        '{"event": "joined", "storage_dir": "/rec/20261124/room_120000_000000", "channel": "room", '
        '"uid": 1001, "account": "1001", "time": "2026-11-24T12:00:00.007+00:00"}'
    )


@pytest.mark.parametrize(
    ("callback", "arguments", "event"),
    [
        (
            "on_user_joined",
            (7, UserJoinInfo(storage_dir=DIRECTORY, account="7", name="Zoë")),
            {"event": "user_joined", "uid": 7, "account": "7", "name": "Zoë"},
        ),
        (
            "on_user_offline",
            (7, OfflineReason.BECAME_AUDIENCE),
            {"event": "user_offline", "uid": 7, "reason": "became_audience"},
        ),
        ("on_user_info_updated", (9, "anna"), {"event": "user_info", "uid": 9, "account": "anna"}),
        (
            "on_remote_video_stream_state_changed",
            (7, RemoteStreamState.RUNNING, RemoteStreamStateReason.STARTED),
            {"event": "video_stream", "uid": 7, "state": "running"},
        ),
        (
            "on_remote_audio_stream_state_changed",
            (7, RemoteStreamState.STOPPED, RemoteStreamStateReason.STOPPED),
            {"event": "audio_stream", "uid": 7, "state": "stopped"},
        ),
        (
            "on_first_remote_video_frame",
            (7, 640, 360, 210),
            {"event": "first_video_frame", "uid": 7, "width": 640, "height": 360, "elapsed_ms": 210},
        ),
        ("on_first_remote_audio_frame", (7, 190), {"event": "first_audio_frame", "uid": 7, "elapsed_ms": 190}),
        (
            "on_receiving_stream_status_changed",
            (True, False),
            {"event": "receiving", "audio": True, "video": False},
        ),
        (
            "on_connection_state_changed",
            (ConnectionState.RECONNECTING, ConnectionChangedReason.INTERRUPTED),
            {"event": "connection_state", "state": "reconnecting", "reason": "interrupted"},
        ),
        ("on_connection_interrupted", (), {"event": "connection_interrupted"}),
        ("on_connection_lost", (), {"event": "connection_lost"}),
        ("on_rejoin_channel_success", ("room", 1001), {"event": "rejoined", "channel": "room", "uid": 1001}),
        (
            "on_warning",
            (WarningCode.UNSUPPORTED_CODEC, "user 7 sends a codec that cannot be recorded"),
            {
                "event": "warning",
                "code": 1002,
                "name": "unsupported_codec",
                "message": "user 7 sends a codec that cannot be recorded",
            },
        ),
        (
            "on_error",
            (ErrorCode.CONNECTION_LOST, StatusCode.FROM_ENGINE, "gone"),
            {
                "event": "error",
                "code": 112,
                "name": "connection_lost",
                "status": 1,
                "exception": None,
                "message": "gone",
            },
        ),
        (
            "on_recording_stats",
            (STATS,),
            {
                "event": "stats",
                "duration_seconds": 2.0,
                "received_bytes": 1000,
                "received_kbps": 4,
                "received_audio_kbps": 1,
                "received_video_kbps": 3,
                "written_bytes": 900,
                "lost_packets": 0,
                "user_count": 2,
                "open_files": 1,
                "dropped_frames": 0,
                "cpu_percent": 1.5,
            },
        ),
        (
            "on_file_created",
            (FILE.path, FILE.user),
            {"event": "file_created", "path": str(FILE.path), "uid": 7, "account": "7"},
        ),
        (
            "on_file_closed",
            (FILE,),
            {
                "event": "file_closed",
                "path": str(FILE.path),
                "uid": 7,
                "account": "7",
                "source": "camera",
                "start_seconds": 1.0,
                "duration_seconds": 19.5,
                "bytes": 123456,
                "codecs": ["vp8", "opus"],
            },
        ),
        ("leaving", ("SIGINT", True), {"event": "leaving", "signal": "SIGINT", "again": True}),
        ("notice", ("paused",), {"event": "notice", "message": "paused"}),
    ],
)
def test_every_event_is_one_object(
    report: JsonLines, stream: io.StringIO, callback: str, arguments: tuple[object, ...], event: dict[str, object]
) -> None:
    getattr(report, callback)(*arguments)
    expected = event | {"time": "2026-11-24T12:00:00.007+00:00"}
    assert line_of(stream) == json.dumps(expected)


def test_every_callback_of_the_engine_is_told_or_told_otherwise() -> None:
    told_otherwise = {"on_join_channel_success", "on_leave_channel", "on_local_user_registered"}
    silent = {
        name
        for name in vars(RecordingHandler)
        if name.startswith("on_") and getattr(JsonLines, name) is getattr(RecordingHandler, name)
    }
    assert silent == told_otherwise
    assert issubclass(Report, RecordingHandler)


def test_the_last_line_has_reason_exit_code_and_the_number_of_files(report: JsonLines, stream: io.StringIO) -> None:
    report.joined(FACTS)
    report.on_file_closed(FILE)
    report.left(outcome_of_leave(LeavePath.CHANNEL_ENDED))
    assert stream.getvalue().splitlines()[-1] == (
        '{"event": "left", "reason": "channel_ended", "message": "the channel ended for the recorder", '
        '"exit_code": 0, "storage_dir": "/rec/20261124/room_120000_000000", "files": 1, '
        '"time": "2026-11-24T12:00:00.007+00:00"}'
    )


def test_a_failed_join_is_an_error_and_a_last_line(report: JsonLines, stream: io.StringIO) -> None:
    error = TokenError("the access token is expired", code=ErrorCode.TOKEN_EXPIRED)
    report.left(outcome_of_error(error, "join_failed"))
    first, last = map(json.loads, stream.getvalue().splitlines())
    assert (first["event"], first["code"], first["name"], first["status"], first["exception"]) == (
        "error",
        109,
        "token_expired",
        2,
        "TokenError",
    )
    assert (last["event"], last["reason"], last["exit_code"], last["storage_dir"]) == ("left", "join_failed", 1, None)


def test_times_are_utc_whatever_the_clock_says(stream: io.StringIO) -> None:
    here = timezone(timedelta(hours=2))
    JsonLines(stream, lambda: datetime(2026, 11, 24, 14, 0, tzinfo=here)).on_connection_lost()
    assert json.loads(line_of(stream))["time"] == "2026-11-24T12:00:00.000+00:00"


def test_line_breaks_in_foreign_names_stay_inside_the_line(report: JsonLines, stream: io.StringIO) -> None:
    report.on_user_info_updated(9, 'a\nb"c\u2028d')
    assert len(stream.getvalue().splitlines()) == 1
    assert json.loads(line_of(stream))["account"] == 'a\nb"c\u2028d'


def test_every_line_is_flushed_at_once() -> None:
    flushed: list[str] = []

    class Pipe(io.StringIO):
        def flush(self) -> None:
            flushed.append(self.getvalue())

    report = JsonLines(Pipe(), lambda: NOON)
    report.joined(FACTS)
    report.on_connection_lost()
    assert [text.count("\n") for text in flushed] == [1, 2]
