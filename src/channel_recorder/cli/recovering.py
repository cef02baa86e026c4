"""What `channel-recorder recover` does and says."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from channel_recorder.cli.exits import FAILURE
from channel_recorder.cli.figures import clock, plural, size
from channel_recorder.cli.output import standard_output
from channel_recorder.clock import monotonic_seconds, utc_now
from channel_recorder.errors import StorageError
from channel_recorder.recording.recovery import Recovery, RecoveryState, check_is_folder, recover_all

QUIET_SECONDS = 2.0
"""What takes longer has a progress bar."""


def run_recovery(folder: Path, *, as_json: bool) -> int:
    """Returns the exit status. Raises StorageError for a folder without recordings."""
    check_is_folder(folder)
    stream = standard_output()
    report = _JsonReport(stream) if as_json else _HumanReport(stream)
    with _progress(folder) as advance:
        results = list(recover_all(folder, advance))
    if not results:
        raise StorageError(f"{folder} holds no recording: name a recording's folder, or one with recordings in it")
    for result in results:
        report.recording(result)
    report.summary(results)
    return FAILURE if any(isinstance(result, StorageError) for result in results) else 0


class _HumanReport:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def recording(self, result: Recovery | StorageError) -> None:
        if isinstance(result, StorageError):
            self._say(f"failed     {result}")
        elif result.state is RecoveryState.LIVE:
            self._say(f"live       {result.directory.path}  is being recorded: left alone")
        elif result.state is RecoveryState.RECOVERED:
            self._say(f"recovered  {result.directory.path}  {_contents(result)}")
            for name in result.unplayable:
                self._say(f"           {name} holds nothing that plays: left as it lies")

    def summary(self, results: list[Recovery | StorageError]) -> None:
        counts = _counts(results)
        whole = counts["finished"] + counts["recovered"] + counts["empty"]
        words = [f"{plural(counts['recovered'], 'recording')} recovered"]
        words += [f"{counts['live']} being recorded"] if counts["live"] else []
        words += [f"{counts['failed']} failed"] if counts["failed"] else []
        words += [f"{whole - counts['recovered']} whole already"] if whole > counts["recovered"] else []
        self._say(", ".join(words))

    def _say(self, line: str) -> None:
        self._stream.write(f"{line}\n")


class _JsonReport:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def recording(self, result: Recovery | StorageError) -> None:
        if isinstance(result, StorageError):
            self._tell("error", message=str(result))
            return
        manifest = result.manifest
        self._tell(
            result.state.value,
            storage_dir=str(result.directory.path),
            channel=result.directory.channel,
            reason=manifest.reason if manifest else None,
            duration=manifest.duration if manifest else None,
            files=[file.name for file in manifest.files] if manifest else [],
            unplayable=list(result.unplayable),
            cut_bytes=result.cut_bytes,
        )

    def summary(self, results: list[Recovery | StorageError]) -> None:
        self._tell("done", **_counts(results))

    def _tell(self, event: str, **fields: object) -> None:
        now = utc_now().isoformat(timespec="milliseconds")
        self._stream.write(json.dumps({"event": event, **fields, "time": now}) + "\n")
        self._stream.flush()


def _counts(results: list[Recovery | StorageError]) -> dict[str, int]:
    states = [result.state.value for result in results if isinstance(result, Recovery)]
    counts = {state.value: states.count(state.value) for state in RecoveryState}
    return counts | {"failed": len(results) - len(states)}


def _contents(result: Recovery) -> str:
    manifest = result.manifest
    assert manifest is not None
    total = sum(file.bytes for file in manifest.files)
    return f"{clock(manifest.duration)}  {plural(len(manifest.files), 'file')}  {size(total)}"


@contextmanager
def _progress(folder: Path) -> Generator[Callable[[int, int], None]]:
    """A bar on the terminal, if it takes long. Called with bytes done so far and in all."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("recovering"), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console, transient=True
    )
    task = bar.add_task(str(folder), total=None)
    begin = monotonic_seconds()
    is_shown = False

    def advance(done: int, total: int) -> None:
        nonlocal is_shown
        if not is_shown and sys.stderr.isatty() and monotonic_seconds() - begin > QUIET_SECONDS:
            is_shown = True
            bar.start()
        if is_shown:
            bar.update(task, completed=done, total=total)

    try:
        yield advance
    finally:
        if is_shown:
            bar.stop()
