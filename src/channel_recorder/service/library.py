"""What lies below the recordings folder: every recording ever made there, and the files of each.

The folder is the only record: a restart forgets nothing. All of it may block, so it runs on threads. An id is made
of a directory's name and never the other way round: no text of a request becomes a path.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from channel_recorder.errors import MalformedError
from channel_recorder.storage.names import (
    DONE_MARKER,
    JOURNAL,
    MANIFEST,
    METADATA,
    DirectoryName,
    MediaName,
    UidLogName,
)

_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9]{6}-[0-9a-f]{12}")
_SIDE_FILES = frozenset({JOURNAL, MANIFEST, METADATA, DONE_MARKER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The directory of a recording."""

    id: str
    """Sorts by the time the recorder joined."""
    channel: str
    started_at: datetime
    path: Path

    @classmethod
    def of(cls, path: Path) -> Entry:
        """Raises MalformedError if the path is not named like the directory of a recording."""
        name = DirectoryName.decode(PurePosixPath(path.parent.name, path.name))
        digest = hashlib.sha256(os.fsencode(name.channel)).hexdigest()[:12]
        return cls(
            id=f"{name.started_at:%Y%m%d-%H%M%S-%f}-{digest}",
            channel=name.channel,
            started_at=name.started_at,
            path=path,
        )


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


class Library:
    def __init__(self, root: Path) -> None:
        self._root = root

    def newest_first(self, before: str = "") -> Iterator[Entry]:
        """Those older than the id given; empty: all."""
        for day in sorted(_directories(self._root), reverse=True):
            if not before or day <= before[:8]:
                entries = sorted(self._day(day), key=lambda entry: entry.id, reverse=True)
                yield from (entry for entry in entries if not before or entry.id < before)

    def find(self, id: str) -> Entry | None:
        if not is_id(id):
            return None
        return next((entry for entry in self._day(id[:8]) if entry.id == id), None)

    def _day(self, day: str) -> Iterator[Entry]:
        for name in _directories(self._root / day):
            try:
                yield Entry.of(self._root / day / name)
            except MalformedError:
                continue


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    name: str
    bytes: int
    changed_at: float
    """Seconds since 1970."""


def stored_files(path: Path) -> list[StoredFile]:
    """Those of a recording's directory that may be given out, by name."""
    try:
        with os.scandir(path) as found:
            files = [_stored(item) for item in found if may_give_out(item.name) and _is_file(item)]
    except OSError:
        return []
    return sorted((file for file in files if file is not None), key=lambda file: file.name)


def may_give_out(name: str) -> bool:
    """Whether a recording has files of this name: media, uid logs, and the books."""
    return is_media(name) or name in _SIDE_FILES or _is_uid_log(name)


def is_media(name: str) -> bool:
    try:
        MediaName.decode(name)
    except MalformedError:
        return False
    return True


def open_file(entry: Entry, name: str) -> int | None:
    """A descriptor of a file of the recording; None if it has none of that name. Symbolic links are not followed."""
    if not may_give_out(name):
        return None
    try:
        # A pipe in the folder must not make us wait for its other end.
        descriptor = os.open(entry.path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def _is_uid_log(name: str) -> bool:
    try:
        return not UidLogName.decode(name).is_hidden
    except MalformedError:
        return False


def _directories(path: Path) -> Iterator[str]:
    try:
        with os.scandir(path) as found:
            names = [item.name for item in found if _is_directory(item)]
    except OSError:
        return
    yield from names


def _is_directory(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_file(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_file(follow_symlinks=False)
    except OSError:
        return False


def _stored(item: os.DirEntry[str]) -> StoredFile | None:
    try:
        status = item.stat(follow_symlinks=False)
    except OSError:
        return None
    return StoredFile(name=item.name, bytes=status.st_size, changed_at=status.st_mtime)
