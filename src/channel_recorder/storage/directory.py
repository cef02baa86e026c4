"""A recording's directory: checked before the join, made after it, never shared and nothing in it overwritten."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from channel_recorder.errors import StorageError
from channel_recorder.storage import names
from channel_recorder.storage.names import DirectoryName, MediaName, UidLogName
from channel_recorder.storage.reserve import RESERVE

RESERVE_BYTES = 64 * 2**20
"""Free space below which no recording is begun: a minute of one 8-Mbit/s user."""
_ATTEMPTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageRoot:
    """Where recordings go."""

    path: Path
    is_flat: bool = False
    """Everything lands in `path` itself (classic Recording_Dir), no day and channel levels."""

    def check(self, reserve_bytes: int = RESERVE_BYTES) -> None:
        """Whether a recording can be written here, without leaving a trace. Raises `StorageError`."""
        existing = self._nearest_existing()
        if not existing.is_dir():
            raise StorageError(f"{existing} is not a directory: name another folder for the recordings")
        if self.is_flat and existing != self.path:
            raise StorageError(f"{self.path} does not exist: create it, or name another folder for the recordings")
        _check_writable(existing)
        _check_space(existing, reserve_bytes)

    def create(self, channel: str, started_at: datetime) -> RecordingDirectory:
        """Make the directory of a recording. Taken already: a later microsecond. Raises `StorageError`."""
        if self.is_flat:
            return _flat_directory(self.path, channel, started_at)
        for later in range(_ATTEMPTS):
            name = DirectoryName(channel=channel, started_at=started_at + timedelta(microseconds=later))
            path = self.path / name.encode()
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.mkdir()
            except FileExistsError:
                if not path.parent.is_dir():
                    raise StorageError(f"{path.parent} is in the way: it is not a directory, move it aside") from None
                continue
            except OSError as error:
                raise storage_error(path, error) from error
            return RecordingDirectory(path=path, channel=channel, started_at=name.started_at)
        raise StorageError(f"no free directory for {channel!r} below {self.path}: {_ATTEMPTS} names are taken")

    def _nearest_existing(self) -> Path:
        path = self.path.absolute()
        try:
            while not os.path.lexists(path):
                path = path.parent
        except OSError as error:
            raise storage_error(self.path, error) from error
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDirectory:
    """Paths in the directory of one recording."""

    path: Path
    channel: str
    started_at: datetime
    """UTC: recording time zero."""
    side_stamp: str = ""
    """Flat mode, where another recording's side files lie already: makes ours different."""

    @property
    def journal_path(self) -> Path:
        return self._side(names.JOURNAL)

    @property
    def manifest_path(self) -> Path:
        return self._side(names.MANIFEST)

    @property
    def metadata_path(self) -> Path:
        return self._side(names.METADATA)

    @property
    def reserve_path(self) -> Path:
        return self.path / (f"{RESERVE}_{self.side_stamp}" if self.side_stamp else RESERVE)

    @property
    def done_path(self) -> Path:
        """The marker of the classic SDK: who waits for it knows its name only, so it has no stamp."""
        return self.path / names.DONE_MARKER

    def instant(self, at_seconds: float) -> datetime:
        """The wall-clock time that recording time stands for in names."""
        return self.started_at.astimezone(UTC) + timedelta(seconds=at_seconds)

    def media_path(self, uid: int, extension: str, at_seconds: float, *, is_screen: bool = False) -> Path:
        """A free name for a file that begins at this recording time; taken names lead to the next millisecond."""
        return self._free(
            at_seconds,
            lambda at: MediaName(uid=uid, recorded_at=at, extension=extension, is_screen=is_screen).encode(),
        )

    def uid_log_path(self, uid: int, at_seconds: float) -> Path:
        return self._free(at_seconds, lambda at: UidLogName(uid=uid, recorded_at=at).encode())

    def _free(self, at_seconds: float, encode: Callable[[datetime], str]) -> Path:
        for later in range(_ATTEMPTS):
            path = self.path / encode(self.instant(at_seconds) + timedelta(milliseconds=later))
            if not os.path.lexists(path):
                return path
        raise StorageError(f"no free file name in {self.path}: {_ATTEMPTS} are taken")

    def _side(self, name: str) -> Path:
        if not self.side_stamp:
            return self.path / name
        stem, _, extension = name.partition(".")
        return self.path / f"{stem}_{self.side_stamp}.{extension}"


def storage_error(path: Path, error: OSError) -> StorageError:
    """What the disk said, with the path and what to do about it."""
    advice = {
        errno.ENOSPC: "free some space there, or name another folder",
        errno.EDQUOT: "free some space there, or name another folder",
        errno.EROFS: "it is mounted read-only, name another folder",
        errno.EACCES: "make it writable for this user, or name another folder",
        errno.EPERM: "make it writable for this user, or name another folder",
        errno.ENAMETOOLONG: "name a folder with a shorter path",
    }.get(error.errno or 0, "name another folder for the recordings")
    return StorageError(f"{path} can't be written ({error.strerror or error}): {advice}")


def _flat_directory(path: Path, channel: str, started_at: datetime) -> RecordingDirectory:
    if not path.is_dir():
        raise StorageError(f"{path} does not exist: create it, or name another folder for the recordings")
    for later in range(_ATTEMPTS):
        at = started_at + timedelta(milliseconds=later)
        plain = RecordingDirectory(path=path, channel=channel, started_at=at)
        stamped = RecordingDirectory(path=path, channel=channel, started_at=at, side_stamp=names.stamp(at))
        for directory in (plain, stamped):
            if not any(map(os.path.lexists, (directory.journal_path, directory.manifest_path))):
                _remove_done_marker(directory)
                return directory
    raise StorageError(f"no free name for a journal in {path}: {_ATTEMPTS} are taken")


def _remove_done_marker(directory: RecordingDirectory) -> None:
    """It says that nothing is being written here, which is over."""
    try:
        directory.done_path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(directory.done_path, error) from error


def _check_writable(directory: Path) -> None:
    """By a file that has no name (O_TMPFILE), or loses it at once where the file system knows none such."""
    if not os.access(directory, os.W_OK | os.X_OK):
        code = errno.EROFS if os.statvfs(directory).f_flag & os.ST_RDONLY else errno.EACCES
        raise storage_error(directory, OSError(code, os.strerror(code)))
    try:
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise storage_error(directory, error) from error


def _check_space(directory: Path, reserve_bytes: int) -> None:
    try:
        disk = os.statvfs(directory)
    except OSError as error:
        raise storage_error(directory, error) from error
    free_bytes = disk.f_bavail * disk.f_frsize
    if free_bytes < reserve_bytes:
        raise StorageError(
            f"{directory} has {free_bytes // 2**20} MiB free, a recording needs at least {reserve_bytes // 2**20}: "
            "free some space there, or name another folder"
        )
    if disk.f_files and not disk.f_favail:
        raise StorageError(f"{directory} has no free inodes: remove files there, or name another folder")
