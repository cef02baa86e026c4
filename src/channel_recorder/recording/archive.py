"""Everything of a recording that is written: spans of files, one after the other, and the ledger of all.

`Archive` lives on the writer thread. `QueuedArchive` is its media-loop side: each call is an append to the
writer's queue. Automatic mode has one span, manual mode one for each start and stop; each begins new files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from channel_recorder.errors import StorageError
from channel_recorder.events import ChannelEvent
from channel_recorder.model import EncodedFrame, User
from channel_recorder.recording.contract import FileEvent, RecordedTrack, Recorder, StorageFailed, TrackSink
from channel_recorder.recording.facts import UidOf
from channel_recorder.recording.ledger import RecordingLedger
from channel_recorder.recording.manifest import Manifest
from channel_recorder.recording.writer import ErrorHandler, OverloadHandler, QueuedRecorder, WriterThread
from channel_recorder.storage.guard import DiskGuard

MakeRecorder = Callable[[Callable[[FileEvent], None]], Recorder]


class ArchiveListener(Protocol):
    """Called on the media loop."""

    def on_file_event(self, event: FileEvent) -> None: ...

    def on_key_frame_wanted(self, sid: str) -> None: ...

    def on_overload(self, sid: str, dropped_frames: int) -> None: ...

    def on_archive_failed(self, error: BaseException) -> None: ...


class _NoSink:
    """For what comes between two spans."""

    def write(self, frame: EncodedFrame) -> None:
        pass

    def close(self, at_seconds: float) -> None:
        pass


class Archive:
    """A `Recorder` that passes everything on to the recorder of the present span."""

    def __init__(
        self,
        ledger: RecordingLedger,
        make_recorder: MakeRecorder,
        tell: Callable[[FileEvent], None],
        guard: DiskGuard | None = None,
    ) -> None:
        """`tell` is called, on the writer thread, with every file event that the ledger has taken."""
        self.ledger = ledger
        self._make_recorder = make_recorder
        self._tell = tell
        self._guard = guard
        self._span: Recorder | None = None

    def begin_span(self, at_seconds: float) -> None:
        self.ledger.begin_span(at_seconds)
        self._span = self._make_recorder(self._on_file_event)

    def end_span(self, at_seconds: float) -> None:
        if self._span is not None:
            self._span.close(at_seconds)
            self._span = None
            self.ledger.end_span(at_seconds)

    def _on_file_event(self, event: FileEvent) -> None:
        if isinstance(event, StorageFailed) and event.final:
            # First: the file that failed is about to be closed, and the journal to be told.
            self.ledger.make_room()
        self.ledger.event(event)
        self._tell(event)

    # Recorder

    def add_track(self, track: RecordedTrack, at_seconds: float) -> TrackSink:
        return _NoSink() if self._span is None else self._span.add_track(track, at_seconds)

    def mute_track(self, sid: str, muted: bool, at_seconds: float) -> None:
        if self._span is not None:
            self._span.mute_track(sid, muted, at_seconds)

    def user_joined(self, user: User, at_seconds: float) -> None:
        if self._span is not None:
            self._span.user_joined(user, at_seconds)

    def user_left(self, user: User, at_seconds: float) -> None:
        if self._span is not None:
            self._span.user_left(user, at_seconds)

    def advance(self, now_seconds: float) -> None:
        if self._span is not None:
            self._look_at_disk(now_seconds)
            self._span.advance(now_seconds)

    def _look_at_disk(self, now_seconds: float) -> None:
        if self._guard is None:
            return
        try:
            self._guard.check(now_seconds)
        except StorageError as error:
            self._guard = None
            self._on_file_event(StorageFailed(at_seconds=now_seconds, name="", message=str(error), final=True))

    def close(self, at_seconds: float) -> None:
        self.end_span(at_seconds)


class QueuedArchive:
    """An archive as the media loop sees it."""

    def __init__(
        self, writer: WriterThread, archive: Archive, *, on_error: ErrorHandler, on_overload: OverloadHandler
    ) -> None:
        self._writer = writer
        self._archive = archive
        self._queue = writer.open(archive, on_error=on_error, on_overload=on_overload)
        self._finishing = False

    @property
    def recorder(self) -> QueuedRecorder:
        """Where tracks, mutes, users and the passing of time go."""
        return self._queue

    @property
    def dropped_frames(self) -> int:
        return self._queue.dropped_frames

    @property
    def has_failed(self) -> bool:
        """The recorder raised: media is discarded from then on."""
        return self._queue.failed

    def begin_recording(self, started_at: datetime) -> None:
        """Recording time zero. Everything before was waiting."""
        self._queue.post(self._archive.ledger.begin_recording, started_at)

    def begin_span(self, at_seconds: float) -> None:
        self._queue.begin_at(at_seconds)
        self._queue.post(self._archive.begin_span, at_seconds)

    def end_span(self, at_seconds: float) -> None:
        self._queue.post(self._archive.end_span, at_seconds)

    def channel_event(self, event: ChannelEvent, at_seconds: float, uid_of: UidOf) -> None:
        if not self._finishing:
            self._queue.post(lambda at: self._archive.ledger.channel_event(event, at, uid_of), at_seconds)

    def note(self, fact: str, at_seconds: float, **fields: Any) -> None:
        if not self._finishing:
            self._queue.post(partial(self._archive.ledger.note, fact, **fields), at_seconds)

    async def finish(self, reason: str, duration_seconds: float) -> Manifest:
        """Closes what is open, then the books. Raises StorageError."""
        # The ledger is closed on another thread below: no fact may reach it on the writer thread then.
        self._finishing = True
        self._queue.close(duration_seconds)
        await self._queue.drained()
        self._writer.forget(self._queue)
        # Not on the writer thread: hashing the last files must not hold up other recordings.
        return await asyncio.to_thread(self._archive.ledger.finish, reason, duration_seconds)
