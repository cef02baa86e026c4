"""A disk that refuses: said once, the rest goes on."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from channel_recorder.model import Codec, Source
from channel_recorder.recording.contract import FileClosed, StorageFailed
from tests.recording.clips import pictures, sound
from tests.recording.playback import read
from tests.recording.stage import BOB, Stage


@contextmanager
def files_no_larger_than(size_bytes: int) -> Generator[None]:
    """Writing beyond it fails with EFBIG, in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
def test_full_disk_closes_the_file_as_it_lies_and_others_live(tmp_path: Path, codec: Codec) -> None:
    stage = Stage(tmp_path)
    stage.send_sound(stage.track(Source.MICROPHONE), sound(4.0), 0.0)
    stage.send_pictures(stage.track(Source.CAMERA), codec, pictures(codec, 100), 0.0)
    stage.send_sound(stage.track(Source.MICROPHONE, BOB), sound(4.0, 100.0)[:60], 0.0)
    with files_no_larger_than(16_000):
        stage.finish(4.0)
    (failed,) = stage.of_type(StorageFailed)
    assert failed.name.startswith("7_") and "too large" in failed.message.lower()
    assert 1.0 < failed.at_seconds < 4.0
    file = read(stage.path(failed.name))
    assert file.audio is not None and file.video is not None
    assert file.video.end_seconds > failed.at_seconds - 1.5
    assert stage.path(failed.name).stat().st_size <= 16_000
    assert stage.closed(failed.name).streams[0].frames > 0
    bob = read(next(tmp_path.glob("9_*.ogg"))).audio
    assert bob is not None and bob.packets[:60] == sound(4.0, 100.0)[:60]
    assert bob.end_seconds == pytest.approx(4.0, abs=0.011)


def test_recording_resumes_when_the_disk_takes_files_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    camera = stage.track(Source.CAMERA, sid="TR_camera")
    with files_no_larger_than(2_000):
        stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8, 50), 0.0)
        stage.run(2.5)
    for start in range(2, 14, 2):
        stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8, 50), start + 0.6)
    stage.finish(15.0)
    first, second = stage.created
    assert len(stage.of_type(StorageFailed)) == 1
    assert stage.closed(second).start_seconds >= stage.of_type(StorageFailed)[0].at_seconds + 10.0
    video = read(stage.path(second)).video
    assert video is not None and video.key_frames >= 1 and stage.path(first).exists()


def test_folder_that_is_gone_is_reported_and_nothing_raises(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "gone")
    stage.send_sound(stage.track(Source.MICROPHONE), sound(2.0), 0.0)
    stage.finish(2.0)
    (failed,) = stage.of_type(StorageFailed)
    assert "No such file" in failed.message
    assert stage.of_type(FileClosed) == []


def test_hour_long_file_is_closed_in_a_moment(tmp_path: Path) -> None:
    """Well under the 500 ms that leaving may take; the bound here only tells milliseconds from minutes."""
    stage = Stage(tmp_path)
    camera = stage.track(Source.CAMERA)
    stage.send_pictures(camera, Codec.H264, pictures(Codec.H264), 0.0)
    stage.run(3.0)
    stage.recorder.advance(3600.0)
    begin = time.process_time()
    stage.recorder.close(3600.0)
    assert time.process_time() - begin < 5.0
    audio = read(stage.path(stage.created[0])).audio
    assert audio is not None and audio.end_seconds == pytest.approx(3600.0, abs=0.011)
