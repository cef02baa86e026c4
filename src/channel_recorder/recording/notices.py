"""What a recording tells the user's handler, in the classic SDK's callbacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVarTuple

from channel_recorder.errors import ErrorCode, StatusCode, WarningCode
from channel_recorder.handler import (
    ConnectionChangedReason,
    ConnectionState,
    LeavePath,
    OfflineReason,
    RecordedFile,
    RecordingHandler,
    RecordingStats,
    RemoteStreamState,
    RemoteStreamStateReason,
    UserJoinInfo,
)
from channel_recorder.model import EncodedFrame, MediaKind, Participant, User
from channel_recorder.recording.contract import FileClosed, FileCreated, FileEvent, RecordedTrack, StorageFailed
from channel_recorder.recording.users import is_uid

Arguments = TypeVarTuple("Arguments")


class Call(Protocol):
    """Runs a callback of the handler, after all those given before, where it may take its time."""

    def __call__(self, callback: Callable[[*Arguments], None], *arguments: *Arguments) -> None: ...


@dataclass(slots=True)
class Notices:
    handler: RecordingHandler
    call: Call
    storage_dir: Path
    open_files: int = 0
    _receiving: tuple[bool, bool] = field(default=(False, False))

    def join_success(self, channel_id: str, uid: int) -> None:
        self.call(self.handler.on_join_channel_success, channel_id, uid)

    def rejoin_success(self, channel_id: str, uid: int) -> None:
        self.call(self.handler.on_rejoin_channel_success, channel_id, uid)

    def connection_state(self, state: ConnectionState, reason: ConnectionChangedReason) -> None:
        self.call(self.handler.on_connection_state_changed, state, reason)

    def left(self, path: LeavePath) -> None:
        self.call(self.handler.on_leave_channel, path)

    def connection_interrupted(self) -> None:
        self.call(self.handler.on_connection_interrupted)

    def connection_lost(self) -> None:
        self.call(self.handler.on_connection_lost)

    def error(self, code: ErrorCode, status: StatusCode, message: str) -> None:
        self.call(self.handler.on_error, code, status, message)

    def warn(self, code: WarningCode, message: str) -> None:
        self.call(self.handler.on_warning, code, message)

    def user_joined(self, user: User, participant: Participant) -> None:
        info = UserJoinInfo(storage_dir=self.storage_dir, account=user.account, name=participant.name)
        if not is_uid(user.account):
            self.call(self.handler.on_user_info_updated, user.uid, user.account)
        self.call(self.handler.on_user_joined, user.uid, info)

    def user_offline(self, user: User, reason: OfflineReason) -> None:
        self.call(self.handler.on_user_offline, user.uid, reason)

    def stream_state(self, user: User, kind: MediaKind, *, running: bool) -> None:
        state = RemoteStreamState.RUNNING if running else RemoteStreamState.STOPPED
        reason = RemoteStreamStateReason.STARTED if running else RemoteStreamStateReason.STOPPED
        if kind is MediaKind.AUDIO:
            self.call(self.handler.on_remote_audio_stream_state_changed, user.uid, state, reason)
        else:
            self.call(self.handler.on_remote_video_stream_state_changed, user.uid, state, reason)

    def first_frame(self, track: RecordedTrack, frame: EncodedFrame, elapsed_seconds: float) -> None:
        elapsed_ms = round(1000 * elapsed_seconds)
        if track.kind is MediaKind.AUDIO:
            self.call(self.handler.on_first_remote_audio_frame, track.user.uid, elapsed_ms)
        else:
            handler = self.handler.on_first_remote_video_frame
            self.call(handler, track.user.uid, frame.width, frame.height, elapsed_ms)

    def file_event(self, event: FileEvent) -> None:
        match event:
            case FileCreated(name=name, user=user):
                self.open_files += 1
                self.call(self.handler.on_file_created, self.storage_dir / name, user)
            case FileClosed():
                self.open_files -= 1
                self.call(self.handler.on_file_closed, self._recorded_file(event))
            case StorageFailed(name=name, message=message):
                self.error(ErrorCode.GENERIC, StatusCode.OK, f"{name}: {message}" if name else message)
            case _:
                pass

    def receiving(self, audio: bool, video: bool) -> None:
        """Tells changes only."""
        if (audio, video) != self._receiving:
            self._receiving = (audio, video)
            self.call(self.handler.on_receiving_stream_status_changed, audio, video)

    def stats(self, stats: RecordingStats) -> None:
        self.call(self.handler.on_recording_stats, stats)

    def _recorded_file(self, closed: FileClosed) -> RecordedFile:
        return RecordedFile(
            path=self.storage_dir / closed.name,
            user=closed.user,
            source=closed.source.value,
            start_seconds=closed.start_seconds,
            duration_seconds=closed.duration_seconds,
            bytes=closed.bytes,
            codecs=tuple(stream.codec for stream in closed.streams),
        )
