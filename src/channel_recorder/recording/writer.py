"""The writer thread: what keeps disks and muxers away from the media loop.

    writer = WriterThread()
    recorder = writer.open(IndividualRecorder(...), on_error=..., on_overload=...)
    recorder.add_track(...).write(frame)        # media loop: an append, nothing more
    recorder.advance(now)                       # media loop, every 100 ms
    recorder.close(now); await recorder.drained()

`QueuedRecorder` looks like the recorder it wraps. Every call travels in one queue, in order, so the
recorder behind it sees the calls as if they had been made directly. That goes for `advance` too: time
driven by the thread itself would run ahead of a media loop that was held up, and fill with silence the
places of packets that wait in its sockets.

One thread serves all recordings of a process, a batch every 100 ms.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from channel_recorder.errors import StateError
from channel_recorder.model import EncodedFrame, MediaKind, User
from channel_recorder.recording.contract import RecordedTrack, Recorder, TrackSink

BATCH_SECONDS = 0.1
QUEUE_LIMIT_BYTES = 32 * 2**20
"""Of one recording: 50 s at 5 Mbit/s."""
SOUND_LIMIT_FACTOR = 1.5
"""Sound goes on where pictures are dropped, up to this many times the limit."""
FRAME_OVERHEAD_BYTES = 400
"""What a queued frame costs beside its data, measured with tracemalloc: limits small frames too."""
STALL_SECONDS = 0.2
"""A longer pause between two `advance` calls means the loop was held up: packets still wait in sockets. Shorter than
sound is waited for, or silence would take their places."""
CATCH_UP_FACTOR = 4.0
"""So many times as long as it was held up, a loop at 80 % of its core needs to read what piled up meanwhile."""
PATIENCE_SECONDS = 10.0
"""A loop that never catches up must not keep time standing still."""

OverloadHandler = Callable[[str, int], None]
ErrorHandler = Callable[[BaseException], None]


class QueuedTrack:
    """Media-loop side of one track's sink."""

    __slots__ = ("_carry", "_dropped", "_is_video", "_recorder", "_sid", "_sink")

    def __init__(self, recorder: QueuedRecorder, track: RecordedTrack) -> None:
        self._recorder = recorder
        self._sid = track.sid
        self._is_video = track.kind is MediaKind.VIDEO
        self._dropped = 0
        self._sink: TrackSink | None = None
        self._carry = self._write
        """Kept: a bound method is an object, made anew each time."""

    def write(self, frame: EncodedFrame) -> None:
        recorder = self._recorder
        size = len(frame.data) + FRAME_OVERHEAD_BYTES
        backlog = recorder.accepted_bytes - recorder.written_bytes
        if (backlog > recorder.limit_bytes or self._dropped) and self._drops(frame, backlog):
            return
        recorder.accepted_bytes += size
        recorder.queue.append((self._carry, frame))

    def close(self, at_seconds: float) -> None:
        self._recorder.post(self._close, at_seconds)

    def _drops(self, frame: EncodedFrame, backlog: int) -> bool:
        """Pictures are dropped up to the next key frame that fits."""
        limit = self._recorder.limit_bytes
        if not self._is_video:
            limit *= SOUND_LIMIT_FACTOR
        if backlog <= limit and (frame.key_frame or not self._dropped):
            frame.lost_packets += self._dropped
            self._dropped = 0
            return False
        self._dropped += 1
        self._recorder.dropped_frames += 1
        if self._dropped == 1:
            self._recorder.on_overload(self._sid, self._recorder.dropped_frames)
        return True

    # Writer-thread side

    def open(self, track: RecordedTrack, at_seconds: float) -> None:
        self._sink = self._recorder.inner.add_track(track, at_seconds)

    def _write(self, frame: EncodedFrame) -> None:
        self._recorder.written_bytes += len(frame.data) + FRAME_OVERHEAD_BYTES
        if self._sink is not None and not self._recorder.failed:
            self._sink.write(frame)

    def _close(self, at_seconds: float) -> None:
        if self._sink is not None:
            self._sink.close(at_seconds)


