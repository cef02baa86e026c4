"""Opus: a packet is a frame (RFC 7587 section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence

from channel_recorder.errors import MalformedError


def starts_frame(payload: bytes) -> bool:
    return bool(payload)


def starts_key_frame(payload: bytes) -> bool:
    """Sound begins with any packet."""
    return bool(payload)


def assemble(payloads: Sequence[bytes]) -> bytes:
    """Raises `MalformedError` unless there is one payload, not empty."""
    if len(payloads) != 1 or not payloads[0]:
        raise MalformedError("an Opus frame is one packet")
    return payloads[0]
