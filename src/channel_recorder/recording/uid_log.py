"""The classic SDK's uid logs: one per user and span, in the grammar its conversion tools read.

    new session started
    0.000 7_20240301101500120.webm create
    0.021 7_20240301101500120.webm info channels=2
    0.040 7_20240301101500120.webm info width=640 height=360 rotation=0
    42.480 7_20240301101500120.webm close

Times are recording time with 3 decimals. The tag line is always there: tools that merge need it. A hidden
twin has the same lines; the classic restore script takes it when a crash left the log empty.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from channel_recorder.recording.contract import AudioInfo, FileClosed, FileCreated, FileEvent, Rotated, VideoInfo
from channel_recorder.recording.line_file import LineFile

TAG_LINE = "new session started"

LogPath = Callable[[int, float], Path]
"""(uid, recording time of the first file) to the path of a new log."""


def event_line(event: FileEvent) -> str | None:
    """A file event in the classic grammar; None: the grammar has no word for it."""
    match event:
        case FileCreated(codec_switch=switch):
            return f"{_time(event.at_seconds)} {event.name} create{' codecswitch' if switch else ''}"
        case AudioInfo(channels=channels):
            return f"{_time(event.at_seconds)} {event.name} info channels={channels}"
        case VideoInfo():
            size = f"width={event.width} height={event.height} rotation={event.rotation}"
            return f"{_time(event.at_seconds)} {event.name} info {size}"
        case Rotated(rotation=rotation):
            return f"{_time(event.at_seconds)} {event.name} rotate rotation={rotation}"
        case FileClosed():
            return close_line(event.name, event.at_seconds)
        case _:
            return None


def close_line(name: str, at_seconds: float) -> str:
    return f"{_time(at_seconds)} {name} close"


class UidLog:
    """One user's log and its hidden twin. Methods raise `OSError`."""

    def __init__(self, path: Path) -> None:
        self._files = (LineFile(path), LineFile(path.with_name("." + path.name)))
        self._append(TAG_LINE)
        self._open_names: dict[str, None] = {}

    def event(self, event: FileEvent) -> None:
        line = event_line(event)
        if line is None:
            return
        self._append(line)
        if isinstance(event, FileCreated):
            self._open_names[event.name] = None
        elif isinstance(event, FileClosed):
            self._open_names.pop(event.name, None)

    def close(self, at_seconds: float) -> None:
        """Files that could not be closed (a full disk) end here: every `create` has its `close`."""
        for name in self._open_names:
            self._append(close_line(name, at_seconds))
        self._open_names.clear()
        for file in self._files:
            file.close()

    def _append(self, line: str) -> None:
        for file in self._files:
            file.append(line.encode())


class UidLogs:
    """The logs of all users of a recording. Methods raise `OSError`, and `StorageError` for want of a name."""

    def __init__(self, log_path: LogPath) -> None:
        self._log_path = log_path
        self._logs: dict[int, UidLog] = {}

    def event(self, event: FileEvent) -> None:
        if isinstance(event, FileCreated) and event.user.uid not in self._logs:
            path = self._log_path(event.user.uid, event.at_seconds)
            self._logs[event.user.uid] = UidLog(path)
        user = getattr(event, "user", None)
        log = self._logs.get(user.uid) if user is not None else None
        if log is not None:
            log.event(event)

    def end_span(self, at_seconds: float) -> None:
        """The next span begins new logs."""
        logs, self._logs = self._logs, {}
        for log in logs.values():
            log.close(at_seconds)


def metadata_text(channel: str) -> str:
    """`metadata.txt`, the classic SDK's three lines."""
    return f"<version>2.0</version>\n<tag></tag>\n<channel name>{channel}</channel name>\n"


def _time(seconds: float) -> str:
    return f"{max(0.0, seconds):.3f}"
