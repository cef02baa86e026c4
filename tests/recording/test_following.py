"""Sound lies in whole packets: where that is not where it belongs, the pictures of its file go along."""

from __future__ import annotations

from pathlib import Path

import pytest

from channel_recorder.model import Codec, Source
from tests.recording.clips import FPS, pictures, sound
from tests.recording.playback import read
from tests.recording.stage import Stage


def test_pictures_go_with_sound_whose_packets_have_no_room_to_move(tmp_path: Path) -> None:
    """A sound card that is 2000 ppm slow: packets belong ever later, and lie one behind the other."""
    stage = Stage(tmp_path)
    stage.send_pictures(stage.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8, 150), 0.0)
    stage.send_sound(stage.track(Source.MICROPHONE), sound(6.0), 0.0, step=0.02004)
    stage.finish(6.0)
    video = read(stage.path(stage.created[0])).video
    assert video is not None
    for number, at in enumerate(video.pts_seconds[25:], start=25):
        sound_is_early = 0.002 * number / FPS
        assert number / FPS - at == pytest.approx(sound_is_early, abs=0.003)


def test_pictures_without_sound_stay_where_they_belong(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.send_pictures(stage.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.finish(2.0)
    video = read(stage.path(stage.created[0])).video
    assert video is not None
    assert video.pts_seconds == pytest.approx([number / FPS for number in range(50)], abs=0.001)
