"""The recording engine, in the manner of the classic on-premise SDK.

    class Handler(RecordingHandler):
        def on_user_joined(self, uid, info):
            print(uid, "is recorded in", info.storage_dir)

    with RecordingEngine("devkey", Handler(), server_url="ws://127.0.0.1:7880", app_certificate="...") as engine:
        engine.join_channel(None, "lesson-7", 1001, RecordingConfig(record_file_root_dir="recordings"))
        engine.wait_left()

Every call may come from any thread. Media runs on one loop thread for all engines of the process, the callbacks
of each engine on a thread of its own.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Coroutine, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

from channel_recorder import aio
from channel_recorder.aio import RecordingProperties
from channel_recorder.callbacks import CallbackThread
from channel_recorder.config import EncryptionKey, RecordingConfig
from channel_recorder.errors import StateError
from channel_recorder.handler import LeavePath, RecordingHandler
from channel_recorder.media_loop import shared_media_loop
from channel_recorder.model import User

Result = TypeVar("Result")


class RecordingEngine:
    """Joins one channel once as a silent member, and records who is there. Spent after leaving."""

    def __init__(
        self,
        app_id: str,
        handler: RecordingHandler | None = None,
        *,
        server_url: str,
        app_certificate: str | None = None,
    ) -> None:
        """`app_id` and `app_certificate` are the API key and secret of the channel server at `server_url`.

        Raises AppIdError, ConfigError.
        """
        self._callbacks = CallbackThread("channel-recorder-callbacks")
        self._released = False
        self._releasing = threading.Lock()
        try:
            self._engine = aio.RecordingEngine(
                app_id,
                handler,
                server_url=server_url,
                app_certificate=app_certificate,
                callbacks=self._callbacks,
            )
        except BaseException:
            self._callbacks.close()
            self._callbacks.join()
            raise
        self._media_loop = shared_media_loop.acquire()

    def join_channel(
        self, channel_key: str | None, channel_id: str, uid: int, config: RecordingConfig | None = None
    ) -> None:
        """Joins and, unless `trigger_mode` is manual, records from the moment somebody is there.

        Returns when the join succeeded: the storage directory exists. `channel_key` is an access token of the
        channel; None: one is made with the app certificate. `uid` is 1..2**32-1 and nobody else's.
        Raises ConfigError, JoinError and its kinds, StorageError, StateError.
        """
        self._run(self._engine.join_channel(channel_key, channel_id, uid, config))

    def join_channel_with_user_account(
        self, channel_key: str | None, channel_id: str, user_account: str, config: RecordingConfig | None = None
    ) -> None:
        """As `join_channel`, for channels whose members have text accounts."""
        self._run(self._engine.join_channel_with_user_account(channel_key, channel_id, user_account, config))

    def start_service(self) -> None:
        """Manual mode: recording begins, in new files. Raises StateError."""
        self._run(self._engine.start_service())

    def stop_service(self) -> None:
        """Manual mode: recording pauses, its files are closed. Raises StateError."""
        self._run(self._engine.stop_service())

    def get_properties(self) -> RecordingProperties:
        """Raises StateError before the join."""
        return self._engine.get_properties()

    def get_user_info_by_uid(self, uid: int) -> User:
        """Raises ConfigError if nobody with the uid was there."""
        return self._engine.get_user_info_by_uid(uid)

    def get_user_info_by_user_account(self, user_account: str) -> User:
        """Raises ConfigError if nobody with the account was there."""
        return self._engine.get_user_info_by_user_account(user_account)

    def update_subscribe_video_uids(self, uids: Iterable[int]) -> None:
        """Whose pictures are recorded from now on; replaces the list. Needs auto_subscribe=False."""
        self._run(self._engine.update_subscribe_video_uids(tuple(uids)))

    def update_subscribe_audio_uids(self, uids: Iterable[int]) -> None:
        """Whose sound is recorded from now on; replaces the list. Needs auto_subscribe=False."""
        self._run(self._engine.update_subscribe_audio_uids(tuple(uids)))

    def add_encryption_key(self, key: EncryptionKey) -> None:
        """Another key of an encrypted channel, for frames from now on; it takes the place of the one with the same
        account and index. Raises StateError."""
        self._run(self._engine.add_encryption_key(key))

    def leave_channel(self) -> None:
        """Stops. When it returns every file is whole. The engine is spent. No effect when already left.

        A join under way in another thread is given up: it raises StateError.
        """
        self._run(self._engine.leave_channel())

    def wait_left(self, timeout_seconds: float | None = None) -> LeavePath | None:
        """Waits until the recording has ended, by whatever cause. None: it goes on after `timeout_seconds`."""
        waiting = self._submit(self._engine.wait_left())
        try:
            return waiting.result(timeout_seconds)
        except concurrent.futures.TimeoutError:
            waiting.cancel()
            return None

    def release(self) -> None:
        """Leaves if need be, waits for the last callback, and frees everything. No effect the second time.

        Raises StateError (a RuntimeError) inside a callback.
        """
        if self._callbacks.is_current():
            raise StateError("release is not allowed inside a callback: call it from another thread")
        with self._releasing:
            if self._released:
                return
            self._run(self._engine.release())
            # The last callbacks may still call the engine.
            self._callbacks.join()
            self._released = True
            shared_media_loop.release()

    def set_log_level(self, level: int) -> None:
        """Classic levels: 1 fatal, 2 error, 3 warning, 4 notice, 5 info, 6 debug. For the whole process."""
        self._engine.set_log_level(level)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return self._submit(coroutine).result()

    def _submit(self, coroutine: Coroutine[Any, Any, Result]) -> concurrent.futures.Future[Result]:
        if self._released:
            coroutine.close()
            raise StateError("this engine was released: make a new one")
        return self._media_loop.submit(coroutine)


def create_recording_engine(
    app_id: str,
    handler: RecordingHandler | None = None,
    *,
    server_url: str,
    app_certificate: str | None = None,
) -> RecordingEngine:
    """The classic name of the constructor."""
    return RecordingEngine(app_id, handler, server_url=server_url, app_certificate=app_certificate)
