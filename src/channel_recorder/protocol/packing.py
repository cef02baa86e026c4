"""Bytes as AccessToken 006 and 007 are packed: little-endian numbers, and text behind a 16-bit length."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from channel_recorder.errors import ConfigError, MalformedError

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")


class Reader:
    """Takes one value after the other from the front. Raises MalformedError where there are not enough bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def u16(self) -> int:
        return int(_U16.unpack(self._take(2))[0])

    def u32(self) -> int:
        return int(_U32.unpack(self._take(4))[0])

    def octets(self) -> bytes:
        return self._take(self.u16())

    def text(self) -> str:
        try:
            return self.octets().decode()
        except UnicodeDecodeError:
            raise MalformedError("a text is not UTF-8") from None

    def numbers(self) -> dict[int, int]:
        """A map of u16 to u32."""
        return {self.u16(): self.u32() for _ in range(self.u16())}

    def rest(self) -> bytes:
        return self._take(len(self._data) - self._position)

    def _take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise MalformedError("it ends too early")
        taken = self._data[self._position : end]
        self._position = end
        return taken


def pack_u16(number: int) -> bytes:
    return _U16.pack(number)


def pack_u32(number: int) -> bytes:
    return _U32.pack(number)


def pack_octets(data: bytes) -> bytes:
    """Raises ConfigError for more than a 16-bit length can tell."""
    if len(data) > 0xFFFF:
        raise ConfigError("a token holds no text of more than 65,535 bytes")
    return _U16.pack(len(data)) + data


def pack_text(text: str) -> bytes:
    return pack_octets(text.encode())


def pack_numbers(numbers: Mapping[int, int]) -> bytes:
    """In ascending order of the keys, as every implementation signs them."""
    pairs = [_U16.pack(key) + _U32.pack(value) for key, value in sorted(numbers.items())]
    return _U16.pack(len(pairs)) + b"".join(pairs)
