"""The callbacks of an engine: subclass `RecordingHandler` and override what you need.

All callbacks of one engine come one after the other on one thread of their own, never on the thread that
receives media: they may take their time, and may call any method of the engine but `release`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from pathlib import Path

from channel_recorder.errors import ErrorCode, StatusCode, WarningCode
from channel_recorder.model import User


class OfflineReason(IntEnum):
    QUIT = 0
    DROPPED = 1
    BECAME_AUDIENCE = 2


class LeavePath(IntFlag):
    """Why the engine left: the classic bits."""

    FAILED_INIT = 0
    SIGNAL = 2
    NOBODY_LEFT = 4
    TIMER = 8
    CLIENT_INITIATED = 16
    CHANNEL_ENDED = 32
    """Ours: the server closed the channel, removed the recorder, or another one took its uid."""
    CONNECTION_FAILED = 64
    """Ours: the connection was lost and could not be regained in time."""
    STORAGE_FAILED = 128
    """Ours: the disk is full or gone."""


class ConnectionState(IntEnum):
    DISCONNECTED = 1
    CONNECTING = 2
    CONNECTED = 3
    RECONNECTING = 4
    FAILED = 5


class ConnectionChangedReason(IntEnum):
    CONNECTING = 0
    JOIN_SUCCESS = 1
    INTERRUPTED = 2
    BANNED_BY_SERVER = 3
    JOIN_FAILED = 4
    LEAVE_CHANNEL = 5


class RemoteStreamState(IntEnum):
    RUNNING = 0
    STOPPED = 1


class RemoteStreamStateReason(IntEnum):
    STARTED = 0
    STOPPED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class UserJoinInfo:
    storage_dir: Path
    account: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStats:
    """What was received and written so far; told every 2 seconds."""

    duration_seconds: float
    received_bytes: int
    received_kbps: int
    received_audio_kbps: int
    received_video_kbps: int
    written_bytes: int
    """Encoded media handed to the files."""
    lost_packets: int
    user_count: int
    """The classic count: communication everybody and the recorder, live broadcast the hosts and one."""
    open_files: int
    dropped_frames: int
    """Video frames left out because the disk or the processor could not keep up."""
    cpu_percent: float
    """Of this process, in percent of one core, over the last interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFile:
    """A file that was closed, whole."""

    path: Path
    user: User
    source: str
    start_seconds: float
    duration_seconds: float
    bytes: int
    codecs: tuple[str, ...]


class RecordingHandler:
    """Override any. The base does nothing."""

    def on_error(self, code: ErrorCode, status: StatusCode, message: str) -> None:
        """Something failed; the engine goes on or leaves by itself. The sentence says what."""

    def on_warning(self, code: WarningCode, message: str) -> None:
        """Something is less than it could be; the recording goes on."""

    def on_join_channel_success(self, channel_id: str, uid: int) -> None:
        """The recorder is in the channel and its storage directory exists."""

    def on_leave_channel(self, path: LeavePath) -> None:
        """The last callback: every file is whole when it comes."""

    def on_user_joined(self, uid: int, info: UserJoinInfo) -> None:
        """A user is there and will be recorded in `info.storage_dir`."""

    def on_user_offline(self, uid: int, reason: OfflineReason) -> None:
        """A user left, was lost, or became audience. The file waits 15 s for a return."""

    def on_remote_video_stream_state_changed(
        self, uid: int, state: RemoteStreamState, reason: RemoteStreamStateReason
    ) -> None:
        """A user's pictures started (published, unmuted) or stopped (unpublished, muted)."""

    def on_remote_audio_stream_state_changed(
        self, uid: int, state: RemoteStreamState, reason: RemoteStreamStateReason
    ) -> None:
        """A user's sound started (published, unmuted) or stopped (unpublished, muted)."""

    def on_first_remote_video_frame(self, uid: int, width: int, height: int, elapsed_ms: int) -> None:
        """First key frame of a user. `elapsed_ms`: since `join_channel`."""

    def on_first_remote_audio_frame(self, uid: int, elapsed_ms: int) -> None:
        """First sound of a user. `elapsed_ms`: since `join_channel`."""

    def on_receiving_stream_status_changed(self, receiving_audio: bool, receiving_video: bool) -> None:
        """Whether any sound and any picture is being received."""

    def on_connection_state_changed(self, state: ConnectionState, reason: ConnectionChangedReason) -> None:
        """The connection to the channel server changed."""

    def on_connection_interrupted(self) -> None:
        """No connection for 4 seconds; the engine is trying."""

    def on_connection_lost(self) -> None:
        """No connection for 10 seconds; the engine keeps trying."""

    def on_rejoin_channel_success(self, channel_id: str, uid: int) -> None:
        """Back after a loss of the connection; recording goes on, on the same timeline."""

    def on_recording_stats(self, stats: RecordingStats) -> None:
        """Every 2 seconds while joined."""

    def on_local_user_registered(self, uid: int, account: str) -> None:
        """Join with a user account: the number that stands for it."""

    def on_user_info_updated(self, uid: int, account: str) -> None:
        """The pair of a user with a text account is known: look-ups answer now."""

    def on_file_created(self, path: Path, user: User) -> None:
        """A file was begun. It plays from here on, while it grows."""

    def on_file_closed(self, file: RecordedFile) -> None:
        """A file is whole."""
