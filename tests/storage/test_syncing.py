"""What is written goes to the disk while it is written, on a thread of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from channel_recorder.errors import StorageError
from channel_recorder.model import Source, User
from channel_recorder.recording.contract import FileClosed, FileCreated
from channel_recorder.recording.ledger import RecordingLedger
from channel_recorder.storage.directory import StorageRoot
from channel_recorder.storage.guard import is_final
from channel_recorder.storage.syncing import SyncedFiles, Syncer

LIMIT_SECONDS = 20.0
ALICE = User(uid=7, account="7")


class Disk:
    """Which files were synced, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: list[str] = []
        self.threads: set[str] = set()
        self.refuses = False
        self._changed = threading.Condition()
        monkeypatch.setattr(os, "fsync", self._fsync)

    def _fsync(self, descriptor: int) -> None:
        with self._changed:
            self.synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
            self.threads.add(threading.current_thread().name)
            self._changed.notify_all()
        if self.refuses:
            raise OSError(5, "Input/output error")

    def wait_for(self, name: str, count: int = 1) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.synced.count(name) >= count, LIMIT_SECONDS)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def syncer() -> Iterator[Syncer]:
    syncer = Syncer()
    yield syncer
    syncer.stop()


def never(error: StorageError) -> None:
    raise error


def test_open_files_are_synced_again_and_again_closed_ones_once_more(
    tmp_path: Path, disk: Disk, syncer: Syncer
) -> None:
    files = syncer.open(tmp_path, 0.001, never)
    for name in ("a.webm", "b.webm"):
        (tmp_path / name).touch()
        files.add(tmp_path / name)
    disk.wait_for("a.webm", 3)
    disk.wait_for(tmp_path.name)
    files.remove(tmp_path / "a.webm")
    before = disk.synced.count("b.webm")
    disk.wait_for("b.webm", before + 2)
    count = disk.synced.count("a.webm")
    disk.wait_for("b.webm", before + 5)
    assert disk.synced.count("a.webm") == count
    assert disk.threads == {"channel-recorder-sync"}
    files.close()
    files.close()


def test_closing_syncs_what_is_left_and_nothing_after_it(tmp_path: Path, disk: Disk, syncer: Syncer) -> None:
    closed: list[str] = []
    files = syncer.open(tmp_path, 3600.0, never, lambda: closed.append("closed"))
    (tmp_path / "a.webm").touch()
    files.add(tmp_path / "a.webm")
    files.add(tmp_path / "given-back.webm")
    files.close()
    assert disk.synced.count("a.webm") == 1
    assert closed == ["closed"]


def test_a_disk_that_fails_is_told_once(tmp_path: Path, disk: Disk, syncer: Syncer) -> None:
    told: list[StorageError] = []
    (tmp_path / "a.webm").touch()
    disk.refuses = True
    files = syncer.open(tmp_path, 0.001, told.append)
    files.add(tmp_path / "a.webm")
    disk.wait_for("a.webm", 3)
    files.close()
    (error,) = told
    assert is_final(error)
    assert "Input/output error" in str(error)


def test_a_ledger_has_all_its_files_synced_before_the_manifest(tmp_path: Path, disk: Disk) -> None:
    directory = StorageRoot(path=tmp_path).create("lesson", datetime(2026, 3, 1, tzinfo=UTC))
    files = SyncedFiles(directory.path, 1.0, never, lambda: None)
    ledger = RecordingLedger(directory, synced=files)
    path = ledger.name_file(ALICE, Source.MICROPHONE, "ogg", 0.0)
    ledger.event(FileCreated(at_seconds=0.0, name=path.name, user=ALICE, source=Source.MICROPHONE))
    path.write_bytes(b"sound")
    (log,) = directory.path.glob("uid_*.txt")
    files.sync()
    assert {path.name, log.name, "journal.jsonl", directory.path.name} <= set(disk.synced)
    disk.synced.clear()
    ledger.event(
        FileClosed(
            at_seconds=1.0,
            name=path.name,
            user=ALICE,
            source=Source.MICROPHONE,
            start_seconds=0.0,
            duration_seconds=1.0,
            bytes=5,
            streams=(),
        )
    )
    ledger.finish("left", 1.0)
    assert disk.synced.index(path.name) < disk.synced.index(".manifest.json.draft")
