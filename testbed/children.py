"""Processes of scenes, all known here, so that a scene that failed leaves none running to starve the next."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Any

_started: dict[int, Process] = {}


async def start(*command: str, stdin: int = PIPE, **options: Any) -> Process:
    """As `asyncio.create_subprocess_exec`, with pipes."""
    process = await asyncio.create_subprocess_exec(*command, stdin=stdin, stdout=PIPE, stderr=PIPE, **options)
    _started[process.pid] = process
    return process


def kill_those_left() -> None:
    """To be called between scenes: whoever still runs belongs to none."""
    for pid, process in _started.items():
        # The loop that would notice an end may be closed, and the number somebody else's by now.
        if process.returncode is None and _is_child(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    _started.clear()


def _is_child(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return int(status.rpartition(")")[2].split()[1]) == os.getpid()
