"""Several messages in one input, each behind a 16-bit length (RFC 4571): what a fuzzer mutates freely."""

from __future__ import annotations

from collections.abc import Iterable

MAX_RECORDS = 200


def pack(records: Iterable[bytes]) -> bytes:
    return b"".join(len(record).to_bytes(2, "big") + record for record in records)


def unpack(data: bytes) -> list[bytes]:
    """Any bytes are records: the last one ends where the data ends."""
    found: list[bytes] = []
    position = 0
    while position < len(data) and len(found) < MAX_RECORDS:
        start = position + 2
        position = start + int.from_bytes(data[position:start], "big")
        found.append(data[start:position])
    return found
