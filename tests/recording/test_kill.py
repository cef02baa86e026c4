"""kill -9 at any moment: the file plays, and lacks at most the last second."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from channel_recorder.model import Codec
from tests.recording.clips import pictures, sound
from tests.recording.playback import decoded_pictures, decoded_sound, read

ROOT = Path(__file__).parents[2]
SPEED = 4.0
LOST_SECONDS = 1.0
DELAY_SECONDS = 0.05


def recorded_until_killed(folder: Path, codec: Codec, ticks: int) -> float:
    """The recording time at which the program was killed."""
    command = [sys.executable, "-m", "tests.recording.live_writer", str(folder), codec.value, str(SPEED)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        now = 0.0
        for _ in range(ticks):
            now = float(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    return now


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264, Codec.OPUS])
def test_killed_recording_plays_up_to_the_last_second(tmp_path: Path, codec: Codec) -> None:
    if codec is not Codec.OPUS:
        pictures(codec, 200)
    sound(8.0)
    killed_at = recorded_until_killed(tmp_path, codec, random.Random(codec.value).randrange(15, 45))
    (path,) = tmp_path.iterdir()
    file = read(path)
    assert file.audio is not None
    assert file.audio.holes == []
    assert file.audio.packets == sound(8.0)[: len(file.audio.packets)]
    assert file.audio.end_seconds > killed_at - LOST_SECONDS
    assert len(decoded_sound(path)) / 48_000 == pytest.approx(file.audio.end_seconds, abs=0.001)
    if codec is not Codec.OPUS:
        assert file.video is not None
        assert file.video.pts_seconds[0] == pytest.approx(0.1, abs=0.001)
        assert file.video.end_seconds > killed_at - LOST_SECONDS
        assert len(decoded_pictures(path)) == len(file.video.packets)
