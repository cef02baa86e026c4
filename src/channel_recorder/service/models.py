"""What travels over HTTP: requests and answers, each a pydantic model, so that the OpenAPI page tells them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from channel_recorder.config import IDLE_LIMIT_MIN_SECONDS, RecordingConfig, StreamType, UidList
from channel_recorder.model import ChannelProfile, MediaKind


class Mode(StrEnum):
    INDIVIDUAL = "individual"
    """A file for each user."""
    COMPOSITE = "composite"
    """One file of all users."""


MODES = (Mode.INDIVIDUAL,)
"""Those there are."""


class RecordingState(StrEnum):
    RECORDING = "recording"
    STOPPING = "stopping"
    """Files are being finished."""
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    """The recorder was killed: its files play up to about a second before."""


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class StartRecording(_Request):
    """Settings mean what they mean in RecordingConfig."""

    channel: Annotated[str, Field(min_length=1, max_length=256)]
    mode: Mode = Mode.INDIVIDUAL
    """composite: not yet."""
    is_audio_only: bool = False
    is_video_only: bool = False
    separate_tracks: bool = False
    """One file for each track instead of one for each user."""
    audio_codec: Literal["opus", "aac"] = "opus"
    auto_subscribe: bool = True
    """False: only the users in the two lists below."""
    subscribe_video_uids: UidList = ()
    subscribe_audio_uids: UidList = ()
    stream_type: StreamType = StreamType.HIGH
    """0: the highest simulcast layer, 1: the lowest."""
    enable_intra_request: bool = True
    enable_h265_support: bool = True
    channel_profile: ChannelProfile = ChannelProfile.COMMUNICATION
    """0 communication: everybody counts as present. 1 live broadcast: only hosts count."""
    idle_limit_sec: Annotated[int, Field(ge=IDLE_LIMIT_MIN_SECONDS, le=86_400)] = 300
    """Stop by itself after nobody was there for so many seconds."""

    def config(self) -> RecordingConfig:
        """Without a folder. Raises ConfigError."""
        return RecordingConfig(**self.model_dump(exclude={"channel", "mode"}))


class RecordedUser(_Answer):
    uid: int
    """In the names of files. 0: a composite of all."""
    account: str
    """Identity in the channel; empty where only the number is known."""


class Recording(_Answer):
    id: str
    channel: str
    mode: Mode
    state: RecordingState
    started_at: datetime
    """When the recorder joined, UTC."""
    duration: float | None
    """Seconds; of a running recording so far, of an interrupted one not known."""
    reason: str | None = None
    """Why it ended: left, idle, channel_ended, connection_failed, storage_failed, signal."""
    users: list[RecordedUser]
    file_count: int
    """Media files so far."""
    bytes: int
    """Of the media files."""
    can_stop: bool
    """False too while another process records."""
    problems: list[str]
    """What went wrong while it runs, newest last."""


class RecordingPage(_Answer):
    recordings: list[Recording]
    """Newest first."""
    next: str | None
    """Give it as `before` to get the next page; null: there is none."""


class FileKind(StrEnum):
    MEDIA = "media"
    LOG = "log"


class FileStream(_Answer):
    kind: MediaKind
    codec: str
    width: int | None = None
    height: int | None = None


class RecordingFile(_Answer):
    name: str
    kind: FileKind
    content_type: str
    bytes: int
    is_complete: bool
    """False: it still grows, or was cut; it plays nevertheless."""
    url: str
    """Of the file, on this server. With `?download=1` browsers save it."""
    uid: int | None = None
    account: str | None = None
    source: str | None = None
    started_at: datetime | None = None
    """The file's first instant, UTC."""
    duration: float | None = None
    """Seconds."""
    sha256: str | None = None
    streams: list[FileStream] = Field(default_factory=list[FileStream])


class RecordingFiles(_Answer):
    id: str
    files: list[RecordingFile]
    """Media by their first instant, then logs."""


class Login(_Request):
    password: Annotated[str, Field(min_length=1, max_length=1024, repr=False)]


class OpenSession(_Request):
    """A seat in a channel, for the page."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    """Shown to the others, and the identity in the channel."""
    channel: Annotated[str, Field(min_length=1, max_length=64)]
    take_over: bool = False
    """Join although somebody of that name is there, who is thrown out."""


class Session(_Answer):
    url: str
    """The channel server, for an official client SDK."""
    token: Annotated[str, Field(repr=False)]
    identity: str


class ServiceInfo(_Answer):
    version: str
    modes: list[Mode]
    """Kinds of recording there are."""
    needs_password: bool
    is_signed_in: bool
    """The caller may use the page."""
    is_page_closed: bool
    """The server can be reached from other machines and has no page password."""
    max_recordings: int


class Problem(_Answer):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    """A sentence for people."""
    reason: str
    """A word for programs."""
    code: int
    """The classic error code."""
