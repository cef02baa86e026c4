"""RTP payloads to frames, one file per payload format.

A payload format is three pure functions. The receiver groups the payloads of one frame (same time stamp,
contiguous sequence numbers, up to the marker) and asks:

- `starts_frame(payload)`: can this payload be the first of a frame? Tells, after a loss, whether the
  beginning is there.
- `assemble(payloads)`: the frame in the form `EncodedFrame.data` documents; raises `MalformedError`.

A server forwards packets as they come and asks of one alone:

- `starts_key_frame(payload)`: does what can be decoded without anything before begin here?
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PayloadFormat:
    starts_frame: Callable[[bytes], bool]
    assemble: Callable[[Sequence[bytes]], bytes]
    starts_key_frame: Callable[[bytes], bool]
    split: Callable[[Sequence[bytes]], list[bytes]] | None = None
    """The parts of a frame that its sender made apart, where there may be several."""
    join: Callable[[Sequence[bytes]], bytes] = b"".join
    follows: Callable[[bytes, bytes], bool] | None = None
    """(first payload of a picture, first payload of another): the payload format numbers pictures, and says that no
    picture lies between them. Never raises."""


def is_next_number(before: int | None, after: int | None, bits: int) -> bool:
    """Picture numbers of so many bits; None where there is none."""
    return before is not None and after is not None and after == before + 1 & (1 << bits) - 1
