"""What makes a recording final: check sums, a manifest that is there whole or not at all, the done marker."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path

HASH_THREADS = 2
"""hashlib frees the interpreter lock and does 1.8 GB/s per thread where the processor has SHA instructions."""

_PART_BYTES = 1 << 22


def sha256(path: Path, tell: Callable[[int], None] | None = None) -> str:
    """Lower-case hex. `tell`: called with the bytes of each part as they are done. Raises `OSError`."""
    with path.open("rb") as file:
        if tell is None:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        while part := file.read(_PART_BYTES):
            digest.update(part)
            tell(len(part))
        return digest.hexdigest()


class FileHasher:
    """Hashes files in the background as they are closed, so that few are left to do at the end."""

    def __init__(self) -> None:
        self._digests: dict[Path, Future[str]] = {}

    def add(self, path: Path) -> None:
        self._digests[path] = _hash_pool().submit(sha256, path)

    def digest(self, path: Path) -> str:
        """Of a path that was added; waits for it. Raises `OSError`."""
        return self._digests[path].result()


@cache
def _hash_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=HASH_THREADS, thread_name_prefix="channel-recorder-sha256")


def write_atomically(path: Path, data: bytes) -> None:
    """The file is there with all of `data`, on disk, or as it was. Raises `OSError`."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_files(paths: Iterable[Path]) -> None:
    """What was written survives a power failure. Raises `OSError`."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Names given and taken away in it survive a power failure. Raises `OSError`."""
    sync_files([path])


def write_done_marker(path: Path) -> None:
    """The classic SDK's empty `recording2-done.txt`: everything else is complete. Raises `OSError`."""
    write_atomically(path, b"")
