"""The seam between the media loop and everything that writes: sinks, and what they report.

A recorder runs on the writer thread. It is sans-clock: every call brings the recording time (seconds
since the recording began), so that live recording and replay of a journal give the same files.
Calls come in order of submission; times never go backwards for one sink.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from channel_recorder.model import EncodedFrame, MediaKind, Source, User


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTrack:
    """A track that is about to be recorded."""

    sid: str
    user: User
    kind: MediaKind
    source: Source
    muted: bool = False
    sealed: bool = False
    """Its frames are encrypted ones that no key opened: to be kept as they are."""


class TrackSink(Protocol):
    """Takes the frames of one track."""

    def write(self, frame: EncodedFrame) -> None:
        """`frame.time_seconds` is set. Hot path."""
        ...

    def close(self, at_seconds: float) -> None:
        """The track ended (unpublished, excluded, connection gone). Its file may go on for others."""
        ...


class Recorder(Protocol):
    """A sink of tracks: individual, composite, or several at once."""

    def add_track(self, track: RecordedTrack, at_seconds: float) -> TrackSink: ...

    def mute_track(self, sid: str, muted: bool, at_seconds: float) -> None: ...

    def user_joined(self, user: User, at_seconds: float) -> None: ...

    def user_left(self, user: User, at_seconds: float) -> None:
        """Files of the user wait for a return (15 s), then close with the length of the presence."""
        ...

    def advance(self, now_seconds: float) -> None:
        """Time passed: fill silence, open what waited long enough, close what nobody came back to."""
        ...

    def close(self, at_seconds: float) -> None:
        """The recording (or one manual start/stop span) ended: every file is whole after this."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCreated:
    at_seconds: float
    name: str
    user: User
    source: Source
    codec_switch: bool = False
    """The file goes on where another of the same user and source stopped for a new codec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    at_seconds: float
    name: str
    user: User
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """First picture, or its size changed."""

    at_seconds: float
    name: str
    user: User
    width: int
    height: int
    rotation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    at_seconds: float
    name: str
    user: User
    rotation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Nothing came for the time given: lost packets, mute, absence. Sound was filled with silence."""

    at_seconds: float
    name: str
    user: User
    kind: MediaKind
    duration_seconds: float
    lost_packets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundOffset:
    """Sound against the pictures of its file, in seconds, as far as the clocks are known; positive: sound is late."""

    mean_seconds: float
    p95_seconds: float
    """Of the distance, either way, as is the worst."""
    worst_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSummary:
    kind: MediaKind
    codec: str
    frames: int
    """Frames received and written; fillers not counted."""
    key_frames: int = 0
    filled_frames: int = 0
    """Silence and concealment put into holes of the sound."""
    lost_frames: int = 0
    """Sound: packets given up. Video: frames between loss and the next key frame, estimated from the cadence."""
    gaps: int = 0
    """Those journalled."""
    gap_seconds: float = 0.0
    """All of them together."""
    start_seconds: float = 0.0
    """First frame, seconds after the file's start."""
    sound_offset: SoundOffset | None = None
    """Of pictures that have sound beside them."""
    width: int = 0
    height: int = 0
    rotation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProgress:
    """What an open file holds so far: what a kill leaves of the counts, which the file alone does not tell."""

    at_seconds: float
    name: str
    user: User
    duration_seconds: float
    streams: tuple[StreamSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileClosed:
    at_seconds: float
    name: str
    user: User
    source: Source
    start_seconds: float
    """Recording time of the file's zero."""
    duration_seconds: float
    bytes: int
    streams: tuple[StreamSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageFailed:
    """The disk refused a write: the file named is closed as it lies."""

    at_seconds: float
    name: str
    message: str
    final: bool = False
    """It will take no more: the recording ends."""


FileEvent = FileCreated | AudioInfo | VideoInfo | Rotated | Gap | FileProgress | FileClosed | StorageFailed
