"""`journal.jsonl`: everything that happened in a recording, one JSON object per line.

    {"at": 12.345678, "wall": "2026-03-01T10:15:12.345678+00:00", "fact": "user_joined", "uid": 7, ...}

`at` is recording time in seconds; facts from before the recording began have a negative one. Lines are in
the order in which things were learned, so `at` may step back. What the facts hold: `facts.py`.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from channel_recorder.recording.line_file import LineFile
from channel_recorder.storage.locks import try_lock

LINE_MAX_BYTES = 128 * 2**10
"""Longer ones are replaced by a line that says so. A data packet of the channel (64 KiB) fits, in base64."""

Entry = dict[str, Any]


class Journal:
    """Writes a journal, and holds its lock: who has that writes the recording. Methods raise `OSError`."""

    def __init__(self, path: Path, *, sync_interval_seconds: float | None = None, needs_lock: bool = False) -> None:
        """`sync_interval_seconds`: how much a power failure may cost; 0 syncs every line, None only the end.
        `needs_lock`: without one nobody knows who else writes. `OSError` EBUSY: another does."""
        self._file = LineFile(path)
        self._lock(needs_lock)
        self._sync_interval_seconds = sync_interval_seconds
        self._synced_at: float | None = None

    def write(self, at_seconds: float, wall: datetime, fact: str, fields: Mapping[str, Any]) -> None:
        line = encode(at_seconds, wall, fact, fields)
        if len(line) > LINE_MAX_BYTES:
            line = encode(at_seconds, wall, fact, {"too_long_bytes": len(line)})
        self._file.append(line)
        self._sync_if_due(at_seconds)

    def sync(self) -> None:
        self._file.sync()

    def close(self) -> None:
        """Gives the lock back: the recording is nobody's now."""
        try:
            self._file.sync()
        finally:
            self._file.close()

    def mend(self) -> None:
        """The last line may have been cut: what is no fact is cut off, one that lacks its end only gets it."""
        self._file.mend(lambda line: _parse_line(line) is not None)

    def _lock(self, needs_lock: bool) -> None:
        try:
            is_ours = try_lock(self._file.descriptor)
        except OSError:
            # A file system without locks: no recovery will touch it.
            is_ours = not needs_lock
            if needs_lock:
                self._file.close()
                raise
        if not is_ours:
            self._file.close()
            raise OSError(errno.EBUSY, "another process is at work on this recording")

    def _sync_if_due(self, at_seconds: float) -> None:
        interval = self._sync_interval_seconds
        if interval is not None and (self._synced_at is None or at_seconds - self._synced_at >= interval):
            self._file.sync()
            self._synced_at = at_seconds


def encode(at_seconds: float, wall: datetime, fact: str, fields: Mapping[str, Any]) -> bytes:
    """One line, ASCII only: no text of a participant can break the line or the encoding."""
    entry = {**fields, "at": round(at_seconds, 6), "wall": wall.isoformat(timespec="microseconds"), "fact": fact}
    ordered = {key: entry.pop(key) for key in ("at", "wall", "fact")} | entry
    return json.dumps(ordered, separators=(",", ":"), default=str).encode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalContent:
    entries: list[Entry]
    damaged_lines: int
    """Lines that were cut or are no facts; left out."""


def read_journal(path: Path) -> JournalContent:
    """Of a finished, a killed or a running recording. Raises `OSError`."""
    return parse_journal(path.read_bytes())


def parse_journal(data: bytes) -> JournalContent:
    """Any bytes: what is no whole fact is counted and left out."""
    lines = [line for line in data.split(b"\n") if line]
    entries = [entry for line in lines if (entry := _parse_line(line)) is not None]
    return JournalContent(entries=entries, damaged_lines=len(lines) - len(entries))


def _parse_line(line: bytes) -> Entry | None:
    try:
        entry: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    known = cast("Entry", entry)
    is_fact = isinstance(known.get("fact"), str) and isinstance(known.get("at"), int | float)
    return known if is_fact else None
