"""A text file that grows by whole lines, each in the kernel's hands when `append` returns."""

from __future__ import annotations

import os
from pathlib import Path


class LineFile:
    """A killed process loses no line; a power failure those since the last `sync`. Methods raise `OSError`."""

    def __init__(self, path: Path) -> None:
        """Creates the file, or continues it after a line that was cut."""
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        size = os.fstat(self._descriptor).st_size
        self._is_cut = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"

    @property
    def descriptor(self) -> int:
        return self._descriptor

    def append(self, line: bytes) -> None:
        """`line` without its end."""
        data = b"\n" + line + b"\n" if self._is_cut else line + b"\n"
        # A full disk may take a part: what comes after must not continue that line.
        self._is_cut = True
        written = os.write(self._descriptor, data)
        if written < len(data):
            written += os.write(self._descriptor, data[written:])
        self._is_cut = written < len(data)

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
