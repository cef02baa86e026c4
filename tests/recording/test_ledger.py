from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from channel_recorder.errors import StorageError
from channel_recorder.events import DataReceived, ParticipantJoined
from channel_recorder.model import MediaKind, Participant, Source, User
from channel_recorder.recording import ledger as ledger_module
from channel_recorder.recording.contract import FileClosed, FileCreated, Gap, StorageFailed, StreamSummary
from channel_recorder.recording.journal import read_journal
from channel_recorder.recording.ledger import RecordingLedger
from channel_recorder.recording.manifest import read_manifest
from channel_recorder.storage.directory import RecordingDirectory, StorageRoot

STARTED = datetime(2026, 3, 1, 10, 15, 12, 345_000, tzinfo=UTC)
ALICE = User(uid=7, account="7")
SOUND = (StreamSummary(kind=MediaKind.AUDIO, codec="opus", frames=100),)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[RecordingDirectory]:
    yield StorageRoot(path=tmp_path).create("lesson", STARTED)


def _ledger(directory: RecordingDirectory, failures: list[StorageError] | None = None) -> RecordingLedger:
    on_failure = failures.append if failures is not None else None
    return RecordingLedger(directory, on_failure=on_failure, wall_clock=lambda: STARTED)


def _record(ledger: RecordingLedger, start: float, end: float, content: bytes) -> Path:
    path = ledger.name_file(ALICE, Source.MICROPHONE, "ogg", start)
    ledger.event(FileCreated(at_seconds=start, name=path.name, user=ALICE, source=Source.MICROPHONE))
    path.write_bytes(content)
    ledger.event(
        FileClosed(
            at_seconds=end,
            name=path.name,
            user=ALICE,
            source=Source.MICROPHONE,
            start_seconds=start,
            duration_seconds=end - start,
            bytes=len(content),
            streams=SOUND,
        )
    )
    return path


def _facts(directory: RecordingDirectory) -> list[str]:
    return [entry["fact"] for entry in read_journal(directory.journal_path).entries]


def test_a_finished_recording_has_all_its_books(directory: RecordingDirectory):
    ledger = _ledger(directory)
    ledger.begin_span(0.0)
    path = _record(ledger, 0.5, 4.5, b"sound")
    ledger.end_span(5.0)
    assert not directory.done_path.exists(), "not before everything is complete"
    manifest = ledger.finish("signal", 5.0)

    assert read_manifest(directory.manifest_path) == manifest
    assert (manifest.channel, manifest.started_at, manifest.duration) == ("lesson", STARTED, 5.0)
    (file,) = manifest.files
    assert (file.name, file.uid, file.account, file.start, file.duration) == (path.name, 7, "7", 0.5, 4.0)
    assert file.bytes == 5
    assert file.sha256 == hashlib.sha256(b"sound").hexdigest()
    assert sorted(found.name for found in directory.path.iterdir()) == [
        ".uid_7_20260301101512845.txt",
        "7_20260301101512845.ogg",
        "journal.jsonl",
        "manifest.json",
        "metadata.txt",
        "recording2-done.txt",
        "uid_7_20260301101512845.txt",
    ]
    assert _facts(directory) == ["span_started", "file_created", "file_closed", "span_ended", "ended"]
    log = (directory.path / "uid_7_20260301101512845.txt").read_text()
    assert log.endswith(f"0.500 {path.name} create\n4.500 {path.name} close\n")


def test_what_happens_is_in_the_journal_at_once(directory: RecordingDirectory):
    ledger = _ledger(directory)
    ledger.note("config", 0.0, idle_limit_sec=7)
    ledger.channel_event(ParticipantJoined(participant=Participant(sid="PA_a", identity="7")), 1.0, int)
    ledger.event(Gap(at_seconds=2.0, name="x", user=ALICE, kind=MediaKind.AUDIO, duration_seconds=1.0, lost_packets=1))
    entries = read_journal(directory.journal_path).entries
    assert [entry["fact"] for entry in entries] == ["config", "user_joined", "gap"]
    assert [entry["at"] for entry in entries] == [0.0, 1.0, 2.0]
    assert entries[1]["uid"] == 7


def test_two_manual_spans_are_two_sessions_of_one_recording(directory: RecordingDirectory):
    ledger = _ledger(directory)
    for start in (0.0, 60.0):
        ledger.begin_span(start)
        _record(ledger, start, start + 5.0, b"x")
        ledger.end_span(start + 5.0)
    manifest = ledger.finish("client_initiated", 65.0)
    assert [file.start for file in manifest.files] == [0.0, 60.0]
    assert len(list(directory.path.glob("uid_7_*.txt"))) == 2


def test_names_and_manifest_count_from_the_instant_the_recording_began(directory: RecordingDirectory):
    ledger = _ledger(directory)
    began = STARTED + timedelta(seconds=30)
    ledger.begin_recording(began)
    path = _record(ledger, 0.5, 1.0, b"x")
    manifest = ledger.finish("signal", 1.0)
    assert path.name == "7_20260301101542845.ogg"
    assert path.parent == directory.path
    assert (directory.path / "uid_7_20260301101542845.txt").exists()
    assert manifest.started_at == began


