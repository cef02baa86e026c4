"""Where things lie, and how a step runs, waits and fails."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Generator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "channel-recorder"


class SetupError(Exception):
    """Something is missing that cannot be had from here; the message says what to do."""


def say(message: str) -> None:
    print(f"setup: {message}", flush=True)


def run(*command: str | Path, env: dict[str, str] | None = None, quiet: bool = False) -> None:
    """`quiet`: what it says of its success is nothing that anybody wants to know."""
    out = subprocess.DEVNULL if quiet else None
    done = subprocess.run(command, env=os.environ | (env or {}), stdin=subprocess.DEVNULL, stdout=out, check=False)
    if done.returncode:
        raise SetupError(f"`{' '.join(str(word) for word in command)}` ended with status {done.returncode}")


@contextlib.contextmanager
def locked(path: Path, what: str) -> Generator[None]:
    """One process at a time, among all clones of this user."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another set-up that is busy with {what}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
