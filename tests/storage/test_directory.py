from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from channel_recorder.errors import StorageError
from channel_recorder.storage.directory import RecordingDirectory, StorageRoot, storage_error

INSTANT = datetime(2026, 3, 1, 10, 15, 12, 345_678, tzinfo=UTC)


def _tree(path: Path) -> list[str]:
    return sorted(str(found.relative_to(path)) for found in path.rglob("*"))


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[RecordingDirectory]:
    yield StorageRoot(path=tmp_path / "rec").create("lesson", INSTANT)


def test_a_usable_root_passes_the_check_without_a_trace(tmp_path: Path):
    StorageRoot(path=tmp_path / "not" / "yet" / "there").check()
    StorageRoot(path=tmp_path).check()
    assert _tree(tmp_path) == []


def test_a_root_below_a_file_is_refused_with_its_path(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=f"{tmp_path}/file is not a directory"):
        StorageRoot(path=tmp_path / "file" / "below").check()


def test_a_full_disk_is_refused_with_what_to_do(tmp_path: Path):
    with pytest.raises(StorageError, match=r"MiB free, a recording needs at least .*free some space"):
        StorageRoot(path=tmp_path).check(reserve_bytes=2**62)


def test_an_unwritable_root_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def no_access(path: object, mode: int) -> bool:
        del path
        return not mode & os.W_OK

    monkeypatch.setattr(os, "access", no_access)
    with pytest.raises(StorageError, match=r"Permission denied.*make it writable"):
        StorageRoot(path=tmp_path).check()


def test_a_file_system_that_takes_no_files_is_refused():
    with pytest.raises(StorageError, match="/proc"):
        StorageRoot(path=Path("/proc/1")).check()


def test_the_directory_is_made_where_its_name_says(tmp_path: Path):
    recording = StorageRoot(path=tmp_path / "a" / "b").create("lesson", INSTANT)
    assert recording.path == tmp_path / "a/b/20260301/lesson_101512_345678000"
    assert recording.path.is_dir()
    assert list(recording.path.iterdir()) == []


def test_two_recordings_of_one_channel_in_one_instant_get_directories_of_their_own(tmp_path: Path):
    root = StorageRoot(path=tmp_path)
    first, second = root.create("lesson", INSTANT), root.create("lesson", INSTANT)
    assert second.path.name == "lesson_101512_345679000"
    assert first.path != second.path
    assert second.started_at - first.started_at == timedelta(microseconds=1)


def test_a_day_folder_that_is_a_file_is_named(tmp_path: Path):
    (tmp_path / "20260301").write_text("in the way")
    with pytest.raises(StorageError, match="20260301 is in the way"):
        StorageRoot(path=tmp_path).create("lesson", INSTANT)


def test_files_are_named_by_the_instant_they_begin(recording: RecordingDirectory):
    assert recording.media_path(7, "webm", 1.5).name == "7_20260301101513845.webm"
    assert recording.media_path(7, "mp4", 0.0, is_screen=True).name == "7_20260301101512345_screen.mp4"
    assert recording.uid_log_path(7, 0.0).name == "uid_7_20260301101512345.txt"


def test_two_files_of_a_user_in_one_millisecond_get_names_of_their_own(recording: RecordingDirectory):
    first = recording.media_path(7, "webm", 1.0)
    first.write_bytes(b"whole")
    second = recording.media_path(7, "webm", 1.0)
    assert (first.name, second.name) == ("7_20260301101513345.webm", "7_20260301101513346.webm")
    assert recording.media_path(8, "webm", 1.0).name == "8_20260301101513345.webm"


def test_a_dangling_link_is_not_written_through(recording: RecordingDirectory):
    (recording.path / "7_20260301101513345.webm").symlink_to(recording.path / "elsewhere")
    assert recording.media_path(7, "webm", 1.0).name == "7_20260301101513346.webm"


def test_flat_mode_puts_everything_into_the_folder_itself(tmp_path: Path):
    root = StorageRoot(path=tmp_path, is_flat=True)
    root.check()
    recording = root.create("lesson", INSTANT)
    assert recording.path == tmp_path
    assert recording.journal_path == tmp_path / "journal.jsonl"
    assert recording.manifest_path == tmp_path / "manifest.json"
    assert recording.metadata_path == tmp_path / "metadata.txt"


def test_flat_mode_keeps_the_books_of_the_recording_before_and_takes_its_done_marker(tmp_path: Path):
    root = StorageRoot(path=tmp_path, is_flat=True)
    for path in (root.create("a", INSTANT).journal_path, root.create("a", INSTANT).done_path):
        path.write_text("of the first")
    second = root.create("b", INSTANT)
    assert second.journal_path.name == "journal_20260301101512345.jsonl"
    assert second.manifest_path.name == "manifest_20260301101512345.json"
    assert second.done_path.name == "recording2-done.txt"
    assert not second.done_path.exists()
    second.journal_path.write_text("of the second")
    assert root.create("c", INSTANT).journal_path.name == "journal_20260301101512346.jsonl"
    assert (tmp_path / "journal.jsonl").read_text() == "of the first"


def test_flat_mode_needs_an_existing_folder(tmp_path: Path):
    root = StorageRoot(path=tmp_path / "missing", is_flat=True)
    with pytest.raises(StorageError, match="missing does not exist: create it"):
        root.check()
    with pytest.raises(StorageError, match="missing does not exist: create it"):
        root.create("lesson", INSTANT)
    assert _tree(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "advice"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "read-only"), (errno.EIO, "another folder")]
)
def test_what_the_disk_says_comes_with_the_path_and_what_to_do(code: int, advice: str):
    error = storage_error(Path("/rec/a"), OSError(code, os.strerror(code)))
    assert str(error).startswith(f"/rec/a can't be written ({os.strerror(code)})")
    assert advice in str(error)