def test_a_recording_without_files_is_finished_too(directory: RecordingDirectory):
    manifest = _ledger(directory).finish("nobody_left", 0.0)
    assert manifest.files == []
    assert directory.done_path.exists()


def test_the_size_in_the_manifest_is_the_size_on_disk(directory: RecordingDirectory):
    ledger = _ledger(directory)
    path = _record(ledger, 0.0, 1.0, b"1234567890")
    path.write_bytes(b"12")
    assert ledger.finish("signal", 1.0).files[0].bytes == 2


def test_a_full_disk_is_told_once_and_the_books_go_on_when_there_is_room(
    directory: RecordingDirectory, monkeypatch: pytest.MonkeyPatch
):
    failures: list[StorageError] = []
    ledger = _ledger(directory, failures)

    def full(descriptor: int, data: bytes) -> int:
        del descriptor, data
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        ledger.note("lost", 1.0)
        ledger.event(StorageFailed(at_seconds=1.0, name="", message="full"))
    ledger.note("kept", 2.0)
    assert len(failures) == 1
    assert "free some space" in str(failures[0])
    assert ledger.lines_lost == 2
    assert _facts(directory) == ["kept"]


def test_a_directory_that_went_is_told_and_not_fatal(directory: RecordingDirectory):
    failures: list[StorageError] = []
    ledger = _ledger(directory, failures)
    path = _record(ledger, 0.0, 1.0, b"x")
    ledger._hasher.digest(path)
    for found in directory.path.iterdir():
        found.unlink()
    directory.path.rmdir()
    ledger.event(FileCreated(at_seconds=2.0, name="9_x.ogg", user=User(uid=9, account="9"), source=Source.MICROPHONE))
    assert len(failures) == 1
    with pytest.raises(StorageError, match="manifest"):
        ledger.finish("signal", 3.0)


def test_a_file_that_can_not_be_read_back_has_no_check_sum(directory: RecordingDirectory):
    failures: list[StorageError] = []
    ledger = _ledger(directory, failures)
    event = FileClosed(
        at_seconds=1.0,
        name="7_gone.ogg",
        user=ALICE,
        source=Source.MICROPHONE,
        start_seconds=0.0,
        duration_seconds=1.0,
        bytes=99,
        streams=SOUND,
    )
    ledger.event(event)
    (file,) = ledger.finish("signal", 1.0).files
    assert (file.sha256, file.bytes) == (None, 99)
    assert len(failures) == 1


def test_chatting_does_not_fill_the_disk(directory: RecordingDirectory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ledger_module, "DATA_LIMIT_BYTES", 250)
    ledger = _ledger(directory)
    for n in range(5):
        ledger.channel_event(DataReceived(identity="7", kind="chat", payload=b"x" * 100), float(n), int)
    ledger.finish("signal", 9.0)
    assert _facts(directory) == ["data", "data", "data_left_out", "ended"]
    assert read_journal(directory.journal_path).entries[2]["packets"] == 3


def test_shared_screens_have_names_of_their_own(directory: RecordingDirectory):
    ledger = _ledger(directory)
    assert ledger.name_file(ALICE, Source.SCREEN_SHARE, "webm", 0.0).name == "7_20260301101512345_screen.webm"
    assert ledger.name_file(ALICE, Source.CAMERA, "webm", 0.0).name == "7_20260301101512345.webm"


def test_a_journal_that_can_not_be_made_is_a_storage_error(directory: RecordingDirectory):
    directory.journal_path.mkdir()
    with pytest.raises(StorageError, match=r"journal\.jsonl can't be written"):
        _ledger(directory)


def test_tracks_that_stayed_sealed_are_in_the_manifest_with_the_files_that_keep_them(directory: RecordingDirectory):
    ledger = _ledger(directory)
    ledger.begin_recording(STARTED)
    track = {"uid": 7, "account": "7", "sid": "TR_a", "kind": "audio", "source": "microphone", "codec": "opus"}
    ledger.note("sealed_track", 9.0, **track, frames=120, key_indexes=[0, 3], start=1.5, end=8.25)
    ledger.note("sealed_file", 9.1, name="7_x.sealed", sid="TR_a", frames=120, bytes=9000)
    ledger.finish("left", 10.0)
    tracks = read_manifest(directory.manifest_path).sealed_tracks
    assert tracks is not None and len(tracks) == 1
    sealed = tracks[0]
    assert (sealed.sid, sealed.kind, sealed.frames, sealed.key_indexes) == ("TR_a", MediaKind.AUDIO, 120, [0, 3])
    assert (sealed.start, sealed.end, sealed.files) == (1.5, 8.25, ["7_x.sealed"])


def test_where_everything_opened_the_manifest_says_nothing_of_it(directory: RecordingDirectory):
    ledger = _ledger(directory)
    ledger.begin_recording(STARTED)
    ledger.finish("left", 10.0)
    assert "sealed" not in directory.manifest_path.read_text()
