"""How a recording that is being written is told from one that a dead process left: by a lock on its journal.

The kernel gives a lock of `flock` back when its process ends, however it ends; reading or closing the file elsewhere
in the process does not (it would with the other kind, POSIX record locks). A child that was forked without exec
keeps it. On NFS it holds between machines too.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def try_lock(descriptor: int) -> bool:
    """False: another has it. Raises `OSError` where the file system knows no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(path: Path) -> Generator[bool]:
    """Whether the file's lock was free; then it is held until the block ends. Raises `OSError`.

    For writing, without which NFS gives no lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield try_lock(descriptor)
    finally:
        os.close(descriptor)
