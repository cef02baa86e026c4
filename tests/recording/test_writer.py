"""The writer thread: order, barriers, faults, overload."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from channel_recorder.errors import StateError
from channel_recorder.model import Codec, EncodedFrame, MediaKind, Source, User
from channel_recorder.recording.contract import RecordedTrack, TrackSink
from channel_recorder.recording.writer import FRAME_OVERHEAD_BYTES, QueuedRecorder, WriterThread

USER = User(uid=7, account="7")


def track(sid: str, kind: MediaKind = MediaKind.VIDEO) -> RecordedTrack:
    return RecordedTrack(sid=sid, user=USER, kind=kind, source=Source.CAMERA)


def frame(number: int, *, key: bool = False, codec: Codec = Codec.VP8) -> EncodedFrame:
    return EncodedFrame(codec, bytes(100), number, 0.0, key_frame=key)


class Notebook:
    """A recorder that writes down who called, on which thread; blocks or fails when told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.frames: list[EncodedFrame] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.fault: Exception | None = None

    def note(self, *call: object) -> None:
        self.calls.append(call)
        self.threads.add(threading.current_thread().name)

    def add_track(self, track: RecordedTrack, at_seconds: float) -> TrackSink:
        self.note("add", track.sid, at_seconds)
        return NotebookTrack(self, track.sid)

    def mute_track(self, sid: str, muted: bool, at_seconds: float) -> None:
        self.note("mute", sid, muted, at_seconds)

    def user_joined(self, user: User, at_seconds: float) -> None:
        self.note("joined", user.uid, at_seconds)

    def user_left(self, user: User, at_seconds: float) -> None:
        self.note("left", user.uid, at_seconds)

    def advance(self, now_seconds: float) -> None:
        self.note("advance", now_seconds)

    def close(self, at_seconds: float) -> None:
        self.note("close", at_seconds)


class NotebookTrack:
    def __init__(self, notebook: Notebook, sid: str) -> None:
        self.notebook, self.sid = notebook, sid

    def write(self, frame: EncodedFrame) -> None:
        self.notebook.gate.wait(10)
        self.notebook.note("write", self.sid, frame.timestamp)
        self.notebook.frames.append(frame)
        if self.notebook.fault is not None:
            raise self.notebook.fault

    def close(self, at_seconds: float) -> None:
        self.notebook.note("end", self.sid, at_seconds)


@pytest.fixture
def thread() -> Iterator[WriterThread]:
    writer = WriterThread()
    yield writer
    writer.stop()


def never(error: BaseException) -> None:
    raise AssertionError from error


async def test_calls_arrive_in_order_on_the_writer_thread(thread: WriterThread) -> None:
    notebook = Notebook()
    recorder = thread.open(notebook, on_error=never)
    recorder.user_joined(USER, 0.0)
    sink = recorder.add_track(track("a"), 0.1)
    sink.write(frame(1))
    recorder.mute_track("a", True, 0.1)
    recorder.advance(0.15)
    sink.write(frame(2))
    sink.close(0.4)
    recorder.user_left(USER, 0.5)
    recorder.close(0.6)
    await recorder.drained()
    assert notebook.calls == [
        ("joined", 7, 0.0),
        ("add", "a", 0.1),
        ("write", "a", 1),
        ("mute", "a", True, 0.1),
        ("advance", 0.15),
        ("write", "a", 2),
        ("end", "a", 0.4),
        ("left", 7, 0.5),
        ("close", 0.6),
    ]
    assert notebook.threads == {"channel-recorder-writer"}
    assert recorder.backlog_bytes == 0


async def test_fault_of_one_recording_leaves_the_others_alone(thread: WriterThread) -> None:
    broken, sound = Notebook(), Notebook()
    broken.fault = RuntimeError("broken")
    errors: list[BaseException] = []
    first, second = thread.open(broken, on_error=errors.append), thread.open(sound, on_error=never)
    sinks = [recorder.add_track(track("a"), 0.0) for recorder in (first, second)]
    for number in range(3):
        for sink in sinks:
            sink.write(frame(number, key=True))
    for recorder in (first, second):
        recorder.advance(0.1)
        recorder.close(1.0)
        await recorder.drained()
    assert [str(error) for error in errors] == ["broken"]
    assert first.failed and not second.failed
    assert broken.calls == [("add", "a", 0.0), ("write", "a", 0), ("close", 1.0)]
    assert [call for call in sound.calls if call[0] == "write"] == [("write", "a", number) for number in range(3)]


