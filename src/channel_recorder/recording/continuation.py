"""A recorder that died comes back: its recording goes on in the same directory, on the same timeline, in new files.

The recording is known by its channel and by whom the recorder joins as. Recording time goes on by the wall clock,
which is all that two processes share, but never back. What the dead process left open is made whole meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from channel_recorder.errors import MalformedError
from channel_recorder.recording.journal import read_journal
from channel_recorder.recording.manifest import ManifestFile
from channel_recorder.recording.remains import Remains, read_remains
from channel_recorder.recording.salvage import salvage
from channel_recorder.recording.uid_log_repair import close_uid_logs
from channel_recorder.storage.directory import RecordingDirectory, StorageRoot
from channel_recorder.storage.locks import locked
from channel_recorder.storage.names import DirectoryName

_LOOK_AT = 3
"""Of the newest recordings of the channel; the others' journals are not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """A recording that may be continued."""

    directory: RecordingDirectory
    """Its `started_at` is recording time zero."""
    remains: Remains

    def seconds_at(self, now: datetime) -> float:
        """Recording time: by the wall clock, but after all that was recorded."""
        return max(self.remains.last_seconds, (now - self.directory.started_at).total_seconds())


def find_interrupted(
    root: StorageRoot, *, channel: str, account: str, now: datetime, within_seconds: float
) -> Interrupted | None:
    """The newest recording of the channel, if its recorder died at most `within_seconds` ago. May block.

    Flat folders are left alone: whose files are whose is for their recovery to say.
    """
    if root.is_flat or within_seconds <= 0:
        return None
    with suppress(OSError):
        for path in _newest_first(root.path, channel)[:_LOOK_AT]:
            found = _look_at(path, channel)
            if found is not None and _fits(found.remains, account, now, within_seconds):
                return found if _is_free(found.directory) else None
    return None


def _look_at(path: Path, channel: str) -> Interrupted | None:
    directory = RecordingDirectory(path=path, channel=channel, started_at=datetime.fromtimestamp(0, UTC))
    try:
        remains = read_remains(read_journal(directory.journal_path).entries)
    except OSError:
        return None
    if remains.started_at is None:
        return None
    return Interrupted(directory=replace(directory, started_at=remains.started_at), remains=remains)


def _fits(remains: Remains, account: str, now: datetime, within_seconds: float) -> bool:
    is_open = remains.end_reason is None or remains.is_recovered
    if not is_open or remains.account != account or remains.last_wall is None:
        return False
    return 0 <= (now - remains.last_wall).total_seconds() <= within_seconds


def _is_free(directory: RecordingDirectory) -> bool:
    with locked(directory.journal_path) as is_free:
        return is_free


def _newest_first(root: Path, channel: str) -> list[Path]:
    """Raises `OSError`."""
    found: list[tuple[datetime, Path]] = []
    for path in root.glob(f"[0-9]*/{_escaped(channel)}_*"):
        with suppress(MalformedError):
            name = DirectoryName.decode(PurePosixPath(path))
            if name.channel == channel:
                found.append((name.started_at, path))
    return [path for _, path in sorted(found, reverse=True)]


def _escaped(channel: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in channel)


class EarlierFiles:
    """Files of a recording's earlier life, made whole on a thread while the recording goes on."""

    def __init__(self, interrupted: Interrupted) -> None:
        self._folder = interrupted.directory.path
        self._remains = interrupted.remains
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="channel-recorder-salvage")
        self._salvaged: dict[str, Future[tuple[ManifestFile | None, int]]] = {}

    def begin(self) -> None:
        """When the journal is locked."""
        for name, file in self._remains.files.items():
            path = self._folder / name
            if path.is_file():
                self._salvaged[name] = self._pool.submit(salvage, path, file, _ignore)

    def finish(self, at_seconds: float) -> Iterator[tuple[ManifestFile, bool]]:
        """Each file that plays, and whether nobody had closed it. Waits for the thread. Raises `OSError`."""
        ends = dict.fromkeys(self._remains.files, at_seconds)
        try:
            for name, future in self._salvaged.items():
                entry, _ = future.result()
                if entry is not None:
                    ends[name] = entry.start + entry.duration
                    yield entry, self._remains.files[name].closed is None
            close_uid_logs(self._folder, ends)
        finally:
            self._pool.shutdown()


def _ignore(done_bytes: int) -> None:
    del done_bytes
