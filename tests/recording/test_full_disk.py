"""A disk that is full, read-only or gone ends the recording cleanly: told once, every file whole, all books there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from channel_recorder.errors import StorageError
from channel_recorder.recording.contract import FileClosed, StorageFailed
from channel_recorder.recording.manifest import Manifest, read_manifest
from channel_recorder.recording.recovery import RecoveryState, recover
from channel_recorder.storage.directory import RecordingDirectory, StorageRoot
from channel_recorder.storage.guard import CHECK_SECONDS, DiskGuard, is_final
from channel_recorder.storage.reserve import SpaceReserve
from tests.recording.playback import decoded_pictures, read
from tests.recording.test_recovery import Show, content, left_at

STARTED = datetime(2026, 3, 1, 10, 15, 12, tzinfo=UTC)
DISK_BYTES = 2**20
RESERVE_BYTES = 256 * 2**10


@contextmanager
def small_disk(folder: Path) -> Generator[bool]:
    """A disk of a megabyte at `folder`; False: nobody may mount one here."""
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    try:
        yield mount.returncode == 0
    finally:
        if mount.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)


class GuardedShow(Show):
    """Ends as a recording does when its disk fails for good."""

    def __init__(self, directory: RecordingDirectory, *, low_bytes: int = 0) -> None:
        super().__init__(directory)
        self.directory = directory
        self.archive.ledger._reserve = SpaceReserve(directory.reserve_path, RESERVE_BYTES)
        self.archive._guard = DiskGuard(directory.path, low_bytes=low_bytes)

    def run_until_it_fails(self, seconds: float = 4.0) -> float:
        for tick in range(1, round(seconds * 10) + 1):
            self.run(tick / 10)
            if any(event.final for event in self.of_type(StorageFailed)):
                return tick / 10
        return seconds

    def end_at(self, at_seconds: float) -> Manifest:
        self.archive.close(at_seconds)
        return self.archive.ledger.finish("storage_failed", at_seconds)


def check_whole(directory: RecordingDirectory, manifest: Manifest, at_seconds: float) -> None:
    assert read_manifest(directory.manifest_path) == manifest
    assert directory.done_path.exists()
    assert not directory.reserve_path.exists()
    assert recover(directory).state is RecoveryState.FINISHED
    for file in manifest.files:
        path = directory.path / file.name
        playback = read(path)
        ends = [one.end_seconds for one in (playback.video, playback.audio) if one is not None]
        assert file.start + max(ends) > at_seconds - 1.0
        if playback.video is not None:
            assert len(decoded_pictures(path)) == len(playback.video.packets)


def fill(folder: Path, free_bytes: int) -> None:
    """Somebody else fills the disk up to there."""

    disk = os.statvfs(folder)
    ballast = disk.f_bavail * disk.f_frsize - free_bytes
    (folder / "ballast").write_bytes(bytes(max(0, ballast)))


@pytest.mark.parametrize("free_bytes", range(24_000, 130_000, 8_192))
def test_a_disk_that_gets_full_at_any_moment(tmp_path: Path, free_bytes: int) -> None:
    with small_disk(tmp_path / "disk") as is_small:
        directory = StorageRoot(path=tmp_path / "disk").create("lesson", STARTED)
        show = GuardedShow(directory, low_bytes=0 if is_small else 2**62)
        show.play()
        if is_small:
            fill(tmp_path / "disk", free_bytes)
        failed_at = show.run_until_it_fails()
        manifest = show.end_at(failed_at)
        check_whole(directory, manifest, failed_at)
        told = [event for event in show.of_type(StorageFailed) if event.final]
        assert all("full" in event.message.lower() or "space" in event.message.lower() for event in told)
        closed = {event.name for event in show.of_type(FileClosed)}
        assert closed == {file.name for file in manifest.files}


def test_a_disk_that_is_nearly_full_ends_the_recording_while_files_still_fit(tmp_path: Path) -> None:
    directory = StorageRoot(path=tmp_path).create("lesson", STARTED)
    show = GuardedShow(directory, low_bytes=2**62)
    show.play()
    failed_at = show.run_until_it_fails()
    assert failed_at <= CHECK_SECONDS + 0.2
    manifest = show.end_at(failed_at)
    (failed,) = show.of_type(StorageFailed)
    assert "full" in failed.message and failed.name == ""
    check_whole(directory, manifest, failed_at)


def test_a_read_only_disk_is_told_and_recovered_from_later(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as is_mounted:
        directory = left_at(tmp_path / "disk", 2.0)
        before = content(directory.path)
        with make_read_only(tmp_path / "disk", is_mounted=is_mounted):
            with pytest.raises(StorageError, match="can't be written"):
                recover(directory)
            with pytest.raises(StorageError):
                StorageRoot(path=tmp_path / "disk").check(0)
        assert content(directory.path) == before
        assert recover(directory).state is RecoveryState.RECOVERED


@contextmanager
def make_read_only(disk: Path, *, is_mounted: bool) -> Generator[None]:
    """The disk, or for want of one its folders."""
    if is_mounted:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        yield
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        return
    paths = [disk, *disk.rglob("*")]
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)
    yield
    for path in paths:
        path.chmod(path.stat().st_mode | 0o200)


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_that_is_moved_away_or_replaced_is_missed(tmp_path: Path, replace: bool) -> None:
    directory = StorageRoot(path=tmp_path).create("lesson", STARTED)
    show = GuardedShow(directory)
    show.play()
    show.run(1.5)
    moved = directory.path.rename(tmp_path / "moved")
    if replace:
        directory.path.mkdir()
    failed_at = show.run_until_it_fails()
    assert failed_at <= 1.5 + CHECK_SECONDS + 0.2
    (failed, *_) = show.of_type(StorageFailed)
    assert failed.final and str(directory.path) in failed.message
    show.archive.close(failed_at)
    for name in show.created:
        assert read(moved / name).audio is not None


def test_what_passes_is_no_end() -> None:
    for code, final in ((28, True), (30, True), (2, True), (5, True), (24, False), (27, False)):
        error = StorageError("refused")
        error.__cause__ = OSError(code, "")
        assert is_final(error) is final
    assert not is_final(StorageError("no free name"))