def overloaded(thread: WriterThread, notebook: Notebook, told: list[tuple[str, int]]) -> QueuedRecorder:
    """Takes ten frames before pictures are dropped."""
    notebook.gate.clear()
    limit = 10 * (100 + FRAME_OVERHEAD_BYTES) - 1
    return thread.open(
        notebook, on_error=never, on_overload=lambda sid, count: told.append((sid, count)), limit_bytes=limit
    )


async def test_overload_drops_pictures_up_to_the_next_key_frame(thread: WriterThread) -> None:
    notebook, told = Notebook(), list[tuple[str, int]]()
    recorder = overloaded(thread, notebook, told)
    sink = recorder.add_track(track("a"), 0.0)
    for number in range(15):
        sink.write(frame(number, key=number in (0, 12)))
    notebook.gate.set()
    await recorder.drained()
    sink.write(frame(15))
    sink.write(frame(16, key=True))
    sink.write(frame(17))
    await recorder.drained()
    assert [written.timestamp for written in notebook.frames] == [*range(10), 16, 17]
    assert [written.lost_packets for written in notebook.frames][-2:] == [6, 0]
    assert told == [("a", 1)]
    assert recorder.dropped_frames == 6


async def test_overload_keeps_sound_and_control_longer_than_pictures(thread: WriterThread) -> None:
    notebook, told = Notebook(), list[tuple[str, int]]()
    recorder = overloaded(thread, notebook, told)
    camera = recorder.add_track(track("a"), 0.0)
    microphone = recorder.add_track(track("b", MediaKind.AUDIO), 0.0)
    for number in range(12):
        camera.write(frame(number, key=True))
    for number in range(12):
        microphone.write(frame(number, codec=Codec.OPUS))
    recorder.close(1.0)
    notebook.gate.set()
    await recorder.drained()
    written = [call for call in notebook.calls if call[0] == "write"]
    assert [call[2] for call in written if call[1] == "a"] == [*range(10)]
    assert [call[2] for call in written if call[1] == "b"] == [*range(5)]
    assert notebook.calls[-1] == ("close", 1.0)
    assert {sid for sid, _ in told} == {"a", "b"}


def advanced(thread: WriterThread, *ticks: float) -> list[float]:
    """Which of these instants the recorder behind the queue is told of."""
    notebook = Notebook()
    recorder = thread.open(notebook, on_error=never)
    for now in ticks:
        recorder.advance(now)
    recorder.flush().result(10)
    return [float(str(now)) for _, now in notebook.calls]


def test_silence_is_not_filled_in_while_the_loop_reads_what_piled_up(thread: WriterThread) -> None:
    ticks = [n / 10 for n in range(1, 11)] + [1.4] + [n / 10 for n in range(15, 40)]
    assert advanced(thread, *ticks) == [tick for tick in ticks if tick <= 1.0 or tick >= 1.4 + 4 * 0.4]


def test_time_goes_on_though_the_loop_is_held_up_forever(thread: WriterThread) -> None:
    told = advanced(thread, *(0.5 * n for n in range(1, 101)))
    assert len(told) == 4
    assert all(10.0 < later - earlier <= 11.0 for earlier, later in itertools.pairwise(told))


def test_a_recording_that_goes_on_after_a_crash_is_not_held_up(thread: WriterThread) -> None:
    notebook = Notebook()
    recorder = thread.open(notebook, on_error=never)
    recorder.begin_at(5000.0)
    for tick in range(1, 4):
        recorder.advance(5000.0 + tick / 10)
    recorder.flush().result(10)
    assert notebook.calls == [("advance", 5000.1), ("advance", 5000.2), ("advance", 5000.3)]


def test_stop_carries_out_what_is_queued() -> None:
    writer, notebook = WriterThread(), Notebook()
    recorder = writer.open(notebook, on_error=never)
    recorder.close(1.0)
    writer.stop()
    assert notebook.calls == [("close", 1.0)]
    with pytest.raises(StateError):
        writer.open(notebook, on_error=never)


async def test_forgotten_recorder_is_served_no_more(thread: WriterThread) -> None:
    notebook = Notebook()
    recorder = thread.open(notebook, on_error=never)
    recorder.close(1.0)
    done = recorder.flush()
    thread.forget(recorder)
    await recorder.drained()
    assert done.done()
    assert notebook.calls == [("close", 1.0)]
