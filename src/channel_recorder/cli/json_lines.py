"""`--json`: one object per event per line, for programs. The first is `joined`, the last `left`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import IO, Any

from channel_recorder.cli.report import JoinedFacts, Outcome, Report
from channel_recorder.errors import ErrorCode, StatusCode, WarningCode
from channel_recorder.handler import (
    ConnectionChangedReason,
    ConnectionState,
    OfflineReason,
    RecordedFile,
    RecordingStats,
    RemoteStreamState,
    RemoteStreamStateReason,
    UserJoinInfo,
)
from channel_recorder.model import User


class JsonLines(Report):
    """Every object has `event` first and `time` (ISO 8601, UTC) last."""

    def __init__(self, stream: IO[str], utc_now: Callable[[], datetime]) -> None:
        self._stream = stream
        self._utc_now = utc_now
        self._storage_dir: Path | None = None
        self._files = 0

    def joined(self, facts: JoinedFacts) -> None:
        self._storage_dir = facts.storage_dir
        self._tell(
            "joined",
            storage_dir=facts.storage_dir,
            channel=facts.channel,
            uid=facts.user.uid,
            account=facts.user.account,
        )

    def leaving(self, cause: str, again: bool) -> None:
        self._tell("leaving", signal=cause, again=again)

    def notice(self, message: str) -> None:
        self._tell("notice", message=message)

    def left(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._tell_error(outcome.error.code, outcome.error.status, outcome.sentence, type(outcome.error).__name__)
        self._tell(
            "left",
            reason=outcome.reason,
            message=outcome.sentence,
            exit_code=outcome.exit_code,
            storage_dir=self._storage_dir,
            files=self._files,
        )

    def on_error(self, code: ErrorCode, status: StatusCode, message: str) -> None:
        self._tell_error(code, status, message, None)

    def on_warning(self, code: WarningCode, message: str) -> None:
        self._tell("warning", code=int(code), name=_name(code), message=message)

    def on_user_joined(self, uid: int, info: UserJoinInfo) -> None:
        self._tell("user_joined", uid=uid, account=info.account, name=info.name)

    def on_user_offline(self, uid: int, reason: OfflineReason) -> None:
        self._tell("user_offline", uid=uid, reason=_name(reason))

    def on_user_info_updated(self, uid: int, account: str) -> None:
        self._tell("user_info", uid=uid, account=account)

    def on_remote_video_stream_state_changed(
        self, uid: int, state: RemoteStreamState, reason: RemoteStreamStateReason
    ) -> None:
        self._tell("video_stream", uid=uid, state=_name(state))

    def on_remote_audio_stream_state_changed(
        self, uid: int, state: RemoteStreamState, reason: RemoteStreamStateReason
    ) -> None:
        self._tell("audio_stream", uid=uid, state=_name(state))

    def on_first_remote_video_frame(self, uid: int, width: int, height: int, elapsed_ms: int) -> None:
        self._tell("first_video_frame", uid=uid, width=width, height=height, elapsed_ms=elapsed_ms)

    def on_first_remote_audio_frame(self, uid: int, elapsed_ms: int) -> None:
        self._tell("first_audio_frame", uid=uid, elapsed_ms=elapsed_ms)

    def on_receiving_stream_status_changed(self, receiving_audio: bool, receiving_video: bool) -> None:
        self._tell("receiving", audio=receiving_audio, video=receiving_video)

    def on_connection_state_changed(self, state: ConnectionState, reason: ConnectionChangedReason) -> None:
        self._tell("connection_state", state=_name(state), reason=_name(reason))

    def on_connection_interrupted(self) -> None:
        self._tell("connection_interrupted")

    def on_connection_lost(self) -> None:
        self._tell("connection_lost")

    def on_rejoin_channel_success(self, channel_id: str, uid: int) -> None:
        self._tell("rejoined", channel=channel_id, uid=uid)

    def on_recording_stats(self, stats: RecordingStats) -> None:
        self._tell("stats", **asdict(stats))

    def on_file_created(self, path: Path, user: User) -> None:
        self._tell("file_created", path=path, uid=user.uid, account=user.account)

    def on_file_closed(self, file: RecordedFile) -> None:
        self._files += 1
        fields = asdict(file)
        user = fields.pop("user")
        self._tell("file_closed", path=fields.pop("path"), **user, **fields)

    def _tell_error(self, code: ErrorCode, status: StatusCode, message: str, exception: str | None) -> None:
        self._tell("error", code=int(code), name=_name(code), status=int(status), exception=exception, message=message)

    def _tell(self, event: str, **fields: Any) -> None:
        now = self._utc_now().astimezone(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"event": event, **_rounded(fields), "time": now}, default=str)
        self._stream.write(f"{line}\n")
        self._stream.flush()


def _rounded(fields: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds are as fine as anything here is known."""
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in fields.items()}


def _name(member: IntEnum) -> str:
    return member.name.lower()
