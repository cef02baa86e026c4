"""A file that is repaired in place, one careful step after the other."""

from __future__ import annotations

import os
from contextlib import suppress


class DamagedError(Exception):
    """More is behind the damage than a kill leaves half: cutting would take whole pictures and sound away."""


class Patched:
    """Reads anywhere, cuts and appends at the end, writes over a few bytes of the head. Methods raise `OSError`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self.changed = False
        self.cut_bytes = 0

    def read(self, position: int, length: int) -> bytes:
        """Shorter at the end of the file."""
        return os.pread(self._descriptor, max(0, min(length, self.size - position)), position)

    def cut(self, position: int, limit_bytes: int) -> None:
        """What comes from there on is half. Raises `DamagedError` if it is more than anything half can be."""
        if self.size - position > limit_bytes:
            raise DamagedError(f"{self.size - position} bytes behind a damaged place")
        if position < self.size:
            os.ftruncate(self._descriptor, position)
            self.cut_bytes += self.size - position
            self.size = position
            self.changed = True

    def append(self, data: bytes) -> None:
        """All of it, on disk, or nothing."""
        rest, position = memoryview(data), self.size
        try:
            while rest:
                written = os.pwrite(self._descriptor, rest, position)
                rest, position = rest[written:], position + written
            os.fsync(self._descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size = position
        self.changed = True

    def overwrite(self, position: int, data: bytes) -> None:
        """In one write, on disk. Nothing if it is there already."""
        if self.read(position, len(data)) != data:
            os.pwrite(self._descriptor, data, position)
            os.fsync(self._descriptor)
            self.changed = True
