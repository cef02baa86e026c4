"""`manifest.json`, version 1: what a finished recording consists of. Other programs rely on it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from channel_recorder.errors import MalformedError
from channel_recorder.model import MediaKind, Source
from channel_recorder.recording.contract import FileClosed
from channel_recorder.recording.facts import stream_fields

VERSION = 1


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class ManifestSoundOffset(_Model):
    """Sound against the pictures of its file, in seconds, as far as the clocks are known; positive: sound is late."""

    mean: float
    p95: float
    """Of the distance, either way, as is the worst."""
    worst: float


class ManifestStream(_Model):
    kind: MediaKind
    codec: str
    frames: int = Field(ge=0)
    """Received and written; fillers not counted."""
    lost_frames: int = Field(default=0, ge=0)
    key_frames: int = Field(default=0, ge=0)
    filled_frames: int = Field(default=0, ge=0)
    """Silence and concealment put into holes of the sound."""
    gaps: int = Field(default=0, ge=0)
    """Nothing came for a while: packets were lost, or the user was away or muted. The journal tells of each."""
    gap_seconds: float = Field(default=0.0, ge=0)
    """All gaps together."""
    start: float = 0.0
    """First frame, seconds after the file's start."""
    sound_offset: ManifestSoundOffset | None = None
    """Pictures only, where there is sound beside them."""
    width: int | None = None
    """Pixels; pictures only, as are height and rotation."""
    height: int | None = None
    rotation: int | None = None
    """Degrees clockwise to turn the picture for display."""


class ManifestFile(_Model):
    name: str
    """In the manifest's own directory."""
    uid: int
    account: str
    source: Source
    start: float
    """Seconds since the recording's `started_at`."""
    duration: float = Field(ge=0)
    """Seconds."""
    bytes: int = Field(ge=0)
    sha256: str | None = None
    """Lower-case hex; left out where the file could not be read back."""
    streams: list[ManifestStream]

    @classmethod
    def of(cls, event: FileClosed, *, size_bytes: int, sha256: str | None) -> Self:
        return cls(
            name=event.name,
            uid=event.user.uid,
            account=event.user.account,
            source=event.source,
            start=round(event.start_seconds, 6),
            duration=round(event.duration_seconds, 6),
            bytes=size_bytes,
            sha256=sha256,
            streams=[ManifestStream.model_validate(stream_fields(stream)) for stream in event.streams],
        )


class ManifestSealedTrack(_Model):
    """An encrypted track of which no key opened everything."""

    uid: int
    account: str
    sid: str
    kind: MediaKind
    source: Source
    codec: str
    frames: int = Field(ge=0)
    """How many could not be decrypted: no media file holds them."""
    key_indexes: list[int]
    """Which keys these frames name."""
    start: float
    """The first of them, seconds since the recording's `started_at`."""
    end: float
    """The last."""
    files: list[str]
    """Where they are kept as they came (keep_ciphertext), in the manifest's own directory."""


class Manifest(_Model):
    version: Literal[1] = VERSION
    channel: str
    started_at: AwareDatetime
    """Recording time zero, UTC."""
    duration: float = Field(ge=0)
    """Seconds."""
    reason: str
    """Why the recording ended."""
    files: list[ManifestFile]
    """By start."""
    sealed_tracks: list[ManifestSealedTrack] | None = None
    """Left out where everything could be decrypted."""

    def to_json(self) -> bytes:
        return self.model_dump_json(indent=1, exclude_none=True).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Raises `MalformedError` for anything that is no manifest of this version."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in fault["loc"]) or "the file"
            raise MalformedError(f"no manifest of version {VERSION}: {place}: {fault['msg']}") from None


def read_manifest(path: Path) -> Manifest:
    """Raises `OSError`, `MalformedError`."""
    return Manifest.from_json(path.read_bytes())


def build_manifest(
    *,
    channel: str,
    started_at: datetime,
    duration_seconds: float,
    reason: str,
    files: list[ManifestFile],
    sealed_tracks: list[dict[str, Any]] | None = None,
) -> Manifest:
    return Manifest(
        channel=channel,
        started_at=started_at,
        duration=round(duration_seconds, 6),
        reason=reason,
        files=sorted(files, key=lambda file: (file.start, file.name)),
        sealed_tracks=[ManifestSealedTrack.model_validate(track) for track in sealed_tracks] if sealed_tracks else None,
    )
