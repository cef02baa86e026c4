"""Room on the disk that is kept for the end of a recording: indexes, logs and the manifest of a full disk."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

RESERVE = ".space-reserve"


class SpaceReserve:
    """A file of zeros, given back when the recording ends or the disk is full. A killed recorder's is removed by the
    recovery, for the same end."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Raises `OSError`; nothing is kept then."""
        self._path = path
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if size_bytes:
                os.posix_fallocate(descriptor, 0, size_bytes)
        except OSError:
            self.release()
            raise
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """No effect the second time."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