class QueuedRecorder:
    """A `Recorder` whose calls are carried out by the writer thread, in order. Made by `WriterThread.open`.

    To be used from one thread (the media loop). After the inner recorder raised, media is discarded,
    but `close` still reaches it.
    """

    def __init__(
        self,
        inner: Recorder,
        wake: Callable[[], None],
        on_error: ErrorHandler,
        on_overload: OverloadHandler,
        limit_bytes: int,
    ) -> None:
        self.inner = inner
        self.queue: deque[tuple[Callable[[Any], object], Any]] = deque()
        """deque: append here and popleft there are atomic, so the hot path needs no lock."""
        self.limit_bytes = limit_bytes
        self.accepted_bytes = 0
        """Written by the media loop only."""
        self.written_bytes = 0
        """Written by the writer thread only."""
        self.dropped_frames = 0
        self.failed = False
        self.on_overload = on_overload
        self._on_error = on_error
        self._wake = wake
        self._called_at = 0.0
        self._advanced_at = 0.0
        self._behind_until = 0.0

    @property
    def backlog_bytes(self) -> int:
        """Bytes that wait for the writer thread, with what the queue itself costs."""
        return self.accepted_bytes - self.written_bytes

    def post(self, function: Callable[[Any], object], argument: Any) -> None:
        """Run `function(argument)` on the writer thread, after everything posted before. Never dropped."""
        self.queue.append((function, argument))

    def add_track(self, track: RecordedTrack, at_seconds: float) -> TrackSink:
        queued = QueuedTrack(self, track)
        self.post(lambda at: queued.open(track, at), at_seconds)
        return queued

    def mute_track(self, sid: str, muted: bool, at_seconds: float) -> None:
        self.post(lambda at: self.inner.mute_track(sid, muted, at), at_seconds)

    def user_joined(self, user: User, at_seconds: float) -> None:
        self.post(lambda at: self.inner.user_joined(user, at), at_seconds)

    def user_left(self, user: User, at_seconds: float) -> None:
        self.post(lambda at: self.inner.user_left(user, at), at_seconds)

    def begin_at(self, at_seconds: float) -> None:
        """Time begins here, if not at 0: what went on before was no pause."""
        self._called_at = self._advanced_at = at_seconds

    def advance(self, now_seconds: float) -> None:
        """Call every 100 ms. After the loop was held up time stands still until the sockets are read."""
        pause_seconds = now_seconds - self._called_at
        self._called_at = now_seconds
        if pause_seconds > STALL_SECONDS:
            self._behind_until = now_seconds + min(CATCH_UP_FACTOR * pause_seconds, PATIENCE_SECONDS)
        if now_seconds >= self._behind_until or now_seconds - self._advanced_at > PATIENCE_SECONDS:
            self._advanced_at = now_seconds
            self.post(self._advance, now_seconds)

    def close(self, at_seconds: float) -> None:
        """Ends the inner recorder. Await `drained()` to know its files are whole."""
        self.post(self.inner.close, at_seconds)
        self._wake()

    def flush(self) -> Future[None]:
        """Done when everything posted before was carried out; the batch starts at once."""
        future: Future[None] = Future()
        self.post(future.set_result, None)
        self._wake()
        return future

    async def drained(self) -> None:
        """`flush()` for asyncio."""
        await asyncio.wrap_future(self.flush())

    # Writer-thread side

    def run_batch(self) -> None:
        queue = self.queue
        for _ in range(len(queue)):
            function, argument = queue.popleft()
            try:
                function(argument)
            except Exception as error:  # noqa: BLE001 - one recording's fault must not end the others'
                self.failed = True
                self._on_error(error)

    def _advance(self, now_seconds: float) -> None:
        if not self.failed:
            self.inner.advance(now_seconds)


def _ignore_overload(sid: str, dropped_frames: int) -> None:
    del sid, dropped_frames


class WriterThread:
    """One thread that muxes and writes for all recordings of a process."""

    def __init__(self, batch_seconds: float = BATCH_SECONDS) -> None:
        self._batch_seconds = batch_seconds
        self._recorders: list[QueuedRecorder] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="channel-recorder-writer", daemon=True)
        self._thread.start()

    def open(
        self,
        recorder: Recorder,
        *,
        on_error: ErrorHandler,
        on_overload: OverloadHandler = _ignore_overload,
        limit_bytes: int = QUEUE_LIMIT_BYTES,
    ) -> QueuedRecorder:
        """Put a recorder behind the queue.

        `on_error(exception)` is called on the writer thread when the recorder raises: its recording failed.
        `on_overload(sid, dropped_frames)` is called on the media loop when frames of a track begin to be
        dropped because the disk does not keep up; a key frame should be asked for.
        Raises `StateError` after `stop`.
        """
        queued = QueuedRecorder(recorder, self._wake.set, on_error, on_overload, limit_bytes)
        with self._lock:
            if self._stopping:
                raise StateError("the writer thread was stopped")
            self._recorders.append(queued)
        return queued

    def forget(self, recorder: QueuedRecorder) -> None:
        """Carry out what is queued, then serve this recorder no more. Call after its `close`."""
        recorder.post(self._remove, recorder)
        self._wake.set()

    def stop(self) -> None:
        """Carry out everything that is queued, then end the thread. Blocks until it ended."""
        with self._lock:
            self._stopping = True
        self._wake.set()
        self._thread.join()

    def _remove(self, recorder: QueuedRecorder) -> None:
        with self._lock:
            self._recorders.remove(recorder)

    def _run(self) -> None:
        while True:
            self._wake.wait(self._batch_seconds)
            self._wake.clear()
            with self._lock:
                stopping, recorders = self._stopping, tuple(self._recorders)
            for recorder in recorders:
                recorder.run_batch()
            if stopping:
                return
