"""The manifest says how far sound and pictures of a file are apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from channel_recorder.model import Codec, EncodedFrame, MediaKind, Source
from channel_recorder.recording.offset import OffsetMeter
from tests.recording.clips import pictures, sound
from tests.recording.stage import Stage


def test_nothing_measured_is_no_offset() -> None:
    assert OffsetMeter().summary() is None


def test_mean_has_a_sign_and_the_others_are_distances() -> None:
    meter = OffsetMeter()
    for milliseconds in (*[-2] * 95, -12, -12, -12, 30, 4):
        meter.add(milliseconds / 1000)
    summary = meter.summary()
    assert summary is not None
    assert summary.mean_seconds == pytest.approx(-0.00192)
    assert (summary.p95_seconds, summary.worst_seconds) == (0.002, 0.030)


def test_an_absurd_offset_is_bounded() -> None:
    meter = OffsetMeter()
    meter.add(-1e9)
    summary = meter.summary()
    assert summary is not None and summary.worst_seconds == 10.0


def test_a_file_tells_the_offset_of_its_sound_and_its_gaps(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    shots = pictures(Codec.VP8, 150)
    camera = stage.track(Source.CAMERA)
    stage.send_pictures(camera, Codec.VP8, shots[:25], 0.0)
    stage.send_pictures(camera, Codec.VP8, shots[125:], 5.0)
    packets = sound(6.0)
    stage.send_sound(stage.track(Source.MICROPHONE), packets, 0.0, lost=range(50, 75))
    stage.finish(6.0)
    video, audio = stage.closed(stage.created[0]).streams
    assert (video.kind, audio.kind) == (MediaKind.VIDEO, MediaKind.AUDIO)
    assert video.sound_offset is not None and video.sound_offset.worst_seconds <= 0.001
    assert audio.sound_offset is None
    assert (video.gaps, audio.gaps, audio.lost_frames) == (1, 1, 25)
    assert video.gap_seconds == pytest.approx(4.04, abs=0.05)
    assert audio.gap_seconds == pytest.approx(0.5, abs=0.01)


def test_what_the_timeline_has_still_to_correct_is_part_of_the_offset(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    sink = stage.track(Source.CAMERA)

    class Late:
        def write(self, frame: EncodedFrame) -> None:
            frame.error_seconds = 0.03
            sink.write(frame)

        def close(self, at_seconds: float) -> None:
            sink.close(at_seconds)

    stage.send_sound(stage.track(Source.MICROPHONE), sound(2.0), 0.0)
    stage.send_pictures(Late(), Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.finish(2.0)
    video = stage.closed(stage.created[0]).streams[0]
    assert video.sound_offset is not None
    assert video.sound_offset.mean_seconds == pytest.approx(-0.03, abs=0.002)
