"""Which recordings lie in a folder: by their names and journals, nothing is opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from channel_recorder.errors import MalformedError
from channel_recorder.storage import names
from channel_recorder.storage.directory import RecordingDirectory
from channel_recorder.storage.names import DirectoryName, MediaName

_JOURNAL = re.compile(r"journal(?:_(?P<stamp>[0-9]{17}))?\.jsonl")
_DAY = re.compile(r"[0-9]{8}")
_UNKNOWN_START = datetime(1970, 1, 1, tzinfo=UTC)


def find_recordings(folder: Path) -> list[RecordingDirectory]:
    """In the folder itself, or in a root's day folders, or in one of those. Raises `OSError`."""
    found = list(_recordings_in(folder))
    if not found:
        for path in sorted(_folders(folder)):
            found += _recordings_in(path)
            if _DAY.fullmatch(path.name):
                for below in sorted(_folders(path)):
                    found += _recordings_in(below)
    return found


def media_names(folder: Path) -> list[str]:
    """Of files named as recordings name theirs. Raises `OSError`."""
    return sorted(path.name for path in folder.iterdir() if is_media_name(path.name) and path.is_file())


def is_media_name(name: str) -> bool:
    try:
        MediaName.decode(name)
    except MalformedError:
        return False
    return True


def _recordings_in(folder: Path) -> Iterator[RecordingDirectory]:
    """One for each journal; several in a flat folder. A folder that lost its journal is known by its name."""
    channel, started_at = _named(folder)
    listed = list(folder.iterdir())
    stamps = [found["stamp"] or "" for path in listed if (found := _JOURNAL.fullmatch(path.name))]
    if not stamps and channel and any(is_media_name(path.name) for path in listed):
        stamps = [""]
    for stamp in sorted(stamps):
        at = started_at
        with suppress(MalformedError):
            at = names.unstamp(stamp) if stamp else started_at
        yield RecordingDirectory(path=folder, channel=channel, started_at=at, side_stamp=stamp)


def _named(folder: Path) -> tuple[str, datetime]:
    try:
        name = DirectoryName.decode(PurePosixPath(folder.absolute()))
    except MalformedError:
        return "", _UNKNOWN_START
    return name.channel, name.started_at


def _folders(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
