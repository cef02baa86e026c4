"""Keeps the books of one recording: journal, uid logs, and at the end manifest and done marker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from channel_recorder.clock import utc_now
from channel_recorder.errors import StorageError
from channel_recorder.events import ChannelEvent
from channel_recorder.model import Source, User
from channel_recorder.recording.continuation import EarlierFiles, Interrupted
from channel_recorder.recording.contract import FileClosed, FileCreated, FileEvent
from channel_recorder.recording.facts import UidOf, channel_fact, file_fact
from channel_recorder.recording.journal import Journal
from channel_recorder.recording.manifest import Manifest, ManifestFile, build_manifest
from channel_recorder.recording.remains import CONTINUED
from channel_recorder.recording.sealed_books import SealedBooks
from channel_recorder.recording.uid_log import UidLogs, metadata_text
from channel_recorder.storage.directory import RecordingDirectory, storage_error
from channel_recorder.storage.finalize import FileHasher, write_atomically, write_done_marker
from channel_recorder.storage.reserve import SpaceReserve
from channel_recorder.storage.syncing import SyncedFiles

DATA_LIMIT_BYTES = 64 * 2**20
"""Of what participants send as data: more is counted, so that nobody fills the disk by chatting."""


class RecordingLedger:
    """One per recording, on one thread (the writer's).

    A disk that refuses the books must not stop the media: the first refusal is told to `on_failure`, what
    could not be written is counted, and writing is tried again with every fact. Only the constructor and
    `finish` raise `StorageError`.
    """

    def __init__(
        self,
        directory: RecordingDirectory,
        *,
        on_failure: Callable[[StorageError], None] | None = None,
        sync_interval_seconds: float | None = None,
        reserve: SpaceReserve | None = None,
        continued: Interrupted | None = None,
        synced: SyncedFiles | None = None,
        wall_clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`sync_interval_seconds`: see `Journal`. `reserve`: room for the end of a recording whose disk is full.
        `continued`: what an earlier recorder left, which died. `synced`: brings files to the disk as they grow.
        `wall_clock` stamps journal lines, nothing else."""
        self.directory = directory
        self._reserve = reserve
        self._synced = synced
        self._earlier: EarlierFiles | None = None
        self._on_failure = on_failure
        self._wall_clock = wall_clock
        self._closed: dict[str, FileClosed] = {}
        self._hasher = FileHasher()
        self._uid_logs = UidLogs(self._uid_log_path)
        self._sealed = SealedBooks()
        self._data_bytes = 0
        self._data_left_out = 0
        self._lines_lost = 0
        self._failed = False
        try:
            self._journal = Journal(directory.journal_path, sync_interval_seconds=sync_interval_seconds)
            directory.metadata_path.write_text(metadata_text(directory.channel))
            if continued is not None:
                self._continue(continued)
        except OSError as error:
            self.make_room()
            if synced is not None:
                synced.close()
            raise storage_error(directory.journal_path, error) from error

        self._sync(directory.journal_path)

    def _continue(self, interrupted: Interrupted) -> None:
        """Raises `OSError`."""
        self._journal.mend()
        self._journal.write(interrupted.seconds_at(self._wall_clock()), self._wall_clock(), CONTINUED, {})
        self._journal.sync()
        # What a recovery said is no longer so; all of it is in the journal and the files.
        self.directory.done_path.unlink(missing_ok=True)
        self.directory.manifest_path.unlink(missing_ok=True)
        self._earlier = EarlierFiles(interrupted)
        self._earlier.begin()

    def make_room(self) -> None:
        """The disk is full, or the end has come: what was kept for it is free now."""
        if self._reserve is not None:
            self._reserve.release()

    @property
    def lines_lost(self) -> int:
        """Facts that the disk refused."""
        return self._lines_lost

    def name_file(self, user: User, source: Source, extension: str, at_seconds: float) -> Path:
        """A free path for a file that begins at this recording time. Raises `StorageError`."""
        return self.directory.media_path(user.uid, extension, at_seconds, is_screen=source.is_screen)

    def note(self, fact: str, at_seconds: float, **fields: Any) -> None:
        """Write a fact to the journal. Fields are what JSON knows: text, numbers, lists, mappings."""
        if fact == "data" and self._is_too_much(fields):
            return
        self._sealed.note(fact, fields)
        try:
            self._journal.write(at_seconds, self._wall_clock(), fact, fields)
        except OSError as error:
            self._fail(self.directory.journal_path, error)

    def channel_event(self, event: ChannelEvent, at_seconds: float, uid_of: UidOf) -> None:
        """Write down what the channel told. `uid_of` is called on this thread."""
        fact, fields = channel_fact(event, uid_of)
        self.note(fact, at_seconds, **fields)

    def event(self, event: FileEvent) -> None:
        """Write down what a recorder told about its files."""
        fact, fields = file_fact(event)
        if isinstance(event, FileCreated):
            self._sync(self.directory.path / event.name)
        self.note(fact, event.at_seconds, **fields)
        try:
            self._uid_logs.event(event)
        except (OSError, StorageError) as error:
            self._fail(self.directory.path, error)
        if isinstance(event, FileClosed):
            self._closed[event.name] = event
            if self._synced is not None:
                self._synced.remove(self.directory.path / event.name)
            self._hasher.add(self.directory.path / event.name)

    def begin_recording(self, started_at: datetime) -> None:
        """Recording time zero: the first span. Names of files count from here."""
        self.directory = replace(self.directory, started_at=started_at)
        self.note("recording_started", 0.0, started_at=started_at.isoformat(timespec="microseconds"))

    def begin_span(self, at_seconds: float) -> None:
        """Files are written from now on; in new uid logs."""
        self.note("span_started", at_seconds)

    def end_span(self, at_seconds: float) -> None:
        """Every recorder of the span was closed."""
        self.note("span_ended", at_seconds)
        self._end_uid_logs(at_seconds)

    def finish(self, reason: str, duration_seconds: float) -> Manifest:
        """After every recorder was closed: manifest, then the done marker. May take as long as hashing the
        last files (0.2 s for 300 MB), so better not on a thread that others wait for. Raises `StorageError`.
        """
        self.make_room()
        self._end_uid_logs(duration_seconds)
        if self._data_left_out:
            self.note("data_left_out", duration_seconds, packets=self._data_left_out)
        files = [*self._earlier_files(duration_seconds), *map(self._manifest_file, self._closed.values())]
        self.note("ended", duration_seconds, reason=reason)
        manifest = build_manifest(
            channel=self.directory.channel,
            started_at=self.directory.started_at,
            duration_seconds=duration_seconds,
            reason=reason,
            files=files,
            sealed_tracks=self._sealed.entries(),
        )
        try:
            if self._synced is not None:
                self._synced.close()
            self._journal.sync()
            write_atomically(self.directory.manifest_path, manifest.to_json())
            write_done_marker(self.directory.done_path)
        except OSError as error:
            raise storage_error(self.directory.manifest_path, error) from error
        finally:
            # Only now: without the lock the recording would be taken for what a dead process left.
            self._close_journal()
        return manifest

    def _close_journal(self) -> None:
        try:
            self._journal.close()
        except OSError as error:
            self._fail(self.directory.journal_path, error)

    def _is_too_much(self, fields: Mapping[str, Any]) -> bool:
        self._data_bytes += fields.get("bytes", 0)
        if self._data_bytes <= DATA_LIMIT_BYTES:
            return False
        self._data_left_out += 1
        return True

    def _uid_log_path(self, uid: int, at_seconds: float) -> Path:
        path = self.directory.uid_log_path(uid, at_seconds)
        self._sync(path)
        return path

    def _sync(self, path: Path) -> None:
        if self._synced is not None:
            self._synced.add(path)

    def _end_uid_logs(self, at_seconds: float) -> None:
        try:
            self._uid_logs.end_span(at_seconds)
        except OSError as error:
            self._fail(self.directory.path, error)

    def _earlier_files(self, duration_seconds: float) -> list[ManifestFile]:
        """Of the recording's life before a crash."""
        if self._earlier is None:
            return []
        files: list[ManifestFile] = []
        try:
            for entry, was_open in self._earlier.finish(duration_seconds):
                files.append(entry)
                if was_open:
                    fields = entry.model_dump(mode="json", exclude_none=True)
                    self.note("file_closed", entry.start + entry.duration, **fields, recovered=True)
        except OSError as error:
            self._fail(self.directory.path, error)
        return files

    def _manifest_file(self, event: FileClosed) -> ManifestFile:
        path = self.directory.path / event.name
        try:
            return ManifestFile.of(event, size_bytes=path.stat().st_size, sha256=self._hasher.digest(path))
        except OSError as error:
            self._fail(path, error)
            return ManifestFile.of(event, size_bytes=event.bytes, sha256=None)

    def _fail(self, path: Path, error: OSError | StorageError) -> None:
        self._lines_lost += 1
        if self._failed:
            return
        self._failed = True
        if self._on_failure is not None:
            self._on_failure(error if isinstance(error, StorageError) else storage_error(path, error))
