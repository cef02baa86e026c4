"""A recorder that died comes back: one recording, one timeline, old and new files."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from channel_recorder.events import Joined
from channel_recorder.model import Source
from channel_recorder.recording.archive import Archive
from channel_recorder.recording.continuation import Interrupted, find_interrupted
from channel_recorder.recording.contract import FileClosed, FileEvent
from channel_recorder.recording.individual import IndividualRecorder
from channel_recorder.recording.journal import read_journal
from channel_recorder.recording.ledger import RecordingLedger
from channel_recorder.recording.manifest import Manifest
from channel_recorder.recording.recovery import RecoveryState, recover
from channel_recorder.storage.directory import RecordingDirectory, StorageRoot
from tests.recording.clips import sound
from tests.recording.playback import read
from tests.recording.stage import Stage
from tests.recording.test_recovery import SECONDS, STARTED, Show, check_books, content, left_at

ZERO = STARTED + timedelta(milliseconds=250)
BACK = STARTED + timedelta(seconds=30)


def find(root: Path, **changes: object) -> Interrupted | None:
    wanted: dict[str, object] = {"channel": "lesson", "account": "900", "now": BACK, "within_seconds": 600.0}
    return find_interrupted(StorageRoot(path=root), **(wanted | changes))  # pyright: ignore[reportArgumentType]


class SecondLife(Stage):
    """The recorder is back, in real books, at recording time `at`."""

    def __init__(self, interrupted: Interrupted, back: datetime = BACK) -> None:
        super().__init__(interrupted.directory.path)
        self.ledger = RecordingLedger(interrupted.directory, continued=interrupted, wall_clock=lambda: back)
        self.begin = interrupted.seconds_at(back)
        self.told: list[FileEvent] = []
        self.archive = Archive(
            self.ledger,
            lambda on_event: IndividualRecorder(
                name_file=self.ledger.name_file, on_event=on_event, key_frame_wanted=lambda _: None
            ),
            self.told.append,
        )
        self.recorder = self.archive
        joined = Joined(room_sid="RM_1", room_name="lesson", identity="900", participant_sid="PA_2")
        self.ledger.channel_event(joined, self.begin, int)
        self.archive.begin_span(self.begin)
        self.skip_to(self.begin)

    def speak(self, seconds: float) -> None:
        self.send_sound(self.track(Source.MICROPHONE), sound(seconds), self.begin)
        self.run(self.begin + seconds)

    def end(self) -> Manifest:
        self.archive.close(self.begin + 2.0)
        return self.ledger.finish("left", self.begin + 2.0)


def test_a_recording_goes_on_after_a_crash(tmp_path: Path) -> None:
    directory = left_at(tmp_path, 3.0)
    interrupted = find(tmp_path)
    assert interrupted is not None and interrupted.directory.path == directory.path
    life = SecondLife(interrupted)
    assert life.begin == pytest.approx(29.75)
    life.speak(2.0)
    manifest = life.end()
    assert (manifest.reason, manifest.started_at, manifest.duration) == ("left", ZERO, pytest.approx(31.75))
    check_books(directory, manifest)
    assert [(file.uid, file.start > 20) for file in manifest.files] == [
        (7, False),
        (9, False),
        (3_000_000_000, False),
        (7, True),
    ]
    new = manifest.files[-1]
    assert new.start == pytest.approx(29.75, abs=0.02)
    assert new.name == f"7_{(ZERO + timedelta(seconds=new.start)).strftime('%Y%m%d%H%M%S%f')[:17]}.ogg"
    old = read(directory.path / manifest.files[0].name)
    assert old.video is not None and old.video.end_seconds > 2.0
    facts = [entry["fact"] for entry in read_journal(directory.journal_path).entries]
    assert facts.count("recording_started") == facts.count("continued") == 1
    assert recover(directory).state is RecoveryState.FINISHED


def test_a_recovered_recording_goes_on_too(tmp_path: Path) -> None:
    directory = left_at(tmp_path, 3.0)
    first = recover(directory, now=lambda: STARTED + timedelta(seconds=10)).manifest
    interrupted = find(tmp_path)
    assert interrupted is not None and first is not None
    life = SecondLife(interrupted)
    assert not directory.done_path.exists() and not directory.manifest_path.exists()
    assert recover(directory).state is RecoveryState.LIVE
    life.speak(2.0)
    manifest = life.end()
    assert manifest.files[:3] == first.files
    check_books(directory, manifest)


def test_a_second_crash_loses_nothing_of_the_first_life(tmp_path: Path) -> None:
    left_at(tmp_path, 3.0)
    interrupted = find(tmp_path)
    assert interrupted is not None
    life = SecondLife(interrupted)
    life.speak(2.0)
    copy = StorageRoot(path=tmp_path / "copy").create("lesson", STARTED)
    for name, data in content(interrupted.directory.path).items():
        (copy.path / name).write_bytes(data)
    life.end()
    manifest = recover(copy).manifest
    assert manifest is not None
    assert manifest.reason == "interrupted"
    assert [file.uid for file in manifest.files] == [7, 9, 3_000_000_000, 7]
    check_books(copy, manifest)


def test_time_never_goes_back(tmp_path: Path) -> None:
    """Whatever the wall clock says."""
    left_at(tmp_path, 3.0)
    interrupted = find(tmp_path)
    assert interrupted is not None
    assert interrupted.seconds_at(STARTED - timedelta(days=1)) == interrupted.remains.last_seconds > 0.0


@pytest.mark.parametrize(
    "changes",
    [
        {"channel": "lesson2"},
        {"channel": "less?n"},
        {"account": "901"},
        {"now": BACK + timedelta(minutes=11)},
        {"now": STARTED - timedelta(minutes=1)},
        {"within_seconds": 0.0},
    ],
)
def test_another_recording_is_begun(tmp_path: Path, changes: dict[str, object]) -> None:
    left_at(tmp_path, 3.0)
    assert find(tmp_path, **changes) is None


def test_what_ended_or_is_written_is_not_continued(tmp_path: Path) -> None:
    left_at(tmp_path, 99.0)
    assert find(tmp_path) is None
    directory: RecordingDirectory = StorageRoot(path=tmp_path).create("lesson", STARTED + timedelta(seconds=1))
    show = Show(directory)
    show.play()
    show.run(1.0)
    assert find(tmp_path) is None
    show.run(SECONDS)
    show.end()
    assert len(show.of_type(FileClosed)) == 3
