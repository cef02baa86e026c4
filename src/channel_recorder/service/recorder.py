"""The recordings that run in this process: an engine each, in the service's own loop."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from channel_recorder.aio import RecordingProperties
from channel_recorder.config import RecordingConfig
from channel_recorder.errors import ErrorCode, StatusCode, WarningCode
from channel_recorder.handler import LeavePath, RecordedFile, RecordingHandler
from channel_recorder.model import MediaKind, User
from channel_recorder.service.library import Entry
from channel_recorder.service.problems import ProblemError
from channel_recorder.service.shelf import Live

logger = logging.getLogger(__name__)

PROBLEMS_MAX = 20
_AUDIO_CODECS = frozenset({"opus", "aac"})


class Engine(Protocol):
    """What is used of `channel_recorder.aio.RecordingEngine`."""

    async def join_channel_with_user_account(
        self, channel_key: str | None, channel_id: str, user_account: str, config: RecordingConfig | None = None
    ) -> None: ...

    def get_properties(self) -> RecordingProperties: ...

    async def wait_left(self) -> LeavePath: ...

    async def leave_channel(self, path: LeavePath = ...) -> None: ...

    async def release(self) -> None: ...


EngineFactory = Callable[[RecordingHandler], Engine]


class _Notes(RecordingHandler):
    """What an engine tells, as far as the API tells it on."""

    def __init__(self) -> None:
        self.problems: deque[str] = deque(maxlen=PROBLEMS_MAX)
        self.facts: dict[str, dict[str, Any]] = {}

    def on_error(self, code: ErrorCode, status: StatusCode, message: str) -> None:
        self.problems.append(message)

    def on_warning(self, code: WarningCode, message: str) -> None:
        self.problems.append(message)

    def on_connection_lost(self) -> None:
        self.problems.append("the connection to the channel is lost; the recorder keeps trying")

    def on_rejoin_channel_success(self, channel_id: str, uid: int) -> None:
        self.problems.append("the recorder is back in the channel")

    def on_file_created(self, path: Any, user: User) -> None:
        self.facts[path.name] = {"account": user.account}

    def on_file_closed(self, file: RecordedFile) -> None:
        self.facts[file.path.name] = {
            "account": file.user.account,
            "source": file.source,
            "duration": file.duration_seconds,
            "is_closed": True,
            "streams": [{"kind": _kind(codec), "codec": codec} for codec in file.codecs],
        }


def _kind(codec: str) -> MediaKind:
    return MediaKind.AUDIO if codec in _AUDIO_CODECS else MediaKind.VIDEO


class RunningRecording:
    """From the wish to record a channel to its last file."""

    def __init__(self, channel: str, make_engine: EngineFactory, now: Callable[[], float]) -> None:
        self.channel = channel
        self.entry: Entry | None = None
        """Known after the join."""
        self._notes = _Notes()
        self._engine = make_engine(self._notes)
        self._now = now
        self._joined_seconds = 0.0
        self._is_stopping = False

    async def join(self, config: RecordingConfig) -> Entry:
        """Raises RecorderError."""
        # A name of its own each time: the channel may still remember a recorder that was killed.
        await self._engine.join_channel_with_user_account(
            None, self.channel, f"recorder-{secrets.token_hex(4)}", config
        )
        self._joined_seconds = self._now()
        self.entry = Entry.of(self._engine.get_properties().storage_dir)
        return self.entry

    def live(self) -> Live:
        return Live(
            duration=max(0.0, self._now() - self._joined_seconds),
            is_stopping=self._is_stopping,
            problems=tuple(self._notes.problems),
            facts=dict(self._notes.facts),
        )

    async def stop(self) -> None:
        """When it returns every file is whole. A join under way is given up."""
        self._is_stopping = True
        await self._engine.leave_channel()

    async def wait_left(self) -> None:
        path = await self._engine.wait_left()
        logger.info("the recording of %r has ended: %s", self.channel, path.name or int(path))

    async def release(self) -> None:
        await self._engine.release()


class RecorderPool:
    """At most so many at once, one for each channel."""

    def __init__(self, make_engine: EngineFactory, *, max_recordings: int, now: Callable[[], float]) -> None:
        self._make_engine = make_engine
        self._max_recordings = max_recordings
        self._now = now
        self._by_channel: dict[str, RunningRecording] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        """By channel too; a recording that still joins has none."""
        self._is_closed = False

    async def start(self, channel: str, config: RecordingConfig) -> Entry:
        """Raises RecorderError, ProblemError."""
        self._check_free(channel)
        running = self._by_channel[channel] = RunningRecording(channel, self._make_engine, self._now)
        try:
            entry = await running.join(config)
        except BaseException:
            del self._by_channel[channel]
            await running.release()
            raise
        self._watches[channel] = asyncio.create_task(self._watch(running), name="channel-recorder-watch")
        return entry

    def live(self, id: str) -> Live | None:
        running = self._find(id)
        return None if running is None else running.live()

    async def stop(self, id: str) -> None:
        """Of a running one: waits until every file is whole."""
        running = self._find(id)
        if running is not None:
            await self._stop(running)

    async def close(self) -> None:
        """All leave at once; nothing is recorded after."""
        self._is_closed = True
        endings = [self._stop(running) for running in self._by_channel.values()]
        for fault in await asyncio.gather(*endings, return_exceptions=True):
            if isinstance(fault, BaseException):
                logger.error("a recording did not end well", exc_info=fault)

    async def _stop(self, running: RunningRecording) -> None:
        watch = self._watches.get(running.channel)
        await running.stop()
        if watch is not None:
            await asyncio.wait({watch})

    async def _watch(self, running: RunningRecording) -> None:
        try:
            await running.wait_left()
        finally:
            del self._by_channel[running.channel], self._watches[running.channel]
            await running.release()

    def _find(self, id: str) -> RunningRecording | None:
        running = self._by_channel.values()
        return next((one for one in running if one.entry is not None and one.entry.id == id), None)

    def _check_free(self, channel: str) -> None:
        if self._is_closed:
            raise ProblemError(503, "the service is closing", reason="closing")
        if channel in self._by_channel:
            raise ProblemError(409, f"the channel {channel!r} is being recorded already", reason="already_recording")
        if len(self._by_channel) >= self._max_recordings:
            raise ProblemError(
                503,
                f"{self._max_recordings} channels are being recorded, which is as many as this service may",
                reason="too_many_recordings",
            )
