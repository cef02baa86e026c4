"""Whatever comes in whatever order: sound has no holes, pictures go forward, both are in step."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from channel_recorder.model import Codec, MediaKind, Source
from channel_recorder.recording.contract import FileClosed, FileCreated
from tests.recording.clips import FPS, pictures, sound
from tests.recording.playback import read
from tests.recording.stage import Stage

SPAN_SECONDS = 4.0
starts = st.floats(0.0, 3.0)
mutes = st.lists(st.tuples(st.floats(0.0, 4.0), st.floats(0.05, 2.0)), max_size=2)
losses = st.lists(st.integers(0, 199), max_size=20)
codecs = st.sampled_from([Codec.VP8, Codec.VP9, Codec.H264])


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(codecs, st.floats(0.0, 1.0)), max_size=2),
    starts,
    mutes,
    losses,
    st.floats(-500e-6, 500e-6),
    st.floats(0.0, 0.25),
    st.sampled_from(["opus", "aac"]),
)
def test_chaos(
    cameras: list[tuple[Codec, float]],
    sound_start: float,
    muted: list[tuple[float, float]],
    lost: list[int],
    drift: float,
    delay: float,
    audio_codec: str,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder), audio_codec=audio_codec)
        camera, microphone = stage.track(Source.CAMERA), stage.track(Source.MICROPHONE)
        start = 0.0
        for codec, pause in cameras:
            start += pause
            stage.send_pictures(camera, codec, pictures(codec, 40, key_every=20), start, delay=delay)
            start += 40 / FPS
        gone = set(lost) | {n for n in range(200) for at, length in muted if at <= n * 0.02 < at + length}
        stage.send_sound(microphone, sound(4.0), sound_start, lost=gone, step=0.02 * (1 + drift))
        stage.finish(sound_start + SPAN_SECONDS)
        check_files(stage, len(cameras) * 40, 200 - len(gone))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(codecs, st.floats(0.0, 0.6), st.floats(0.0, 3.0)), min_size=2, max_size=3),
    st.lists(st.floats(0.0, 5.0), max_size=2),
    st.floats(0.02, 0.25),
    st.floats(3.0, 7.0),
)
@example(cameras=[(Codec.VP8, 0.0, 1.0), (Codec.VP9, 0.0, 0.0)], microphones=[2.0, 0.0], delay=0.25, end=3.0)
@example(cameras=[(Codec.VP8, 0.0, 0.0), (Codec.VP8, 0.0, 0.0)], microphones=[4.875, 3.0], delay=0.25, end=3.0)
def test_whenever_the_end_of_a_track_is_told_everything_is_recorded_once(
    cameras: list[tuple[Codec, float, float]], microphones: list[float], delay: float, end: float
) -> None:
    """Cameras follow one another in new tracks; the server tells 0 to 3 s later that the one before ended."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        start = 0.0
        for codec, pause, told_after in cameras:
            start += pause
            camera = stage.track(Source.CAMERA)
            stage.send_pictures(camera, codec, pictures(codec, 40, key_every=20), start, delay=delay)
            start += 40 / FPS
            stage.at(start + delay + told_after, camera.close)
        for begin in microphones:
            stage.send_sound(stage.track(Source.MICROPHONE), sound(2.0), begin, delay=delay)
        stage.finish(max(end, start + delay, *(begin + 2.0 + delay for begin in microphones)))
        for file in stage.of_type(FileClosed):
            check_file(stage.path(file.name), file)
        streams = [stream for file in stage.of_type(FileClosed) for stream in file.streams]
        assert sum(stream.frames for stream in streams if stream.kind is MediaKind.VIDEO) == len(cameras) * 40
        assert sum(stream.frames for stream in streams if stream.kind is MediaKind.AUDIO) == len(microphones) * 100
        assert sum(stream.lost_frames for stream in streams) == 0


def check_files(stage: Stage, pictures_sent: int, packets_sent: int) -> None:
    files = stage.of_type(FileClosed)
    assert sorted(file.name for file in files) == sorted(file.name for file in stage.of_type(FileCreated))
    for file in files:
        check_file(stage.path(file.name), file)
    heard = [stream for file in files for stream in file.streams if stream.kind is MediaKind.AUDIO]
    assert sum(stream.frames for stream in heard) >= packets_sent - 3
    seen = sum(stream.frames for file in files for stream in file.streams if stream.kind is MediaKind.VIDEO)
    assert seen <= pictures_sent
    ordered = sorted(files, key=lambda file: file.start_seconds)
    for before, after in pairwise(ordered):
        assert after.start_seconds <= before.start_seconds + before.duration_seconds + 0.05


def check_file(path: Path, closed: FileClosed) -> None:
    file = read(path)
    for stream in closed.streams:
        played = file.audio if stream.kind is MediaKind.AUDIO else file.video
        assert played is not None
        if stream.kind is MediaKind.AUDIO:
            assert played.holes == []
            assert played.pts_seconds[0] == 0.0
            if stream.codec == "opus":
                assert len(played.packets) == stream.frames + stream.filled_frames
        else:
            assert len(played.packets) == stream.frames
            assert played.increases
            assert abs(played.pts_seconds[0] - stream.start_seconds) < 0.002
            assert played.pts_seconds[-1] <= closed.duration_seconds + 1 / FPS
