"""Makes whole what a kill, a power cut or a full disk left of a media file.

In place: what is half is cut off, then the index is appended, then the head is told of it. Each step leaves a file
that plays, so a repair that is killed itself is simply done again. Nothing that was recorded whole is moved or
written over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from channel_recorder.media.containers import repair_adts, repair_mp4, repair_ogg, repair_webm
from channel_recorder.media.containers.patching import DamagedError, Patched

_REPAIRS: Mapping[str, Callable[[Patched], bool]] = {
    ".webm": repair_webm.repair,
    ".mp4": repair_mp4.repair,
    ".m4a": repair_mp4.repair,
    ".ogg": repair_ogg.repair,
    ".aac": repair_adts.repair,
}
MEDIA_SUFFIXES = frozenset(_REPAIRS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What became of a file."""

    playable: bool
    """False: nothing in it is whole. It is left as it lies."""
    changed: bool
    cut_bytes: int
    """Of what was half written."""


def repair(path: Path) -> Repair:
    """Any bytes; a file that is whole, or of another kind, is not touched. Raises `OSError`."""
    if path.suffix not in MEDIA_SUFFIXES:
        return Repair(playable=True, changed=False, cut_bytes=0)
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        file = Patched(descriptor)
        playable = _repaired(file, path.suffix)
        return Repair(playable=playable, changed=file.changed, cut_bytes=file.cut_bytes)
    finally:
        os.close(descriptor)


def _repaired(file: Patched, suffix: str) -> bool:
    try:
        return _REPAIRS[suffix](file)
    except DamagedError:
        return True  # players find what is behind the damage, or some of it
