"""Counters that wrap on the wire, continued beyond: the value nearest to one that is known."""

from __future__ import annotations


def unwrap16(value: int, near: int) -> int:
    """The number that is `value` modulo 2**16 and at most half a turn away from `near`."""
    return near + ((value - near + 0x8000) & 0xFFFF) - 0x8000


def unwrap32(value: int, near: int) -> int:
    """The number that is `value` modulo 2**32 and at most half a turn away from `near`."""
    return near + ((value - near + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
