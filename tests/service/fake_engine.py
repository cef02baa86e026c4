"""An engine without a channel: it makes the directory of a recording and writes what it is told to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from channel_recorder.aio import RecordingProperties
from channel_recorder.config import RecordingConfig
from channel_recorder.errors import RecorderError, StateError
from channel_recorder.handler import LeavePath, RecordedFile, RecordingHandler
from channel_recorder.model import MediaKind, Source, User
from channel_recorder.recording.contract import FileClosed, FileCreated, StreamSummary
from channel_recorder.recording.ledger import RecordingLedger
from channel_recorder.storage.directory import StorageRoot

FIRST_JOIN = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
VP8 = StreamSummary(kind=MediaKind.VIDEO, codec="vp8", frames=10, width=640, height=360)
OPUS = StreamSummary(kind=MediaKind.AUDIO, codec="opus", frames=50)


@dataclass
class FakeEngine:
    handler: RecordingHandler
    joined_at: datetime
    join_error: RecorderError | None = None
    join_gate: asyncio.Event | None = None
    """The join waits for it."""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by a join."""
    calls: list[str] = field(default_factory=list)
    config: RecordingConfig | None = None
    _ledger: RecordingLedger | None = None
    _left: asyncio.Future[LeavePath] | None = None

    async def join_channel_with_user_account(
        self, channel_key: str | None, channel_id: str, user_account: str, config: RecordingConfig | None = None
    ) -> None:
        self.calls.append(f"join {channel_id}")
        self.config = config
        self.asked.set()
        if self.join_gate is not None:
            await self.join_gate.wait()
        if "leave" in self.calls:
            raise StateError("the engine was told to leave before it had joined")
        if self.join_error is not None:
            raise self.join_error
        assert config is not None and config.record_file_root_dir is not None
        directory = StorageRoot(path=config.record_file_root_dir).create(channel_id, self.joined_at)
        self._ledger = RecordingLedger(directory)
        self._ledger.begin_recording(self.joined_at)
        self._left = asyncio.get_running_loop().create_future()

    @property
    def ledger(self) -> RecordingLedger:
        assert self._ledger is not None
        return self._ledger

    def get_properties(self) -> RecordingProperties:
        return RecordingProperties(storage_dir=self.ledger.directory.path)

    def begin_file(self, user: User, data: bytes, extension: str = "webm", at: float = 0.5) -> Path:
        path = self.ledger.name_file(user, Source.CAMERA, extension, at)
        path.write_bytes(data)
        self.ledger.event(FileCreated(at_seconds=at, name=path.name, user=user, source=Source.CAMERA))
        self.handler.on_file_created(path, user)
        return path

    def end_file(self, path: Path, user: User, duration: float = 9.0) -> None:
        closed = FileClosed(
            at_seconds=0.5 + duration,
            name=path.name,
            user=user,
            source=Source.CAMERA,
            start_seconds=0.5,
            duration_seconds=duration,
            bytes=path.stat().st_size,
            streams=(VP8, OPUS),
        )
        self.ledger.event(closed)
        told = RecordedFile(
            path=path,
            user=user,
            source="camera",
            start_seconds=0.5,
            duration_seconds=duration,
            bytes=closed.bytes,
            codecs=("vp8", "opus"),
        )
        self.handler.on_file_closed(told)

    async def wait_left(self) -> LeavePath:
        assert self._left is not None
        return await asyncio.shield(self._left)

    async def leave_channel(self, path: LeavePath = LeavePath.CLIENT_INITIATED) -> None:
        self.calls.append("leave")
        if self.join_gate is not None:
            self.join_gate.set()
        self.end(path)

    def end(self, path: LeavePath = LeavePath.NOBODY_LEFT, reason: str = "left") -> None:
        """Leaves by itself."""
        if self._left is not None and not self._left.done():
            self.ledger.finish(reason, 12.5)
            self._left.set_result(path)

    async def release(self) -> None:
        self.calls.append("release")


@dataclass
class Engines:
    """Makes fake engines, the n-th with the n-th settings; each joins a minute after the one before."""

    join_error: RecorderError | None = None
    join_gate: asyncio.Event | None = None
    made: list[FakeEngine] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody joined."""

    def make(self, handler: RecordingHandler) -> FakeEngine:
        joined_at = FIRST_JOIN + timedelta(minutes=len(self.made))
        engine = FakeEngine(handler, joined_at, self.join_error, self.join_gate, self.asked)
        self.made.append(engine)
        return engine

    @property
    def last(self) -> FakeEngine:
        return self.made[-1]
