"""The classic SDK's names of directories and files: values to text and back.

    <root>/<yyyymmdd>/<channel>_<HHMMSS>_<MSUSNS>/
        <uid>_<yyyymmddHHMMSSmmm>.<ext>             a media file; uid 0 is a composite
        <uid>_<yyyymmddHHMMSSmmm>_screen.<ext>      a shared screen
        uid_<uid>_<yyyymmddHHMMSSmmm>.txt           a uid log, and .uid_... its hidden twin

All times are UTC. `decode(x.encode()) == x`; `decode` raises `MalformedError` for any other text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Self

from channel_recorder.errors import MalformedError, StorageError
from channel_recorder.model import MAX_UID

DONE_MARKER = "recording2-done.txt"
JOURNAL = "journal.jsonl"
MANIFEST = "manifest.json"
METADATA = "metadata.txt"
NAME_MAX_BYTES = 255
"""Of one directory or file name, on every Linux file system in use."""

_UID = r"(?P<uid>0|[1-9][0-9]{0,9})"
_STAMP = r"(?P<stamp>[0-9]{17})"
_DIRECTORY = re.compile(r"(?P<channel>.+)_(?P<time>[0-9]{6})_(?P<fraction>[0-9]{9})", re.DOTALL)
_MEDIA = re.compile(_UID + "_" + _STAMP + r"(?P<screen>_screen)?\.(?P<extension>[a-z0-9]{1,16})")
_UID_LOG = re.compile(r"(?P<hidden>\.?)uid_" + _UID + "_" + _STAMP + r"\.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryName:
    """A recording's directory, below the root."""

    channel: str
    started_at: datetime
    """UTC, to the microsecond."""

    def encode(self) -> PurePosixPath:
        """Raises `StorageError` for a channel whose name can't be part of a directory name."""
        at = self.started_at.astimezone(UTC)
        name = f"{self.channel}_{at:%H%M%S}_{at.microsecond:06}000"
        if not self.channel or "/" in self.channel or "\0" in self.channel:
            raise StorageError(f"no directory can be named after the channel {self.channel!r}")
        if len(_bytes(name)) > NAME_MAX_BYTES:
            raise StorageError(f"the channel name {self.channel[:40]!r}... is too long for a directory name")
        return PurePosixPath(f"{at.year:04}{at:%m%d}", name)

    @classmethod
    def decode(cls, path: PurePosixPath) -> Self:
        """From the last two parts of a path."""
        found = _DIRECTORY.fullmatch(path.name)
        if found is None:
            raise MalformedError(f"{path.name!r} is no directory of a recording")
        digits = path.parent.name + found["time"] + found["fraction"][:6]
        return cls(channel=found["channel"], started_at=_instant(digits, "%Y%m%d%H%M%S%f", 20))


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaName:
    uid: int
    """0: a composite of all users."""
    recorded_at: datetime
    """UTC, the file's first instant, to the millisecond."""
    extension: str
    is_screen: bool = False

    def encode(self) -> str:
        screen = "_screen" if self.is_screen else ""
        return f"{self.uid}_{stamp(self.recorded_at)}{screen}.{self.extension}"

    @classmethod
    def decode(cls, name: str) -> Self:
        found = _MEDIA.fullmatch(name)
        if found is None:
            raise MalformedError(f"{name!r} is no name of a recorded file")
        return cls(
            uid=_uid(found["uid"]),
            recorded_at=unstamp(found["stamp"]),
            extension=found["extension"],
            is_screen=found["screen"] is not None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UidLogName:
    uid: int
    recorded_at: datetime
    is_hidden: bool = False
    """The twin that restores a log which a crash left empty."""

    def encode(self) -> str:
        return f"{'.' if self.is_hidden else ''}uid_{self.uid}_{stamp(self.recorded_at)}.txt"

    @classmethod
    def decode(cls, name: str) -> Self:
        found = _UID_LOG.fullmatch(name)
        if found is None:
            raise MalformedError(f"{name!r} is no name of a uid log")
        return cls(uid=_uid(found["uid"]), recorded_at=unstamp(found["stamp"]), is_hidden=bool(found["hidden"]))


def stamp(at: datetime) -> str:
    """yyyymmddHHMMSSmmm, cut (not rounded) to the millisecond."""
    at = at.astimezone(UTC)
    return f"{at.year:04}{at:%m%d%H%M%S}{at.microsecond // 1000:03}"


def unstamp(digits: str) -> datetime:
    """Raises `MalformedError` for digits that are no instant."""
    return _instant(digits + "000", "%Y%m%d%H%M%S%f", 20)


def _instant(digits: str, form: str, length: int) -> datetime:
    # strptime takes fewer digits and leading spaces as well: only the full number is the classic layout.
    if len(digits) != length or not (digits.isascii() and digits.isdigit()):
        raise MalformedError(f"{digits!r} is no instant")
    try:
        return datetime.strptime(digits, form).replace(tzinfo=UTC)
    except ValueError:
        raise MalformedError(f"{digits!r} is no instant") from None


def _uid(digits: str) -> int:
    uid = int(digits)
    if uid > MAX_UID:
        raise MalformedError(f"{digits} is greater than any uid")
    return uid


def _bytes(name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError:
        raise StorageError(f"{name!r} can't be written as UTF-8") from None
