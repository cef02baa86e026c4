"""The engine for programs that run an asyncio loop. `channel_recorder.engine` wraps it for all others.

    engine = RecordingEngine("devkey", MyHandler(), server_url="ws://127.0.0.1:7880", app_certificate="...")
    await engine.join_channel(None, "lesson-7", 1001, RecordingConfig(record_file_root_dir="recordings"))
    await engine.wait_left()
    await engine.release()

Callbacks run on the loop: they must not block.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Self

from channel_recorder import arguments
from channel_recorder.callbacks import CallbackRunner, InlineCallbacks
from channel_recorder.channel.join_request import server_name
from channel_recorder.config import EncryptionKey, RecordingConfig
from channel_recorder.errors import ConfigError, StateError
from channel_recorder.handler import (
    ConnectionChangedReason,
    ConnectionState,
    LeavePath,
    RecordingHandler,
)
from channel_recorder.log_levels import set_log_level
from channel_recorder.model import User
from channel_recorder.recording.users import user_of
from channel_recorder.wiring import JoinRequest, LiveRecording


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingProperties:
    """Known after the join (classic getProperties)."""

    storage_dir: Path


class _Stage(Enum):
    NEW = auto()
    JOINING = auto()
    SPENT = auto()
    """Joined once, or told to leave while joining."""
    RELEASED = auto()


class RecordingEngine:
    """Joins one channel once as a silent member, and records who is there. Spent after leaving."""

    def __init__(
        self,
        app_id: str,
        handler: RecordingHandler | None = None,
        *,
        server_url: str,
        app_certificate: str | None = None,
        callbacks: CallbackRunner | None = None,
    ) -> None:
        """`app_id` and `app_certificate` are the API key and secret of the channel server at `server_url`.

        Raises AppIdError, ConfigError.
        """
        arguments.check_app_id(app_id)
        server_name(server_url)
        self._app_id = app_id
        self._app_certificate = app_certificate or None
        self._server_url = server_url
        self._handler = handler or RecordingHandler()
        self._callbacks = callbacks or InlineCallbacks()
        self._stage = _Stage.NEW
        self._live: LiveRecording | None = None
        self._joining: asyncio.Task[LiveRecording] | None = None

    async def join_channel(
        self, channel_key: str | None, channel_id: str, uid: int, config: RecordingConfig | None = None
    ) -> None:
        """Joins and, unless `trigger_mode` is manual, records from the moment somebody is there.

        `channel_key` is an access token of the channel; None: one is made with the app certificate. `uid` is
        1..2**32-1 and nobody else's. Raises ConfigError, JoinError and its kinds, StorageError, StateError.
        """
        arguments.check_uid(uid)
        await self._join(channel_key, channel_id, User(uid=uid, account=str(uid)), config)

    async def join_channel_with_user_account(
        self, channel_key: str | None, channel_id: str, user_account: str, config: RecordingConfig | None = None
    ) -> None:
        """As `join_channel`, for channels whose members have text accounts."""
        arguments.check_user_account(user_account)
        user = user_of(user_account)
        await self._join(channel_key, channel_id, user, config)
        self._callbacks.call(self._handler.on_local_user_registered, user.uid, user.account)

    async def start_service(self) -> None:
        """Manual mode: recording begins, in new files. Raises StateError."""
        self._joined("start_service").start_service()

    async def stop_service(self) -> None:
        """Manual mode: recording pauses, its files are closed. Raises StateError."""
        self._joined("stop_service").stop_service()

    def get_properties(self) -> RecordingProperties:
        """Raises StateError before the join."""
        return RecordingProperties(storage_dir=self._known("get_properties").storage_dir)

    def get_user_info_by_uid(self, uid: int) -> User:
        """Raises ConfigError if nobody with the uid was there."""
        user = self._known("get_user_info_by_uid").find_user(uid=uid)
        if user is None:
            raise ConfigError(f"nobody with uid {uid} was in the channel so far")
        return user

    def get_user_info_by_user_account(self, user_account: str) -> User:
        """Raises ConfigError if nobody with the account was there."""
        user = self._known("get_user_info_by_user_account").find_user(account=user_account)
        if user is None:
            raise ConfigError(f"nobody with the account {user_account[:80]!r} was in the channel so far")
        return user

    async def update_subscribe_video_uids(self, uids: Iterable[int]) -> None:
        """Whose pictures are recorded from now on; replaces the list. Needs auto_subscribe=False."""
        self._joined("update_subscribe_video_uids").update_subscription(video_uids=_checked(uids))

    async def update_subscribe_audio_uids(self, uids: Iterable[int]) -> None:
        """Whose sound is recorded from now on; replaces the list. Needs auto_subscribe=False."""
        self._joined("update_subscribe_audio_uids").update_subscription(audio_uids=_checked(uids))

    async def add_encryption_key(self, key: EncryptionKey) -> None:
        """Another key of an encrypted channel, for frames from now on; it takes the place of the one with the same
        account and index. Raises StateError."""
        self._joined("add_encryption_key").add_encryption_key(key)

    async def leave_channel(self, path: LeavePath = LeavePath.CLIENT_INITIATED) -> None:
        """Stops. When it returns every file is whole. The engine is spent. No effect when already left.

        A join under way is given up: `join_channel` raises StateError.
        """
        live = self._live if self._joining is None else await self._give_up(self._joining)
        if live is not None:
            await live.leave(path)

    async def wait_left(self) -> LeavePath:
        """Waits until the recording has ended, by whatever cause, and every file is whole."""
        return await self._known("wait_left").wait_left()

    async def release(self) -> None:
        """Leaves if need be and frees everything."""
        await self.leave_channel()
        if self._stage is not _Stage.RELEASED:
            self._stage = _Stage.RELEASED
            self._callbacks.close()

    def set_log_level(self, level: int) -> None:
        """Classic levels: 1 fatal, 2 error, 3 warning, 4 notice, 5 info, 6 debug. For the whole process."""
        set_log_level(level)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.release()

    async def _join(self, channel_key: str | None, channel_id: str, user: User, config: RecordingConfig | None) -> None:
        if self._stage is not _Stage.NEW:
            raise StateError("this engine has joined before: an engine joins once, make a new one")
        arguments.check_channel_id(channel_id)
        request = JoinRequest(
            server_url=self._server_url,
            app_id=self._app_id,
            app_certificate=self._app_certificate,
            channel_key=channel_key or None,
            channel_id=channel_id,
            user=user,
            config=config or RecordingConfig(),
        )
        self._stage = _Stage.JOINING
        self._tell_state(ConnectionState.CONNECTING, ConnectionChangedReason.CONNECTING)
        self._joining = asyncio.create_task(LiveRecording.open(request, self._handler, self._callbacks.call))
        try:
            self._live = await self._joining
        except BaseException as error:
            self._tell_state(ConnectionState.FAILED, ConnectionChangedReason.JOIN_FAILED)
            if self._stage is not _Stage.JOINING:
                raise StateError("the engine was told to leave before it had joined") from error
            self._stage = _Stage.NEW
            raise
        finally:
            self._joining = None
        self._stage = _Stage.SPENT

    async def _give_up(self, joining: asyncio.Task[LiveRecording]) -> LiveRecording | None:
        """What came of a join after all."""
        self._stage = _Stage.SPENT
        joining.cancel()
        await asyncio.wait({joining})
        return None if joining.cancelled() or joining.exception() is not None else joining.result()

    def _tell_state(self, state: ConnectionState, reason: ConnectionChangedReason) -> None:
        self._callbacks.call(self._handler.on_connection_state_changed, state, reason)

    def _known(self, call: str) -> LiveRecording:
        if self._live is None:
            raise StateError(f"{call} needs a joined channel: call join_channel first")
        return self._live

    def _joined(self, call: str) -> LiveRecording:
        live = self._known(call)
        if live.has_left:
            raise StateError(f"{call}: this engine has left its channel and is spent, make a new one")
        return live


def _checked(uids: Iterable[int]) -> tuple[int, ...]:
    checked = tuple(uids)
    for uid in checked:
        arguments.check_uid(uid)
    return checked
