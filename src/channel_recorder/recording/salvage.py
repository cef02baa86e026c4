"""One file that nobody closed: made whole, measured, and described as a recorder would have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from channel_recorder.media.containers.measure import MeasuredStream, measure
from channel_recorder.media.containers.repair import repair
from channel_recorder.model import MediaKind
from channel_recorder.recording.manifest import ManifestFile, ManifestStream
from channel_recorder.recording.remains import FileRemains
from channel_recorder.storage.finalize import sha256

_PACKET_SECONDS = 0.02


def salvage(path: Path, file: FileRemains, tell: Callable[[int], None]) -> tuple[ManifestFile | None, int]:
    """What the manifest says of the file, and how many bytes were cut off. None: nothing in it can be played.

    `tell` is called with bytes done, twice the size in all. Raises `OSError`.
    """
    size = path.stat().st_size
    result = repair(path)
    cut = result.cut_bytes
    entry = file.closed
    if entry is None or result.changed:
        streams = measure(path, dict.fromkeys(file.streams, file.duration_seconds))
        entry = _described(file, streams) if streams else None
    tell(size)
    if entry is None:
        tell(size)
        return None, cut
    fields = {"bytes": path.stat().st_size, "sha256": sha256(path, tell)}
    return entry.model_copy(update=fields), cut


def _described(file: FileRemains, streams: tuple[MeasuredStream, ...]) -> ManifestFile:
    return ManifestFile(
        name=file.name,
        uid=file.user.uid,
        account=file.user.account,
        source=file.source,
        start=round(file.start_seconds, 6),
        duration=round(max(stream.end_seconds for stream in streams), 6),
        bytes=0,
        streams=[_stream(file, stream) for stream in sorted(streams, key=lambda one: one.kind is MediaKind.AUDIO)],
    )


def _stream(file: FileRemains, measured: MeasuredStream) -> ManifestStream:
    """The last report's counts, and what came after it as far as the file tells."""
    before = file.streams.get(measured.kind)
    known: dict[str, Any] = before.model_dump(exclude_none=True) if before is not None else {}
    counted = _pictures(file, measured) if measured.kind is MediaKind.VIDEO else _sound(file, measured, before)
    counted["lost_frames"] += before.lost_frames if before is not None else 0
    start = before.start if before is not None else round(measured.start_seconds, 6)
    return ManifestStream.model_validate(
        {**known, "kind": measured.kind, "codec": measured.codec, "start": start, **counted}
    )


def _pictures(file: FileRemains, measured: MeasuredStream) -> dict[str, Any]:
    cadence = (measured.end_seconds - measured.start_seconds) / measured.packets
    return {
        "frames": measured.packets,
        "key_frames": measured.key_frames,
        "lost_frames": round(file.gap_seconds / cadence) if cadence > 0 else 0,
        "width": file.width or measured.width,
        "height": file.height or measured.height,
        "rotation": file.rotation,
    }


def _sound(file: FileRemains, measured: MeasuredStream, before: ManifestStream | None) -> dict[str, Any]:
    filled = (before.filled_frames if before is not None else 0) + measured.silent_packets + measured.concealed_packets
    frames = measured.packets - filled
    if measured.codec == "aac":
        # Encoded anew: its frames are others than those that came, and silence is none of a kind.
        since = max(0.0, measured.end_seconds - file.duration_seconds)
        frames = (before.frames if before is not None else 0) + round(since / _PACKET_SECONDS)
    return {
        "frames": max(0, frames),
        "filled_frames": filled,
        "lost_frames": measured.concealed_packets + file.lost_packets,
    }
