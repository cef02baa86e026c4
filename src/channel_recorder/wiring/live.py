"""A recording that runs: joined, served by one connection after the other, and finished."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, Self, TypeVar

from channel_recorder import clock
from channel_recorder.config import EncryptionKey
from channel_recorder.errors import ErrorCode, JoinError, StatusCode, StorageError, TokenError, WarningCode
from channel_recorder.events import Disconnected, LeaveReason
from channel_recorder.garbage import collect_less_often
from channel_recorder.handler import ConnectionChangedReason, ConnectionState, LeavePath, RecordingHandler
from channel_recorder.model import User
from channel_recorder.recording.continuation import Interrupted
from channel_recorder.recording.notices import Call, Notices
from channel_recorder.recording.outage import Outage, OutageLimits, OutageStage
from channel_recorder.recording.recording import Recording
from channel_recorder.recording.stats import StatsMeter
from channel_recorder.storage.directory import RecordingDirectory
from channel_recorder.wiring.archive import open_archive, shared_writer
from channel_recorder.wiring.attempt import Attempt
from channel_recorder.wiring.join import JoinRequest, check_join
from channel_recorder.wiring.keys import ChannelKeys
from channel_recorder.wiring.leftovers import adopt_leftovers, choose_directory, seconds_at_join

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
TICK_SECONDS = 0.1
STATS_SECONDS = 2.0
INTRA_REQUEST_SECONDS = 2.0
_BANNED = {
    LeaveReason.PARTICIPANT_REMOVED: "the recorder was removed from the channel",
    LeaveReason.DUPLICATE_IDENTITY: "another member joined with the recorder's uid",
}


class LiveRecording:
    """From the join to the last file. Made by `open`."""

    def __init__(
        self,
        request: JoinRequest,
        attempt: Attempt,
        directory: RecordingDirectory,
        notices: Notices,
        keys: ChannelKeys,
        started: float,
        continued: Interrupted | None = None,
    ) -> None:
        collect_less_often()
        self.storage_dir: Path = directory.path
        self._request = request
        self._attempt = attempt
        self._keys = keys
        self._notices = notices
        self._outage = Outage(started, OutageLimits())
        """The last one; the join counts as the end of one."""
        self._outage.regained(started)
        self._in_outage = False
        self._leaving = asyncio.Event()
        self._leave_path = LeavePath.CLIENT_INITIATED
        self._left: asyncio.Future[LeavePath] = asyncio.get_running_loop().create_future()
        writer = shared_writer.acquire()
        try:
            self._recording = Recording(
                request.config,
                open_archive=lambda listener: open_archive(writer, directory, request.config, listener, continued),
                notices=notices,
                joined_seconds=started,
                continues_seconds=seconds_at_join(continued, started) if continued is not None else None,
                leave=self._on_leave_decided,
                keys=keys.store,
            )
        except BaseException:
            shared_writer.release()
            raise
        self._adopting: asyncio.Task[None] | None = None
        self._meter = StatsMeter(started)
        self._stats_due = started + STATS_SECONDS
        self._intra_due = started + INTRA_REQUEST_SECONDS
        self._serving = asyncio.create_task(self._serve(), name="channel-recorder-serve")
        self._ticking = asyncio.create_task(self._tick(), name="channel-recorder-tick")
        self._ticking.add_done_callback(self._tick_ended)

    @classmethod
    async def open(cls, request: JoinRequest, handler: RecordingHandler, call: Call) -> Self:
        """Joins. Raises ConfigError, JoinError and its kinds, StorageError; nothing is on disk then."""
        root = await check_join(request)
        started = clock.monotonic_seconds()
        keys = ChannelKeys(request.config)
        attempt = Attempt(request, request.make_token(), keys.store)
        try:
            await attempt.connect()
            directory, continued = await asyncio.to_thread(choose_directory, root, request)
            notices = Notices(handler, call, directory.path)
            live = cls(request, attempt, directory, notices, keys, started, continued)
        except BaseException:
            keys.close()
            await attempt.close()
            raise
        notices.connection_state(ConnectionState.CONNECTED, ConnectionChangedReason.JOIN_SUCCESS)
        notices.join_success(request.channel_id, request.user.uid)
        if continued is not None:
            notices.warn(WarningCode.RECOVERED_FROM_CRASH, "the recorder died: its recording goes on")
        if request.config.adopt_leftovers:
            live._adopting = asyncio.create_task(adopt_leftovers(root.path, notices), name="channel-recorder-adopt")
        attempt.serve(live._recording)
        return live

    # Commands

    @property
    def has_left(self) -> bool:
        return self._leaving.is_set()

    def start_service(self) -> None:
        """Raises StateError."""
        self._recording.start_service(clock.monotonic_seconds())

    def stop_service(self) -> None:
        """Raises StateError."""
        self._recording.stop_service(clock.monotonic_seconds())

    def update_subscription(
        self, *, audio_uids: Iterable[int] | None = None, video_uids: Iterable[int] | None = None
    ) -> None:
        """Raises StateError."""
        self._recording.subscribe_to(clock.monotonic_seconds(), audio_uids=audio_uids, video_uids=video_uids)

    def add_encryption_key(self, key: EncryptionKey) -> None:
        self._recording.add_key(self._keys.given(key), clock.monotonic_seconds())

    def find_user(self, *, uid: int | None = None, account: str | None = None) -> User | None:
        users = self._recording.users
        return users.by_uid(uid) if uid is not None else users.by_account(account or "")

    async def leave(self, path: LeavePath) -> None:
        """Returns when every file is whole."""
        self._recording.leave(path, clock.monotonic_seconds())
        await self.wait_left()

    async def wait_left(self) -> LeavePath:
        return await asyncio.shield(self._left)

    # The life of it

    def _on_leave_decided(self, path: LeavePath) -> None:
        self._leave_path = path
        self._leaving.set()

    async def _serve(self) -> None:
        try:
            while not self._leaving.is_set():
                end = await self._unless_leaving(self._attempt.wait_ended())
                if end is not None:
                    await self._cut(end)
        except Exception as error:  # noqa: BLE001 - told, and the files are finished
            self._on_fault(error)
        finally:
            await self._finish()

    def _on_fault(self, error: BaseException) -> None:
        """A fault of ours: the recording ends, its files are whole."""
        logger.error("the recording ends for a fault of its own", exc_info=error)
        self._notices.error(ErrorCode.INTERNAL, StatusCode.FROM_ENGINE, f"internal fault: {error!r}")
        self._on_leave_decided(LeavePath.FAILED_INIT)

    async def _cut(self, end: Disconnected) -> None:
        """The connection ended, not by us."""
        logger.info("the connection ended: %s (%s)", end.reason, end.detail)
        now = clock.monotonic_seconds()
        self._recording.connection_closed(self._attempt.take_drops(), now)
        if end.can_rejoin:
            self._recording.connection_lost(end.reason, now)
            self._notices.connection_state(ConnectionState.RECONNECTING, ConnectionChangedReason.INTERRUPTED)
            await self._attempt.close()
            await self._rejoin(now)
        else:
            self._tell_banned(end.reason)
            self._recording.channel_ended(end.reason, now)

    def _tell_banned(self, reason: LeaveReason) -> None:
        if reason in _BANNED:
            self._notices.error(ErrorCode.BANNED, StatusCode.FROM_ENGINE, _BANNED[reason])
            self._notices.connection_state(ConnectionState.FAILED, ConnectionChangedReason.BANNED_BY_SERVER)

    async def _rejoin(self, since_seconds: float) -> None:
        """Tries until it works, or the recording leaves."""
        outage = self._outage = self._outage.lost_again(since_seconds)
        self._in_outage = True
        while not self._leaving.is_set():
            await self._unless_leaving(asyncio.sleep(outage.next_retry_delay()))
            attempt = await self._unless_leaving(self._try_again())
            if attempt is not None:
                self._attempt = attempt
                self._notices.connection_state(ConnectionState.CONNECTED, ConnectionChangedReason.JOIN_SUCCESS)
                self._notices.rejoin_success(self._request.channel_id, self._request.user.uid)
                attempt.serve(self._recording)
                outage.regained(clock.monotonic_seconds())
                break
        self._in_outage = False

    async def _try_again(self) -> Attempt | None:
        attempt: Attempt | None = None
        try:
            attempt = Attempt(self._request, self._next_token(), self._keys.store)
            await attempt.connect()
        except TokenError as error:
            # Trying again would end the same way.
            self._notices.error(error.code, error.status, f"the channel can't be joined again: {error}")
            self._recording.leave(LeavePath.CONNECTION_FAILED, clock.monotonic_seconds())
        except JoinError as error:
            logger.info("rejoining failed: %s", error)
        except asyncio.CancelledError:
            if attempt is not None:
                await attempt.close()
            raise
        else:
            return attempt
        if attempt is not None:
            await attempt.close()
        return None

    async def _unless_leaving(self, work: Coroutine[Any, Any, Result]) -> Result | None:
        """The work's result; None if the recording leaves before it is done."""
        task = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(self._leaving.wait())
        try:
            await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        return None if task.cancelled() else task.result()

    def _next_token(self) -> str:
        """The newest the server gave, unless a fresh one can be made."""
        if self._request.app_certificate is None and self._attempt.refreshed_token:
            return self._attempt.refreshed_token
        return self._request.make_token()

    async def _finish(self) -> None:
        self._leaving.set()
        path, now = self._leave_path, clock.monotonic_seconds()
        self._recording.connection_closed(self._attempt.take_drops(), now)
        closing = asyncio.create_task(self._attempt.close())
        try:
            await self._recording.finish(path, now)
        except StorageError as error:
            path |= LeavePath.STORAGE_FAILED
            self._notices.error(error.code, error.status, str(error))
        finally:
            self._ticking.cancel()
            others = {closing, self._ticking}
            if self._adopting is not None:
                self._adopting.cancel()
                others.add(self._adopting)
            await asyncio.wait(others)
            if (fault := closing.exception()) is not None:
                logger.error("closing the connection failed", exc_info=fault)
            self._keys.close()
            await asyncio.to_thread(shared_writer.release)
            self._notices.connection_state(ConnectionState.DISCONNECTED, ConnectionChangedReason.LEAVE_CHANNEL)
            self._notices.left(path)
            self._left.set_result(path)

    # Time

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._on_tick(clock.monotonic_seconds())

    def _tick_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_fault(error)

    def _on_tick(self, now: float) -> None:
        self._recording.advance(now)
        due = self._recording.next_timer()
        if due is not None and now >= due:
            self._recording.handle_timer(now)
        if self._in_outage:
            self._tell_outage(self._outage, now)
        if now >= self._stats_due:
            self._stats_due += STATS_SECONDS
            self._tell_stats(now)
        if not self._request.config.enable_intra_request and now >= self._intra_due:
            self._intra_due += INTRA_REQUEST_SECONDS
            self._recording.request_key_frames()

    def _tell_outage(self, outage: Outage, now: float) -> None:
        for stage in outage.stages_reached(now):
            if stage is OutageStage.INTERRUPTED:
                self._notices.connection_interrupted()
            elif stage is OutageStage.LOST:
                self._notices.connection_lost()
            elif stage is OutageStage.FAILED:
                message = "the connection was lost and could not be regained"
                self._notices.error(ErrorCode.CONNECTION_LOST, StatusCode.FROM_ENGINE, message)
                self._recording.leave(LeavePath.CONNECTION_FAILED, now)

    def _tell_stats(self, now: float) -> None:
        recording = self._recording
        reception = recording.reception()
        self._notices.receiving(*self._meter.is_receiving(reception))
        stats = self._meter.measure(
            reception,
            now,
            duration_seconds=recording.recording_seconds(now),
            user_count=recording.user_count,
            open_files=self._notices.open_files,
            dropped_frames=recording.dropped_frames,
        )
        self._notices.stats(stats)
