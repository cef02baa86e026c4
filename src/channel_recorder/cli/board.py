"""What the human output knows at this moment: who is there, which files grow, and the last figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from channel_recorder.cli.figures import one_line
from channel_recorder.handler import RecordedFile, RecordingStats


@dataclass(slots=True, kw_only=True)
class Presence:
    """A user who is, or was, in the channel."""

    account: str
    name: str
    joined_seconds: float
    here: bool = True
    sound: bool = False
    picture: bool = False
    picture_size: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFile:
    path: Path
    uid: int
    since_seconds: float


@dataclass(slots=True)
class Board:
    users: dict[int, Presence] = field(default_factory=dict[int, Presence])
    open_files: dict[Path, OpenFile] = field(default_factory=dict[Path, OpenFile])
    closed_files: list[RecordedFile] = field(default_factory=list[RecordedFile])
    stats: RecordingStats | None = None
    connection: str = ""
    """What is wrong with the connection now, else empty."""

    def label(self, uid: int) -> str:
        """`7`, `7 (Alice)`, or `2847364512 (anna@example.org)`: the number and what people know it by."""
        user = self.users.get(uid)
        known_as = one_line(user.name or user.account) if user else ""
        return str(uid) if known_as in ("", str(uid)) else f"{uid} ({known_as})"

    def here(self) -> list[tuple[int, Presence]]:
        return [(uid, user) for uid, user in list(self.users.items()) if user.here]

    def files_of(self, uid: int) -> list[OpenFile]:
        return [file for file in list(self.open_files.values()) if file.uid == uid]


def bytes_on_disk(path: Path) -> int:
    """0 for a file that is gone: it was renamed or removed on closing."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
