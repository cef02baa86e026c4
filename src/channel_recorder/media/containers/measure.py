"""What a media file holds, counted by reading all of it: for files that nobody was left to report on."""

# PyAV leaves some type parameters of its stubs open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError
from av.video.stream import VideoStream

from channel_recorder.codecs import opus
from channel_recorder.model import MediaKind

_PICTURE_SECONDS = 1 / 30
_PICTURE_MAX_SECONDS = 1.0
_CODEC_NAMES = {"hevc": "h265"}
_KINDS = {"video": MediaKind.VIDEO, "audio": MediaKind.AUDIO}
_SILENCE = frozenset({opus.SILENCE_20MS, b"\xf0\xff\xfe"})
"""What `recording.sound` fills holes with."""


@dataclass(slots=True)
class MeasuredStream:
    """Seconds count from the file's zero."""

    kind: MediaKind
    codec: str
    width: int = 0
    height: int = 0
    packets: int = 0
    key_frames: int = 0
    silent_packets: int = 0
    """That look like fillers for silence, after the time asked for; a sender's own silence looks the same."""
    concealed_packets: int = 0
    """That look like fillers for lost packets, after the time asked for."""
    start_seconds: float = 0.0
    end_seconds: float = 0.0
    _last_seconds: float = 0.0

    def add(self, packet: Any, since_seconds: float) -> None:
        at = float(packet.pts * packet.time_base)
        if not self.packets:
            self.start_seconds = at
        self.packets += 1
        self.key_frames += packet.is_keyframe
        self._last_seconds = max(at, self._last_seconds)
        self.end_seconds = max(self.end_seconds, at + float((packet.duration or 0) * packet.time_base))
        if self.kind is MediaKind.AUDIO and at >= since_seconds and packet.size <= len(opus.SILENCE_20MS):
            self._look_at_filler(bytes(packet))

    def _look_at_filler(self, data: bytes) -> None:
        self.silent_packets += data in _SILENCE
        self.concealed_packets += opus.is_dtx(data)

    def finish(self) -> None:
        """The last picture is shown as long as pictures were on average, where the file does not say."""
        if self.kind is MediaKind.VIDEO:
            cadence = (self._last_seconds - self.start_seconds) / (self.packets - 1) if self.packets > 1 else 0.0
            shown = min(cadence or _PICTURE_SECONDS, _PICTURE_MAX_SECONDS)
            self.end_seconds = max(self.end_seconds, self._last_seconds + shown)


def measure(path: Path, since_seconds: Mapping[MediaKind, float] | None = None) -> tuple[MeasuredStream, ...]:
    """Every stream that has a packet. Fillers are counted from `since_seconds` on; without it, all.

    A file that no player takes has none. Raises `OSError`.
    """
    path.stat()
    streams: dict[int, MeasuredStream] = {}
    # What was counted before a damaged place counts.
    with suppress(FFmpegError), av.open(f"file:{path}") as container:
        _count(container, streams, since_seconds or {})
    found = tuple(stream for stream in streams.values() if stream.packets)
    for stream in found:
        stream.finish()
    return found


def _count(container: Any, streams: dict[int, MeasuredStream], since_seconds: Mapping[MediaKind, float]) -> None:
    for stream in container.streams:
        if stream.type in _KINDS:
            streams[stream.index] = _stream(stream)
    for packet in container.demux():
        counted = streams.get(packet.stream.index)
        if counted is not None and packet.pts is not None:
            counted.add(packet, since_seconds.get(counted.kind, 0.0))


def _stream(stream: Any) -> MeasuredStream:
    context = stream.codec_context
    name: str = context.codec.canonical_name
    size = (context.width, context.height) if isinstance(stream, VideoStream) else (0, 0)
    return MeasuredStream(_KINDS[stream.type], _CODEC_NAMES.get(name, name), *size)
