"""A disk that stalls for seconds, or a process out of files: nobody waits, what is left out is counted and told."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from channel_recorder.model import Codec, EncodedFrame, MediaKind, Source
from channel_recorder.recording.contract import FileClosed, FileEvent, RecordedTrack, StorageFailed
from channel_recorder.recording.individual import IndividualRecorder
from channel_recorder.recording.writer import QueuedRecorder, WriterThread
from tests.recording.clips import FPS, PACKET_SECONDS, pictures, sound
from tests.recording.playback import decoded_pictures, read
from tests.recording.stage import ALICE, BOB, Stage

STALL = (1.0, 5.0)
SECONDS = 8.0
LIMIT_BYTES = 120_000
"""What is queued in three seconds."""


class SlowDisk:
    """A recorder behind the queue, whose writer thread hangs for a while."""

    def __init__(self, writer: WriterThread, folder: Path) -> None:
        self.events: list[FileEvent] = []
        self.overloads: list[tuple[str, int]] = []
        self.asked = 0
        self._disk = threading.Event()
        recorder = IndividualRecorder(
            name_file=lambda user, source, extension, at: folder / f"{user.uid}_{round(at * 1000)}.{extension}",
            on_event=self.events.append,
            key_frame_wanted=lambda sid: None,
        )
        self.queue: QueuedRecorder = writer.open(
            recorder, on_error=self._never, on_overload=self._overload, limit_bytes=LIMIT_BYTES
        )

    def _never(self, error: BaseException) -> None:
        raise error

    def _overload(self, sid: str, dropped: int) -> None:
        self.overloads.append((sid, dropped))

    def play(self) -> None:
        """Eight seconds of camera and microphone, during which the disk hangs for four."""
        camera, microphone = (
            self.queue.add_track(RecordedTrack(sid=sid, user=ALICE, kind=kind, source=source), 0.0)
            for sid, kind, source in (
                ("TR_v", MediaKind.VIDEO, Source.CAMERA),
                ("TR_a", MediaKind.AUDIO, Source.MICROPHONE),
            )
        )
        frames = sorted([*_camera(), *_microphone()], key=lambda frame: frame.time_seconds)
        is_stalled = False
        for frame in frames:
            stalls = STALL[0] <= frame.time_seconds < STALL[1]
            if stalls != is_stalled:
                is_stalled = stalls
                if stalls:
                    self.queue.flush().result(20)
                    self.queue.post(lambda _: self._disk.wait(20), None)
                else:
                    self._disk.set()
            if not stalls:
                self.queue.flush().result(20)
            (camera if frame.codec is Codec.VP8 else microphone).write(frame)
            assert self.queue.backlog_bytes < 2 * LIMIT_BYTES
        self.queue.close(SECONDS)
        self.queue.flush().result(20)


def _camera() -> Iterator[EncodedFrame]:
    for number, picture in enumerate(pictures(Codec.VP8, round(SECONDS * FPS))):
        size = (picture.width, picture.height) if picture.key_frame else (0, 0)
        frame = EncodedFrame(Codec.VP8, picture.data, number * 3600, 0.0, picture.key_frame, *size)
        frame.time_seconds = number / FPS
        yield frame


def _microphone() -> Iterator[EncodedFrame]:
    for number, data in enumerate(sound(SECONDS)):
        frame = EncodedFrame(Codec.OPUS, data, number * 960, 0.0)
        frame.time_seconds = number * PACKET_SECONDS
        yield frame


def test_a_disk_that_stalls_costs_pictures_up_to_a_key_frame_and_no_sound(tmp_path: Path) -> None:
    writer = WriterThread()
    try:
        disk = SlowDisk(writer, tmp_path)
        disk.play()
    finally:
        writer.stop()
    (closed,) = [event for event in disk.events if isinstance(event, FileClosed)]
    video, audio = closed.streams
    playback = read(tmp_path / closed.name)
    assert playback.audio is not None and playback.video is not None
    assert playback.audio.packets == sound(SECONDS), "sound goes on where pictures are left out"
    assert audio.lost_frames == audio.filled_frames == 0
    dropped = disk.queue.dropped_frames
    assert dropped > 0
    assert video.frames == round(SECONDS * FPS) - dropped
    assert video.lost_frames == pytest.approx(dropped, abs=2)
    assert disk.overloads == [("TR_v", 1)]
    assert len(decoded_pictures(tmp_path / closed.name)) == video.frames
    gap = max(
        range(1, video.frames),
        key=lambda n: playback.video.pts_seconds[n] - playback.video.pts_seconds[n - 1],  # pyright: ignore[reportOptionalMemberAccess]
    )
    assert playback.video.pts_seconds[gap] == pytest.approx(round(playback.video.pts_seconds[gap]), abs=0.002), "a key"


@contextmanager
def no_more_files() -> Generator[None]:
    """Whatever is opened now is one too many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open("/", os.O_RDONLY)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_too_many_open_files_pass_and_harm_nobody_else(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.send_sound(stage.track(Source.MICROPHONE), sound(16.0), 0.0)
    stage.run(2.0)
    with no_more_files():
        stage.send_sound(stage.track(Source.MICROPHONE, BOB), sound(14.0), 2.0)
        stage.run(4.0)
    stage.finish(16.0)
    (failed,) = stage.of_type(StorageFailed)
    assert "Too many open files" in failed.message
    assert not failed.final
    alice, bob = stage.created
    assert read(stage.path(alice)).audio.packets[:800] == sound(16.0)  # pyright: ignore[reportOptionalMemberAccess]
    assert stage.closed(bob).start_seconds == pytest.approx(failed.at_seconds + 10.0, abs=1.0)
    assert stage.closed(bob).user == BOB
