"""EBML elements, RFC 8794: identifier, size, content. Identifiers are RFC 9559's (Matroska)."""

from __future__ import annotations

import struct

_FLOAT = struct.Struct(">d")
_SIZE_8 = 0x01 << 56
UNKNOWN_SIZE = b"\x01" + b"\xff" * 7
"""A master element that goes on until its parent's next one, or the end of the file."""
_VOID = b"\xec"


def element(identifier: int, content: bytes) -> bytes:
    """Any element; its size takes as few bytes as it can."""
    return _identifier(identifier) + _size(len(content)) + content


def master(identifier: int, *children: bytes) -> bytes:
    return element(identifier, b"".join(children))


def unsigned(identifier: int, value: int) -> bytes:
    return element(identifier, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def float64(identifier: int, value: float) -> bytes:
    return element(identifier, _FLOAT.pack(value))


def text(identifier: int, value: str) -> bytes:
    return element(identifier, value.encode())


def void(total_bytes: int) -> bytes:
    """Room of 9 bytes or more for something that is not known yet."""
    content_bytes = total_bytes - len(_VOID) - 8
    return _VOID + size_8(content_bytes) + bytes(content_bytes)


def size_8(length: int) -> bytes:
    """A size in eight bytes, which can be written later in place of `UNKNOWN_SIZE`."""
    return (_SIZE_8 | length).to_bytes(8, "big")


def _identifier(identifier: int) -> bytes:
    return identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")


def _size(length: int) -> bytes:
    width = 1
    while length >= (1 << 7 * width) - 1:
        width += 1
    return ((1 << 7 * width) | length).to_bytes(width, "big")
