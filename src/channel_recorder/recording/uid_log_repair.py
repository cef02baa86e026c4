"""Uid logs that a dead process left: half lines cut, a lost log taken from its twin, every `create` its `close`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from channel_recorder.errors import MalformedError
from channel_recorder.recording.line_file import LineFile
from channel_recorder.recording.uid_log import TAG_LINE, close_line
from channel_recorder.storage.finalize import write_atomically
from channel_recorder.storage.names import UidLogName

_MAX_BYTES = 1 << 26


def close_uid_logs(folder: Path, ends: Mapping[str, float]) -> None:
    """Of the files named, with the recording time at which each ends. Other files' logs are left. Raises `OSError`."""
    paths = {path.with_name(path.name.removeprefix(".")) for path in folder.iterdir() if _is_log(path.name)}
    for path in sorted(paths):
        _close_log(path, ends)


def open_names(lines: list[str]) -> list[str]:
    """Files that were created and not closed, in a log of any content."""
    names: dict[str, None] = {}
    for line in lines:
        match line.split(" "):
            case [_, name, "create", *_]:
                names[name] = None
            case [_, name, "close"]:
                names.pop(name, None)
            case _:
                pass
    return list(names)


def _close_log(path: Path, ends: Mapping[str, float]) -> None:
    twin = path.with_name("." + path.name)
    text, hidden = _whole_lines(path), _whole_lines(twin)
    best = text if len(text) >= len(hidden) else hidden
    lines = best.decode(errors="replace").splitlines()
    if not any(line.split(" ")[1:2] == [name] for line in lines for name in ends):
        return
    for each, content in ((path, text), (twin, hidden)):
        if content != best and best.startswith(content):
            write_atomically(each, best)
        _append(each, [close_line(name, ends[name]) for name in open_names(lines) if name in ends])


def _append(path: Path, lines: list[str]) -> None:
    file = LineFile(path)
    try:
        file.mend(lambda line: line == TAG_LINE.encode())
        for line in lines:
            file.append(line.encode())
    finally:
        file.close()


def _whole_lines(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES)
    except FileNotFoundError:
        return b""
    return data[: data.rfind(b"\n") + 1]


def _is_log(name: str) -> bool:
    try:
        UidLogName.decode(name)
    except MalformedError:
        return False
    return True
