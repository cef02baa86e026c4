"""Bits of a header, most significant first: fixed fields and Exp-Golomb codes (H.264 section 9.1)."""

from __future__ import annotations

from channel_recorder.errors import MalformedError

_MAX_GOLOMB_ZEROS = 32


class BitReader:
    """Reads a header. Hand it the header only: the bytes become one big number.

    Every read raises `MalformedError` past the end.
    """

    __slots__ = ("_left", "_value", "position")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8
        self.position = 0
        """Bits read so far."""

    def read(self, count: int) -> int:
        """The next `count` bits as an unsigned number."""
        left = self._left - count
        if left < 0:
            raise MalformedError("header ends early")
        self._left = left
        self.position += count
        return (self._value >> left) & ((1 << count) - 1)

    def flag(self) -> bool:
        return self.read(1) == 1

    def skip(self, count: int) -> None:
        self.read(count)

    def golomb(self) -> int:
        """ue(v): an unsigned Exp-Golomb code."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > _MAX_GOLOMB_ZEROS:
                raise MalformedError("Exp-Golomb code too long")
        return (1 << zeros) - 1 + self.read(zeros)

    def signed_golomb(self) -> int:
        """se(v): 0, 1, -1, 2, -2, ..."""
        code = self.golomb()
        return (code + 1) // 2 if code & 1 else -(code // 2)
