from __future__ import annotations

import re
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from channel_recorder.model import MediaKind, Source, User
from channel_recorder.recording.contract import (
    AudioInfo,
    FileClosed,
    FileCreated,
    FileEvent,
    Gap,
    Rotated,
    StorageFailed,
    VideoInfo,
)
from channel_recorder.recording.uid_log import UidLogs, event_line, metadata_text

ALICE = User(uid=7, account="7")
BOB = User(uid=9, account="9")

GRAMMAR = re.compile(
    r"new session started.*"
    r"|\d+\.\d{3} \S+ (create( codecswitch)?|close ?"
    r"|info channels=\d+|info width=\d+ height=\d+ rotation=(0|90|180|270)|rotate rotation=(0|90|180|270))"
)


def _created(name: str, user: User = ALICE, at: float = 0.0, *, codec_switch: bool = False) -> FileCreated:
    return FileCreated(at_seconds=at, name=name, user=user, source=Source.CAMERA, codec_switch=codec_switch)


def _closed(name: str, at: float, user: User = ALICE) -> FileClosed:
    return FileClosed(
        at_seconds=at,
        name=name,
        user=user,
        source=Source.CAMERA,
        start_seconds=0.0,
        duration_seconds=at,
        bytes=1,
        streams=(),
    )


def _logs(folder: Path) -> UidLogs:
    return UidLogs(lambda uid, at_seconds: folder / f"uid_{uid}_{round(at_seconds * 1000):05}.txt")


def test_a_users_files_are_told_in_the_classic_grammar(tmp_path: Path):
    logs = _logs(tmp_path)
    for event in (
        _created("7_a.webm"),
        AudioInfo(at_seconds=0.0214, name="7_a.webm", user=ALICE, channels=1),
        VideoInfo(at_seconds=0.04, name="7_a.webm", user=ALICE, width=640, height=360, rotation=0),
        Rotated(at_seconds=9.3, name="7_a.webm", user=ALICE, rotation=90),
        Gap(at_seconds=9.5, name="7_a.webm", user=ALICE, kind=MediaKind.AUDIO, duration_seconds=1.0, lost_packets=0),
        _closed("7_a.webm", 12.0),
        _created("7_b.mp4", at=12.0, codec_switch=True),
        _closed("7_b.mp4", 42.4804),
    ):
        logs.event(event)
    expected = (
        "new session started\n"
        "0.000 7_a.webm create\n"
        "0.021 7_a.webm info channels=1\n"
        "0.040 7_a.webm info width=640 height=360 rotation=0\n"
        "9.300 7_a.webm rotate rotation=90\n"
        "12.000 7_a.webm close\n"
        "12.000 7_b.mp4 create codecswitch\n"
        "42.480 7_b.mp4 close\n"
    )
    assert (tmp_path / "uid_7_00000.txt").read_text() == expected, "at once, before anything is closed"
    assert (tmp_path / ".uid_7_00000.txt").read_text() == expected
    logs.end_span(43.0)
    assert (tmp_path / "uid_7_00000.txt").read_text() == expected


def test_every_user_has_a_log_that_begins_with_the_first_file(tmp_path: Path):
    logs = _logs(tmp_path)
    logs.event(_created("7_a.webm", at=1.0))
    logs.event(_created("9_a.webm", BOB, at=2.5))
    logs.event(_created("7_b.webm", at=3.0))
    logs.end_span(4.0)
    assert sorted(path.name for path in tmp_path.glob("uid_*")) == ["uid_7_01000.txt", "uid_9_02500.txt"]
    assert "9_a" not in (tmp_path / "uid_7_01000.txt").read_text()


def test_every_manual_start_begins_new_logs_with_the_tag_line(tmp_path: Path):
    logs = _logs(tmp_path)
    logs.event(_created("7_a.webm"))
    logs.event(_closed("7_a.webm", 1.0))
    logs.end_span(1.0)
    logs.event(_created("7_b.webm", at=5.0))
    logs.end_span(6.0)
    second = (tmp_path / "uid_7_05000.txt").read_text()
    assert second.splitlines() == ["new session started", "5.000 7_b.webm create", "6.000 7_b.webm close"]


def test_a_file_the_disk_refused_to_close_has_a_close_line_all_the_same(tmp_path: Path):
    logs = _logs(tmp_path)
    logs.event(_created("7_a.webm"))
    logs.event(StorageFailed(at_seconds=3.0, name="7_a.webm", message="full"))
    logs.end_span(8.0)
    assert (tmp_path / "uid_7_00000.txt").read_text().splitlines()[-1] == "8.000 7_a.webm close"


events = st.one_of(
    st.builds(_created, st.just("7_a.webm"), at=st.floats(-1, 1e6), codec_switch=st.booleans()),
    st.builds(
        AudioInfo,
        at_seconds=st.floats(0, 1e6),
        name=st.just("7_a.webm"),
        user=st.just(ALICE),
        channels=st.integers(1, 2),
    ),
    st.builds(
        VideoInfo,
        at_seconds=st.floats(0, 1e6),
        name=st.just("7_a.webm"),
        user=st.just(ALICE),
        width=st.integers(1, 9999),
        height=st.integers(1, 9999),
        rotation=st.sampled_from([0, 90, 180, 270]),
    ),
    st.builds(_closed, st.just("7_a.webm"), st.floats(0, 1e6)),
)


@given(events)
@example(_created("7_a.webm", at=-0.0))
@settings(deadline=None)
def test_every_line_is_in_the_grammar_of_the_conversion_tools(event: FileEvent):
    line = event_line(event)
    assert line is not None
    assert GRAMMAR.fullmatch(line)


def test_metadata_is_the_classic_three_lines():
    assert metadata_text("lesson") == "<version>2.0</version>\n<tag></tag>\n<channel name>lesson</channel name>\n"
