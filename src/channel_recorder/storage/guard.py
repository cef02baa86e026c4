"""Looks after the disk while a recording runs: it must not get full, and the folder must stay where it is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from channel_recorder.errors import StorageError
from channel_recorder.storage.directory import storage_error

LOW_BYTES = 4 * 2**20
"""Free space at which a recording ends, while its files still fit."""
CHECK_SECONDS = 1.0
_FINAL = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ESTALE,
        errno.EIO,
        errno.ENODEV,
        errno.ENXIO,
    }
)


def is_final(error: StorageError) -> bool:
    """The disk is full, read-only, broken or gone: no later file would fare better. Too many open files, or a file
    that got too large, pass."""
    return getattr(error.__cause__, "errno", None) in _FINAL


class DiskGuard:
    """Of one recording's folder."""

    def __init__(self, folder: Path, *, low_bytes: int = LOW_BYTES) -> None:
        """Raises `StorageError`."""
        self._folder = folder
        self._low_bytes = low_bytes
        try:
            self._identity = _identity(folder)
        except OSError as error:
            raise storage_error(folder, error) from error
        self._due = 0.0

    def check(self, now_seconds: float) -> None:
        """Once a second. Raises `StorageError`, a final one.

        A folder that was removed tells nothing to those who write to its open files: it is looked for by name.
        """
        if now_seconds < self._due:
            return
        self._due = now_seconds + CHECK_SECONDS
        try:
            if _identity(self._folder) != self._identity:
                raise OSError(errno.ENOENT, "it was removed, or another folder put in its place")
            disk = os.statvfs(self._folder)
            if disk.f_bavail * disk.f_frsize < self._low_bytes:
                raise OSError(errno.ENOSPC, "the disk is full")
        except OSError as error:
            raise storage_error(self._folder, error) from error


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
