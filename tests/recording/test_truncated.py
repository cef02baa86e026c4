"""What a kill at any instant leaves: the files as they lie after every batch of a running recording."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from channel_recorder.model import Codec, Source
from channel_recorder.recording.series import REPAIR_SECONDS
from tests.recording.clips import pictures, sound
from tests.recording.playback import read
from tests.recording.stage import DELAY_SECONDS, Stage

LOST_SECONDS = 1.0


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264, Codec.AV1])
@pytest.mark.parametrize("sound_end", [1.0, 6.0])
@pytest.mark.parametrize("picture_end", [1.0, 6.0])
def test_at_most_the_last_second_is_missing(tmp_path: Path, codec: Codec, sound_end: float, picture_end: float) -> None:
    """Also while one of the two pauses."""
    stage = Stage(tmp_path)
    stage.send_pictures(stage.track(Source.CAMERA), codec, pictures(codec, 150)[: round(25 * picture_end)], 0.1)
    stage.send_sound(stage.track(Source.MICROPHONE), sound(6.0)[: round(50 * sound_end)], 0.0)
    for tick in range(11, 60):
        now = tick / 10
        stage.run(now)
        (name,) = stage.created
        copy = tmp_path / f"copy.{Path(name).suffix}"
        shutil.copyfile(stage.path(name), copy)
        file = read(copy)
        assert file.audio is not None and file.video is not None
        assert file.audio.pts_seconds[0] == 0.0
        assert file.video.pts_seconds[0] == pytest.approx(0.1, abs=0.001)
        silence_is_sure = now > sound_end + REPAIR_SECONDS + LOST_SECONDS / 2
        assert file.audio.end_seconds > (now if silence_is_sure else min(now, sound_end)) - LOST_SECONDS
        assert file.video.end_seconds > min(now, picture_end + 0.1) - LOST_SECONDS
        assert file.audio.holes == []
    stage.recorder.close(6.0)


@pytest.mark.parametrize("audio_codec", ["opus", "aac"])
def test_sound_alone_lacks_at_most_the_last_second(tmp_path: Path, audio_codec: str) -> None:
    stage = Stage(tmp_path, audio_codec=audio_codec)
    stage.send_sound(stage.track(Source.MICROPHONE), sound(6.0), 0.0)
    for tick in range(11, 60):
        stage.run(tick / 10)
        (name,) = stage.created
        copy = tmp_path / f"copy.{Path(name).suffix}"
        shutil.copyfile(stage.path(name), copy)
        audio = read(copy).audio
        assert audio is not None
        assert audio.end_seconds > tick / 10 - DELAY_SECONDS - LOST_SECONDS
    stage.recorder.close(6.0)
