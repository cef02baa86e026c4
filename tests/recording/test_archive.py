"""Spans of files, one after the other, in one directory with one set of books."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from channel_recorder.errors import StorageError
from channel_recorder.events import ParticipantJoined
from channel_recorder.model import Codec, EncodedFrame, MediaKind, Participant, Source, User
from channel_recorder.recording.archive import Archive, QueuedArchive
from channel_recorder.recording.contract import FileClosed, FileCreated, FileEvent, RecordedTrack, Recorder
from channel_recorder.recording.individual import IndividualRecorder
from channel_recorder.recording.journal import read_journal
from channel_recorder.recording.ledger import RecordingLedger
from channel_recorder.recording.writer import WriterThread
from channel_recorder.storage.directory import RecordingDirectory, StorageRoot

ALICE = User(uid=7, account="7")
MICROPHONE = RecordedTrack(sid="TR_a", user=ALICE, kind=MediaKind.AUDIO, source=Source.MICROPHONE)
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SILENCE = bytes.fromhex("f8fffe")


@pytest.fixture
def directory(tmp_path: Path) -> RecordingDirectory:
    return StorageRoot(path=tmp_path).create("lesson", STARTED)


@pytest.fixture
def writer() -> Iterator[WriterThread]:
    thread = WriterThread()
    yield thread
    thread.stop()


def archive_in(directory: RecordingDirectory, tell: Callable[[FileEvent], None]) -> Archive:
    ledger = RecordingLedger(directory)

    def make_recorder(on_event: Callable[[FileEvent], None]) -> Recorder:
        return IndividualRecorder(name_file=ledger.name_file, on_event=on_event, key_frame_wanted=lambda _: None)

    return Archive(ledger, make_recorder, tell)


def speak(archive: Archive | QueuedArchive, start: float, seconds: float) -> None:
    recorder: Recorder = archive if isinstance(archive, Archive) else archive.recorder
    sink = recorder.add_track(MICROPHONE, start)
    for number in range(round(seconds * 50)):
        frame = EncodedFrame(Codec.OPUS, SILENCE, number * 960, 0.0)
        frame.time_seconds = start + number / 50
        sink.write(frame)
    sink.close(start + seconds)


def test_each_span_begins_new_files_and_what_comes_between_is_nowhere(directory: RecordingDirectory) -> None:
    told: list[FileEvent] = []
    archive = archive_in(directory, told.append)
    archive.user_joined(ALICE, 0.0)
    speak(archive, 0.0, 1.0)
    archive.ledger.begin_recording(STARTED)
    for start in (0.0, 10.0):
        archive.begin_span(start)
        speak(archive, start, 2.0)
        archive.mute_track("TR_a", True, start + 2.0)
        archive.advance(start + 2.5)
        archive.end_span(start + 3.0)
        speak(archive, start + 5.0, 1.0)
        archive.advance(start + 6.0)
    archive.end_span(20.0)
    manifest = archive.ledger.finish("left", 20.0)
    created = [event for event in told if isinstance(event, FileCreated)]
    closed = [event for event in told if isinstance(event, FileClosed)]
    assert [event.at_seconds for event in created] == [0.0, 10.0]
    assert [file.name for file in closed] == [file["name"] for file in json.loads(manifest.to_json())["files"]]
    assert [file.streams[0].frames for file in closed] == [100, 100]
    facts = [entry["fact"] for entry in read_journal(directory.journal_path).entries]
    assert facts.count("span_started") == facts.count("span_ended") == 2


def test_the_ledger_knows_a_file_before_anybody_is_told(directory: RecordingDirectory) -> None:
    seen: list[bool] = []
    journal = directory.journal_path
    archive = archive_in(directory, lambda event: seen.append(event.name in journal.read_text()))
    archive.begin_span(0.0)
    speak(archive, 0.0, 1.0)
    archive.close(1.0)
    assert seen
    assert all(seen)


def queued(writer: WriterThread, directory: RecordingDirectory, told: list[FileEvent]) -> QueuedArchive:
    def fail(error: BaseException) -> None:
        raise error

    return QueuedArchive(writer, archive_in(directory, told.append), on_error=fail, on_overload=lambda *_: None)


async def test_when_finished_every_file_is_whole_and_the_books_are_closed(
    writer: WriterThread, directory: RecordingDirectory
) -> None:
    told: list[FileEvent] = []
    archive = queued(writer, directory, told)
    joined = ParticipantJoined(participant=Participant(sid="PA", identity="7"))
    archive.channel_event(joined, 0.0, int)
    archive.begin_recording(STARTED)
    archive.begin_span(0.0)
    speak(archive, 0.0, 2.0)
    archive.note("remark", 1.0, text="hello")
    finishing = asyncio.create_task(archive.finish("left", 2.0))
    await asyncio.sleep(0)
    for _ in range(50):
        archive.note("too_late", 2.0)
        archive.channel_event(joined, 2.0, int)
    manifest = await finishing
    archive.note("too_late", 3.0)
    (file,) = [event for event in told if isinstance(event, FileClosed)]
    assert json.loads(directory.manifest_path.read_text()) == json.loads(manifest.to_json())
    assert (directory.path / file.name).stat().st_size == json.loads(manifest.to_json())["files"][0]["bytes"]
    entries = read_journal(directory.journal_path).entries
    facts = [entry["fact"] for entry in entries]
    assert "too_late" not in facts
    assert facts[-1] == "ended"
    assert [entry["text"] for entry in entries if entry["fact"] == "remark"] == ["hello"]
    assert directory.done_path.exists()


async def test_books_that_cannot_be_closed_are_an_error(writer: WriterThread, directory: RecordingDirectory) -> None:
    archive = queued(writer, directory, [])
    directory.manifest_path.mkdir()
    with pytest.raises(StorageError):
        await archive.finish("left", 0.0)
