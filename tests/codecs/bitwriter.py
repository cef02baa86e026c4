"""Writes headers bit by bit, as text of zeros and ones."""

from __future__ import annotations


def fixed(count: int, value: int) -> str:
    return format(value, f"0{count}b")


def golomb(value: int) -> str:
    code = format(value + 1, "b")
    return "0" * (len(code) - 1) + code


def signed_golomb(value: int) -> str:
    return golomb(2 * value - 1 if value > 0 else -2 * value)


def pack(*fields: str) -> bytes:
    bits = "".join(fields)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[start : start + 8], 2) for start in range(0, len(bits), 8))
