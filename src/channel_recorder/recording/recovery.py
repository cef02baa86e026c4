"""Turns what a dead process left of a recording into what a clean end makes.

Files made whole, the journal's half line cut, uid logs closed, `manifest.json` with the reason "interrupted", the
done marker. It holds the lock that a living recorder would hold, and may be killed itself: each step can be done
again, and the manifest comes when all the rest is on disk.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from channel_recorder.clock import utc_now
from channel_recorder.errors import MalformedError, StorageError
from channel_recorder.media.containers.repair import MEDIA_SUFFIXES
from channel_recorder.recording.journal import Journal, read_journal
from channel_recorder.recording.manifest import Manifest, ManifestFile, build_manifest, read_manifest
from channel_recorder.recording.remains import RECOVERED, Remains, read_remains, unknown_file
from channel_recorder.recording.salvage import salvage
from channel_recorder.recording.uid_log import metadata_text
from channel_recorder.recording.uid_log_repair import close_uid_logs
from channel_recorder.storage.directory import RecordingDirectory, storage_error
from channel_recorder.storage.finalize import sync_files, write_atomically, write_done_marker
from channel_recorder.storage.leftovers import find_recordings, media_names
from channel_recorder.storage.locks import locked

INTERRUPTED = "interrupted"
Tell = Callable[[int], None]


class RecoveryState(StrEnum):
    RECOVERED = "recovered"
    """It was unfinished, and is whole now."""
    FINISHED = "finished"
    """It was whole before."""
    LIVE = "live"
    """A living process writes it, or recovers it."""
    EMPTY = "empty"
    """Nothing was recorded yet, not even a line of the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What became of one recording."""

    directory: RecordingDirectory
    state: RecoveryState
    manifest: Manifest | None = None
    """None: it is live, or empty."""
    cut_bytes: int = 0
    """Of what was half written."""
    unplayable: tuple[str, ...] = ()
    """Files that were begun, but hold nothing whole. They are left as they lie, and are not in the manifest."""
    account: str = ""
    """Whom the recorder had joined as."""


def recover(directory: RecordingDirectory, tell: Tell | None = None, now: Callable[[], datetime] = utc_now) -> Recovery:
    """`tell` is called with numbers of bytes done, `work_bytes(directory)` in all.

    Raises `StorageError`: the disk is full or read-only, or knows no locks.
    """
    try:
        if _is_empty(directory):
            return Recovery(directory=directory, state=RecoveryState.EMPTY)
        finished = _finished(directory)
        return finished or _recover_unfinished(directory, tell or _ignore, now)
    except OSError as error:
        raise storage_error(directory.path, error) from error


def work_bytes(directory: RecordingDirectory) -> int:
    """0 for a recording that is whole. Raises `StorageError`."""
    try:
        if _is_empty(directory) or _finished(directory):
            return 0
        return sum(2 * (directory.path / name).stat().st_size for name in _media_in(directory.path))
    except OSError as error:
        raise storage_error(directory.path, error) from error


def _ignore(done_bytes: int) -> None:
    del done_bytes


def _is_empty(directory: RecordingDirectory) -> bool:
    """A recorder writes the first line of the journal before anything else, and locks it before that."""
    journal = directory.journal_path
    has_journal = journal.exists() and journal.stat().st_size > 0
    return not has_journal and not _media_in(directory.path)


def _media_in(folder: Path) -> list[str]:
    return [name for name in media_names(folder) if Path(name).suffix in MEDIA_SUFFIXES]


def _finished(directory: RecordingDirectory) -> Recovery | None:
    """If the journal says that it ended and the manifest is there."""
    try:
        manifest = read_manifest(directory.manifest_path)
        remains = read_remains(read_journal(directory.journal_path).entries)
    except (FileNotFoundError, MalformedError):
        return None
    if remains.end_reason is None or not directory.done_path.exists():
        return None
    return Recovery(directory=directory, state=RecoveryState.FINISHED, manifest=manifest, account=remains.account)


def _recover_unfinished(directory: RecordingDirectory, tell: Tell, now: Callable[[], datetime]) -> Recovery:
    try:
        journal = Journal(directory.journal_path, needs_lock=True)
    except OSError as error:
        if error.errno == errno.EBUSY:
            return Recovery(directory=directory, state=RecoveryState.LIVE)
        raise
    try:
        journal.mend()
        directory.reserve_path.unlink(missing_ok=True)
        remains = read_remains(read_journal(directory.journal_path).entries)
        return _Work(directory, remains, journal, tell, now).run()
    finally:
        journal.close()


class _Work:
    """On one recording, whose lock is held."""

    def __init__(
        self,
        directory: RecordingDirectory,
        remains: Remains,
        journal: Journal,
        tell: Tell,
        now: Callable[[], datetime],
    ) -> None:
        started_at = remains.started_at or directory.started_at
        channel = remains.channel or directory.channel or directory.path.name
        self._directory = replace(directory, started_at=started_at, channel=channel)
        self._remains = remains
        self._journal = journal
        self._tell = tell
        self._now = now
        self._cut_bytes = 0
        self._unplayable: list[str] = []

    def run(self) -> Recovery:
        self._find_unknown_files()
        files = [entry for name in sorted(self._remains.files) if (entry := self._salvage(name)) is not None]
        ends = [file.start + file.duration for file in files]
        duration = max(0.0, self._remains.last_seconds, *ends)
        close_uid_logs(self._directory.path, self._file_ends(files, duration))
        manifest = self._manifest(files, duration)
        self._write_books(manifest, files)
        return Recovery(
            directory=self._directory,
            state=RecoveryState.RECOVERED,
            manifest=manifest,
            cut_bytes=self._cut_bytes,
            unplayable=tuple(self._unplayable),
            account=self._remains.account,
        )

    def _find_unknown_files(self) -> None:
        """A power failure may take the end of the journal, and with it the news of a file."""
        if len(find_recordings(self._directory.path)) > 1:
            return  # of a flat folder: whose are they?
        for name in _media_in(self._directory.path):
            if name not in self._remains.files:
                self._remains.files[name] = unknown_file(name, self._directory.started_at)

    def _salvage(self, name: str) -> ManifestFile | None:
        path, file = self._directory.path / name, self._remains.files[name]
        if not path.is_file():
            return None
        entry, cut_bytes = salvage(path, file, self._tell)
        self._cut_bytes += cut_bytes
        if entry is None:
            self._unplayable.append(name)
        elif file.closed is None or cut_bytes:
            fields = entry.model_dump(mode="json", exclude_none=True)
            self._note("file_closed", entry.start + entry.duration, **fields, recovered=True)
        return entry

    def _file_ends(self, files: list[ManifestFile], duration: float) -> dict[str, float]:
        """Recording time at which each file ends, of those without anything in them too."""
        known = {file.name: file.start + file.duration for file in files}
        return {name: known.get(name, duration) for name in self._remains.files}

    def _manifest(self, files: list[ManifestFile], duration: float) -> Manifest:
        return build_manifest(
            channel=self._directory.channel,
            started_at=self._directory.started_at,
            duration_seconds=duration,
            reason=self._remains.end_reason or INTERRUPTED,
            files=files,
            sealed_tracks=self._remains.sealed.entries(),
        )

    def _write_books(self, manifest: Manifest, files: list[ManifestFile]) -> None:
        """The manifest when all it speaks of is on disk, the marker when all the rest is."""
        directory = self._directory
        if not directory.metadata_path.exists():
            directory.metadata_path.write_text(metadata_text(directory.channel))
        sync_files(directory.path / file.name for file in files)
        if self._remains.end_reason is None:
            self._note(RECOVERED, manifest.duration, reason=manifest.reason, cut_bytes=self._cut_bytes)
        self._journal.sync()
        write_atomically(directory.manifest_path, manifest.to_json())
        if not _is_shared_with_living(directory):
            write_done_marker(directory.done_path)

    def _note(self, fact: str, at_seconds: float, **fields: object) -> None:
        self._journal.write(at_seconds, self._now(), fact, fields)


def _is_shared_with_living(directory: RecordingDirectory) -> bool:
    """Flat folders have one marker for all, which says that nothing is being written there."""
    others = [other for other in find_recordings(directory.path) if other.journal_path != directory.journal_path]
    return any(_is_live(other) for other in others)


def _is_live(directory: RecordingDirectory) -> bool:
    with locked(directory.journal_path) as is_free:
        return not is_free


def find_unfinished(folder: Path) -> list[RecordingDirectory]:
    """Recordings in the folder that have no end, be it for a living process. Raises `StorageError`."""
    try:
        return [found for found in find_recordings(folder) if _is_unfinished(found)]
    except OSError as error:
        raise storage_error(folder, error) from error


def _is_unfinished(directory: RecordingDirectory) -> bool:
    try:
        return not _is_empty(directory) and _finished(directory) is None
    except OSError:
        return True  # what is wrong with it, its recovery will say


def check_is_folder(folder: Path) -> None:
    """Raises `StorageError`."""
    if not folder.is_dir():
        raise StorageError(f"{folder} is no folder: name a recording's folder, or one with recordings in it")


def _known_work_bytes(directory: RecordingDirectory) -> int:
    try:
        return work_bytes(directory)
    except StorageError:
        return 0


def recover_all(folder: Path, tell: Callable[[int, int], None]) -> Iterator[Recovery | StorageError]:
    """Every recording in the folder, one after the other; what failed, without ending the others.

    `tell` is called with bytes done so far and in all. Raises `StorageError` if the folder can't be read.
    """
    try:
        found = find_recordings(folder)
    except OSError as error:
        raise storage_error(folder, error) from error
    total = sum(map(_known_work_bytes, found))
    done = 0

    def advance(bytes_done: int) -> None:
        nonlocal done
        done += bytes_done
        tell(done, total)

    for directory in found:
        try:
            yield recover(directory, advance)
        except StorageError as error:
            yield error
