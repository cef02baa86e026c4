"""A text file that grows by whole lines, each in the kernel's hands when `append` returns."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_BLOCK_BYTES = 1 << 16


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

    def mend(self, is_line: Callable[[bytes], bool]) -> None:
        """Ends a last line that has no end, if `is_line` takes it for whole; else cuts it off."""
        if not self._is_cut:
            return
        size = os.fstat(self._descriptor).st_size
        start = self._last_line_start(size)
        if is_line(os.pread(self._descriptor, size - start, start)):
            os.write(self._descriptor, b"\n")
        else:
            os.ftruncate(self._descriptor, start)
        self._is_cut = False

    def _last_line_start(self, size: int) -> int:
        end = size
        while end:
            begin = max(0, end - _BLOCK_BYTES)
            found = os.pread(self._descriptor, end - begin, begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            end = begin
        return 0

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
