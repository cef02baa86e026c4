"""What lies in the folder after calls of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from channel_recorder.codecs import opus
from channel_recorder.model import Codec, MediaKind, Source
from channel_recorder.recording import series
from channel_recorder.recording.contract import AudioInfo, FileClosed, FileCreated, Gap, Rotated, VideoInfo
from tests.recording.clips import Picture, pictures, sound
from tests.recording.playback import decoded_pictures, decoded_sound, loud_span, read
from tests.recording.stage import ALICE, BOB, Stage

VIDEO_CODECS = [Codec.VP8, Codec.VP9, Codec.H264, Codec.H265, Codec.AV1]
EXTENSIONS = {Codec.VP8: "webm", Codec.VP9: "webm", Codec.H264: "mp4", Codec.H265: "mp4", Codec.AV1: "mp4"}
NAMES = {Codec.VP8: "vp8", Codec.VP9: "vp9", Codec.H264: "h264", Codec.H265: "hevc", Codec.AV1: "av1"}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.recorder.close(3600.0)


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_camera_and_microphone_share_one_file_in_step(stage: Stage, codec: Codec) -> None:
    camera, microphone = stage.track(Source.CAMERA), stage.track(Source.MICROPHONE)
    stage.send_sound(microphone, sound(2.0), 1.0)
    stage.send_pictures(camera, codec, pictures(codec), 1.2)
    stage.finish(3.2)
    assert stage.created == [f"7_00001000.{EXTENSIONS[codec]}"]
    path = stage.path(stage.created[0])
    file = read(path)
    assert file.video is not None and file.audio is not None
    assert (file.video.codec, file.audio.codec) == (NAMES[codec], "opus")
    assert file.video.pts_seconds == pytest.approx([0.2 + n / 25 for n in range(50)], abs=0.001)
    assert file.audio.packets[:100] == sound(2.0)
    assert file.audio.pts_seconds[0] == 0.0
    assert file.audio.holes == []
    assert len(decoded_pictures(path)) == 50
    closed = stage.closed(path.name)
    video, audio = closed.streams
    assert (video.frames, video.key_frames, video.lost_frames, video.codec) == (50, 2, 0, codec.value)
    assert (video.width, video.height, video.start_seconds) == (64, 48, pytest.approx(0.2, abs=0.001))
    assert (audio.frames, audio.lost_frames, audio.start_seconds) == (100, 0, 0.0)
    assert closed.start_seconds == pytest.approx(1.0)
    assert closed.duration_seconds == pytest.approx(2.2, abs=0.011)
    assert closed.bytes == path.stat().st_size
    assert file.audio.end_seconds == pytest.approx(2.2, abs=0.011)


def test_microphone_alone_becomes_ogg(stage: Stage) -> None:
    stage.send_sound(stage.track(Source.MICROPHONE), sound(2.0), 1.0)
    stage.finish(3.0)
    assert stage.created == ["7_00001000.ogg"]
    file = read(stage.path("7_00001000.ogg"))
    assert file.video is None and file.audio is not None
    assert file.audio.packets == sound(2.0)
    assert stage.of_type(FileCreated)[0].source is Source.MICROPHONE
    assert stage.of_type(AudioInfo)[0].channels == 1


def test_picture_that_comes_first_waits_for_earlier_sound(stage: Stage) -> None:
    camera, microphone = stage.track(Source.CAMERA), stage.track(Source.MICROPHONE)
    stage.send_sound(microphone, sound(1.0), 0.96, delay=0.15)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8)[:25], 1.0)
    stage.finish(2.0)
    file = read(stage.path("7_00000960.webm"))
    assert file.video is not None and file.audio is not None
    assert file.audio.packets[:50] == sound(1.0)
    assert file.video.pts_seconds[0] == pytest.approx(0.04)


def test_late_microphone_joins_the_camera_file_at_the_right_time(stage: Stage) -> None:
    camera = stage.track(Source.CAMERA)
    stage.send_pictures(camera, Codec.H264, pictures(Codec.H264, 100), 1.0)
    stage.run(2.5)
    stage.send_sound(stage.track(Source.MICROPHONE), sound(2.0, silent_seconds=0.5), 2.8)
    stage.finish(5.0)
    assert stage.created == ["7_00001000.mp4"]
    path = stage.path("7_00001000.mp4")
    audio = read(path).audio
    assert audio is not None
    assert audio.holes == []
    start, end = loud_span(decoded_sound(path))
    assert start == pytest.approx(2.3, abs=0.02)
    assert end == pytest.approx(3.8, abs=0.02)
    assert stage.closed(path.name).streams[1].start_seconds == pytest.approx(1.8, abs=0.02)


def test_late_camera_begins_the_next_file_and_no_sound_is_lost_or_doubled(stage: Stage) -> None:
    microphone = stage.track(Source.MICROPHONE)
    packets = sound(4.0)
    stage.send_sound(microphone, packets, 1.0)
    stage.run(2.9)
    stage.send_pictures(stage.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8), 3.0)
    stage.finish(5.0)
    first, second = stage.created
    assert (first, Path(second).suffix) == ("7_00001000.ogg", ".webm")
    begin, end = read(stage.path(first)), read(stage.path(second))
    assert begin.audio is not None and end.audio is not None and end.video is not None
    assert [p for p in begin.audio.packets + end.audio.packets if p != opus.SILENCE_20MS] == packets
    closed, next_closed = stage.closed(first), stage.closed(second)
    assert next_closed.start_seconds == pytest.approx(closed.start_seconds + closed.duration_seconds, abs=0.03)
    assert next_closed.start_seconds + end.video.pts_seconds[0] == pytest.approx(3.0, abs=0.001)
    assert not stage.of_type(FileCreated)[1].codec_switch


def test_microphone_alone_starts_when_a_live_camera_does_not_come(stage: Stage) -> None:
    stage.track(Source.CAMERA)
    stage.send_sound(stage.track(Source.MICROPHONE), sound(2.0), 1.0)
    stage.run(1.95)
    assert stage.created == []
    stage.run(2.2)
    assert stage.created == ["7_00001000.ogg"]
    stage.finish(3.0)
    audio = read(stage.path("7_00001000.ogg")).audio
    assert audio is not None and audio.packets == sound(2.0)


def test_sound_does_not_wait_for_a_muted_camera(stage: Stage) -> None:
    stage.track(Source.CAMERA, muted=True)
    stage.send_sound(stage.track(Source.MICROPHONE), sound(2.0), 1.0)
    stage.run(1.7)
    assert stage.created == ["7_00001000.ogg"]


def test_what_is_held_at_the_end_is_written(stage: Stage) -> None:
    stage.track(Source.CAMERA)
    stage.send_sound(stage.track(Source.MICROPHONE), sound(2.0)[:15], 1.0)
    stage.finish(1.4)
    audio = read(stage.path("7_00001000.ogg")).audio
    assert audio is not None and audio.packets[:15] == sound(2.0)[:15]
    assert stage.closed("7_00001000.ogg").duration_seconds == pytest.approx(0.4, abs=0.011)


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
def test_mute_becomes_silence_of_the_same_length(stage: Stage, codec: Codec) -> None:
    camera, microphone = stage.track(Source.CAMERA), stage.track(Source.MICROPHONE, sid="TR_mic")
    stage.send_pictures(camera, codec, pictures(codec, 100), 0.0)
    stage.send_sound(microphone, sound(1.0), 0.0)
    stage.at(1.0, lambda at: stage.recorder.mute_track("TR_mic", True, at))
    stage.at(2.5, lambda at: stage.recorder.mute_track("TR_mic", False, at))
    stage.send_sound(microphone, sound(1.5), 2.5)
    stage.finish(4.0)
    (name,) = stage.created
    file = read(stage.path(name))
    assert file.audio is not None
    assert file.audio.holes == []
    assert file.audio.packets.count(opus.SILENCE_20MS) == 75
    samples = decoded_sound(stage.path(name))
    assert abs(samples[int(1.1 * 48_000) : int(2.4 * 48_000)]).max() < 0.01
    assert abs(samples[int(2.52 * 48_000) : int(2.6 * 48_000)]).max() > 0.1
    (gap,) = stage.of_type(Gap)
    assert (gap.at_seconds, gap.duration_seconds) == (pytest.approx(1.0), pytest.approx(1.5))


def test_lost_packets_are_concealed_one_for_one(stage: Stage) -> None:
    packets = sound(2.0)
    stage.send_sound(stage.track(Source.MICROPHONE), packets, 1.0, lost=[10, 40, 41])
    stage.finish(3.0)
    audio = read(stage.path("7_00001000.ogg")).audio
    assert audio is not None
    expected = list(packets)
    for lost in (10, 40, 41):
        expected[lost] = packets[lost - 1][:1]
    assert audio.packets == expected
    (summary,) = stage.closed("7_00001000.ogg").streams
    assert (summary.frames, summary.filled_frames, summary.lost_frames) == (97, 3, 3)


def test_sound_later_than_its_silence_is_dropped_and_counted(stage: Stage) -> None:
    camera, microphone = stage.track(Source.CAMERA), stage.track(Source.MICROPHONE)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.send_sound(microphone, sound(0.5), 0.0)
    stage.send_sound(microphone, sound(0.2), 0.5, delay=4.4)
    stage.send_sound(microphone, sound(0.5), 5.0)
    stage.finish(5.5)
    (name,) = stage.created
    audio = read(stage.path(name)).audio
    assert audio is not None and audio.holes == []
    summary = stage.closed(name).streams[1]
    assert (summary.frames, summary.lost_frames) == (50, 10)
    assert audio.end_seconds == pytest.approx(5.5, abs=0.011)


def test_sound_that_was_lost_and_comes_again_is_all_there(stage: Stage) -> None:
    """All that was sent behind a lost packet waits for it."""
    camera, microphone = stage.track(Source.CAMERA), stage.track(Source.MICROPHONE)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8), 0.0)
    packets = sound(2.0)
    stage.send_sound(microphone, packets[:25], 0.0)
    for number, data in enumerate(packets[25:75]):
        stage.send_sound(microphone, [data], 0.5 + number * 0.02, delay=1.2 - number * 0.0199)
    stage.send_sound(microphone, packets[75:], 1.5, delay=0.25)
    stage.run(2.3)
    stage.recorder.close(2.0)
    (name,) = stage.created
    audio = read(stage.path(name)).audio
    assert audio is not None and audio.holes == []
    assert audio.packets == packets
    summary = stage.closed(name).streams[1]
    assert (summary.frames, summary.filled_frames, summary.lost_frames) == (100, 0, 0)


def test_doubled_packet_is_written_once(stage: Stage) -> None:
    microphone = stage.track(Source.MICROPHONE)
    packets = sound(1.0)
    stage.send_sound(microphone, packets, 1.0)
    stage.send_sound(microphone, packets[20:21], 1.4)
    stage.finish(2.0)
    audio = read(stage.path("7_00001000.ogg")).audio
    assert audio is not None and audio.packets == packets


def test_codec_change_begins_the_next_file_at_the_same_instant(stage: Stage) -> None:
    camera, microphone = stage.track(Source.CAMERA), stage.track(Source.MICROPHONE)
    packets = sound(4.0)
    stage.send_sound(microphone, packets, 0.0)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.send_pictures(camera, Codec.H264, pictures(Codec.H264), 2.0)
    stage.finish(4.0)
    first, second = stage.of_type(FileCreated)
    assert (Path(first.name).suffix, Path(second.name).suffix) == (".webm", ".mp4")
    assert (first.codec_switch, second.codec_switch) == (False, True)
    begin, end = read(stage.path(first.name)), read(stage.path(second.name))
    assert begin.video is not None and end.video is not None
    assert (len(begin.video.packets), len(end.video.packets)) == (50, 50)
    assert begin.audio is not None and end.audio is not None
    real = [packet for packet in begin.audio.packets + end.audio.packets if packet != opus.SILENCE_20MS]
    assert real == packets
    assert stage.closed(second.name).start_seconds + end.video.pts_seconds[0] == pytest.approx(2.0, abs=0.001)


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_size_change_stays_in_the_file_and_plays_on(stage: Stage, codec: Codec) -> None:
    camera = stage.track(Source.CAMERA)
    stage.send_pictures(camera, codec, pictures(codec, 25), 0.0)
    stage.send_pictures(camera, codec, pictures(codec, 25, 96, 64), 1.0)
    stage.finish(2.0)
    (name,) = stage.created
    sizes = [(frame.width, frame.height) for frame in decoded_pictures(stage.path(name))]
    assert sizes == [(64, 48)] * 25 + [(96, 64)] * 25
    assert [(info.at_seconds, info.width, info.height) for info in stage.of_type(VideoInfo)] == [
        (0.0, 64, 48),
        (1.0, 96, 64),
    ]


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_rotation_is_kept_in_the_container(stage: Stage, codec: Codec) -> None:
    camera = stage.track(Source.CAMERA)
    stage.send_pictures(camera, codec, pictures(codec, 25), 0.0, rotation=90)
    stage.send_pictures(camera, codec, pictures(codec, 25), 1.0, rotation=180)
    stage.finish(2.0)
    (name,) = stage.created
    # PyAV tells the angle counter-clockwise.
    assert decoded_pictures(stage.path(name))[0].rotation == -90
    assert stage.of_type(VideoInfo)[0].rotation == 90
    (rotated,) = stage.of_type(Rotated)
    assert (rotated.at_seconds, rotated.rotation) == (1.0, 180)
    assert stage.closed(name).streams[0].rotation == 90


def test_return_within_15_seconds_continues_the_file(stage: Stage) -> None:
    camera, microphone = stage.track(Source.CAMERA, sid="a"), stage.track(Source.MICROPHONE, sid="b")
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.send_sound(microphone, sound(2.0), 0.0)
    stage.run(2.1)
    for sink in (camera, microphone):
        sink.close(2.1)
    stage.recorder.user_left(ALICE, 2.1)
    stage.run(12.0)
    stage.recorder.user_joined(ALICE, 12.0)
    camera, microphone = stage.track(Source.CAMERA, sid="c"), stage.track(Source.MICROPHONE, sid="d")
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8), 12.2)
    stage.send_sound(microphone, sound(2.0), 12.2)
    stage.finish(14.2)
    (name,) = stage.created
    file = read(stage.path(name))
    assert file.video is not None and file.audio is not None
    assert len(file.video.packets) == 100
    assert file.video.pts_seconds[50] == pytest.approx(12.2, abs=0.001)
    assert file.audio.holes == []
    assert file.audio.end_seconds == pytest.approx(14.2, abs=0.02)
    samples = decoded_sound(stage.path(name))
    assert abs(samples[int(12.25 * 48_000) : int(14.15 * 48_000)]).max() > 0.1
    assert abs(samples[int(2.1 * 48_000) : int(12.15 * 48_000)]).max() < 0.01


def test_return_after_15_seconds_begins_a_new_file_and_the_old_ends_with_the_presence(stage: Stage) -> None:
    microphone = stage.track(Source.MICROPHONE)
    stage.send_sound(microphone, sound(1.0), 0.0)
    stage.run(3.0)
    microphone.close(3.0)
    stage.recorder.user_left(ALICE, 3.0)
    stage.run(17.9)
    assert stage.of_type(FileClosed) == []
    stage.run(18.1)
    closed = stage.closed("7_00000000.ogg")
    assert closed.duration_seconds == pytest.approx(3.0, abs=0.011)
    stage.recorder.user_joined(ALICE, 18.2)
    stage.send_sound(stage.track(Source.MICROPHONE), sound(1.0), 19.0)
    stage.finish(20.0)
    assert stage.created == ["7_00000000.ogg", "7_00019000.ogg"]


def test_return_with_another_codec_begins_the_next_file(stage: Stage) -> None:
    camera = stage.track(Source.CAMERA)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.run(2.1)
    camera.close(2.1)
    stage.recorder.user_left(ALICE, 2.1)
    stage.run(5.0)
    stage.recorder.user_joined(ALICE, 5.0)
    stage.send_pictures(stage.track(Source.CAMERA), Codec.H264, pictures(Codec.H264), 5.1)
    stage.finish(7.1)
    first, second = stage.created
    before, after = stage.closed(first), stage.closed(second)
    assert before.start_seconds + before.duration_seconds == pytest.approx(after.start_seconds, abs=0.02)
    file = read(stage.path(second))
    assert file.video is not None and len(file.video.packets) == 50
    assert after.start_seconds + file.video.pts_seconds[0] == pytest.approx(5.1, abs=0.001)


def test_unpublished_camera_comes_back_into_the_same_file(stage: Stage) -> None:
    camera, microphone = stage.track(Source.CAMERA, sid="a"), stage.track(Source.MICROPHONE)
    stage.send_sound(microphone, sound(4.0), 0.0)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8, 25), 0.0)
    stage.at(1.5, camera.close)
    stage.run(2.9)
    stage.send_pictures(stage.track(Source.CAMERA, sid="b"), Codec.VP8, pictures(Codec.VP8, 25), 3.0)
    stage.finish(4.0)
    (name,) = stage.created
    file = read(stage.path(name))
    assert file.video is not None and file.audio is not None
    assert file.video.pts_seconds[25] == pytest.approx(3.0, abs=0.001)
    assert file.audio.packets == sound(4.0)


def test_screen_share_lies_apart(stage: Stage) -> None:
    stage.send_pictures(stage.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8), 0.0)
    screen = stage.track(Source.SCREEN_SHARE)
    stage.send_pictures(screen, Codec.VP9, pictures(Codec.VP9), 0.5)
    stage.finish(3.0)
    assert sorted(stage.created) == ["7_00000000.webm", "7_00000500_screen.webm"]
    file = read(stage.path("7_00000500_screen.webm"))
    assert file.video is not None and len(file.video.packets) == 50
    assert file.audio is None
    assert read(stage.path("7_00000000.webm")).audio is not None


def test_screen_share_with_sound_shares_a_file(stage: Stage) -> None:
    screen, tab = stage.track(Source.SCREEN_SHARE), stage.track(Source.SCREEN_SHARE_AUDIO)
    stage.send_pictures(screen, Codec.VP8, pictures(Codec.VP8), 0.5)
    stage.send_sound(tab, sound(2.0), 0.5)
    stage.finish(2.5)
    (name,) = stage.created
    file = read(stage.path(name))
    assert file.video is not None and file.audio is not None
    assert name == "7_00000500_screen.webm"
    assert (len(file.video.packets), file.audio.packets) == (50, sound(2.0))


def test_later_sound_of_a_screen_begins_the_next_file_at_a_key_frame(stage: Stage) -> None:
    screen = stage.track(Source.SCREEN_SHARE, sid="TR_screen")
    stage.send_pictures(screen, Codec.VP8, pictures(Codec.VP8, 100, key_every=60), 0.0)
    stage.run(1.0)
    stage.send_sound(stage.track(Source.SCREEN_SHARE_AUDIO), sound(3.0), 1.0)
    stage.finish(4.0)
    first, second = stage.created
    begin, end = read(stage.path(first)), read(stage.path(second))
    assert begin.video is not None and end.video is not None and end.audio is not None
    assert (len(begin.video.packets), len(end.video.packets)) == (60, 40)
    assert [p for p in end.audio.packets if p != opus.SILENCE_20MS] == sound(3.0)
    assert stage.closed(second).start_seconds == pytest.approx(1.0)
    assert end.video.pts_seconds[0] == pytest.approx(1.4, abs=0.001)
    assert stage.key_frames_asked[:1] == ["TR_screen"]


def test_sound_of_a_screen_that_never_sends_a_key_frame_is_not_lost(stage: Stage) -> None:
    screen = stage.track(Source.SCREEN_SHARE)
    stage.send_pictures(screen, Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.run(2.1)
    stage.send_sound(stage.track(Source.SCREEN_SHARE_AUDIO), sound(2.0), 2.1)
    stage.finish(4.2)
    first, second = stage.created
    assert (first, second) == ("7_00000000_screen.webm", "7_00002100_screen.ogg")
    audio = read(stage.path(second)).audio
    assert audio is not None and audio.packets[:100] == sound(2.0)


def test_ended_screen_share_is_closed_while_the_user_stays(stage: Stage) -> None:
    screen = stage.track(Source.SCREEN_SHARE)
    stage.send_pictures(screen, Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.at(2.2, screen.close)
    stage.run(17.3)
    assert stage.closed("7_00000000_screen.webm").duration_seconds == pytest.approx(2.2, abs=0.01)


def test_separate_tracks_make_a_pair_of_files(tmp_path: Path) -> None:
    stage = Stage(tmp_path, separate_tracks=True)
    camera, microphone = stage.track(Source.CAMERA), stage.track(Source.MICROPHONE)
    stage.send_pictures(camera, Codec.H264, pictures(Codec.H264), 0.0)
    stage.send_sound(microphone, sound(2.0), 0.0)
    stage.finish(2.0)
    assert sorted(stage.created) == ["7_00000000.mp4", "7_00000000.ogg"]
    picture, voice = read(stage.path("7_00000000.mp4")), read(stage.path("7_00000000.ogg"))
    assert picture.audio is None and voice.video is None
    assert picture.video is not None and len(picture.video.packets) == 50


def test_classic_pair_with_aac(tmp_path: Path) -> None:
    stage = Stage(tmp_path, separate_tracks=True, audio_codec="aac")
    stage.send_pictures(stage.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.send_sound(stage.track(Source.MICROPHONE), sound(2.0), 0.0)
    stage.finish(2.0)
    assert sorted(stage.created) == ["7_00000000.aac", "7_00000000.webm"]
    assert loud_span(decoded_sound(stage.path("7_00000000.aac"))) == (
        pytest.approx(0.0, abs=0.03),
        pytest.approx(2.0, abs=0.03),
    )


@pytest.mark.parametrize(("option", "expected"), [("audio_only", ["ogg"]), ("video_only", ["mp4"])])
def test_only_one_kind_is_recorded(tmp_path: Path, option: str, expected: list[str]) -> None:
    stage = Stage(tmp_path, **{option: True})
    stage.send_pictures(stage.track(Source.CAMERA), Codec.H264, pictures(Codec.H264), 0.0)
    stage.send_sound(stage.track(Source.MICROPHONE), sound(2.0), 0.0)
    stage.finish(2.0)
    assert [Path(name).suffix[1:] for name in stage.created] == expected
    file = read(stage.path(stage.created[0]))
    assert (file.video is None, file.audio is None) == (option == "audio_only", option == "video_only")


@pytest.mark.parametrize("pause", [0.0, 1.0])
def test_aac_tone_is_found_at_the_right_time(tmp_path: Path, pause: float) -> None:
    stage = Stage(tmp_path, audio_codec="aac")
    camera, microphone = stage.track(Source.CAMERA), stage.track(Source.MICROPHONE)
    stage.send_pictures(camera, Codec.H264, pictures(Codec.H264, 100), 0.0)
    stage.send_sound(microphone, sound(1.0, silent_seconds=0.5), 0.5 + pause)
    stage.finish(4.0)
    (name,) = stage.created
    file = read(stage.path(name))
    assert file.audio is not None
    assert (file.audio.codec, file.audio.holes) == ("aac", [])
    start, end = loud_span(decoded_sound(stage.path(name)))
    assert start == pytest.approx(1.0 + pause, abs=0.015)
    assert end == pytest.approx(1.5 + pause, abs=0.015)
    assert file.audio.end_seconds == pytest.approx(4.0, abs=0.03)


def test_aac_alone_becomes_m4a(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audio_codec="aac")
    stage.send_sound(stage.track(Source.MICROPHONE), sound(1.0), 0.0, lost=[20])
    stage.finish(1.0)
    assert stage.created == ["7_00000000.m4a"]
    assert len(decoded_sound(stage.path("7_00000000.m4a"))) == 47 * 1024  # 48000 samples, rounded up to whole packets


def test_webm_keeps_opus_when_aac_is_asked_for(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audio_codec="aac")
    camera, microphone = stage.track(Source.CAMERA), stage.track(Source.MICROPHONE)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.send_sound(microphone, sound(2.0), 0.0)
    stage.finish(2.0)
    audio = read(stage.path("7_00000000.webm")).audio
    assert audio is not None and audio.codec == "opus"


def test_two_cameras_of_a_user_get_a_file_each(stage: Stage) -> None:
    one, two = stage.track(Source.CAMERA), stage.track(Source.CAMERA)
    stage.send_pictures(one, Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.send_pictures(two, Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.finish(2.0)
    assert stage.created == ["7_00000000.webm", "7_00000001.webm"]


def test_users_do_not_mix(stage: Stage) -> None:
    stage.send_sound(stage.track(Source.MICROPHONE), sound(1.0), 0.0)
    stage.send_sound(stage.track(Source.MICROPHONE, BOB), sound(1.0, 400.0), 0.0)
    stage.finish(1.0)
    assert sorted(stage.created) == ["7_00000000.ogg", "9_00000000.ogg"]
    audio = read(stage.path("9_00000000.ogg")).audio
    assert audio is not None and audio.packets == sound(1.0, 400.0)


def test_key_frame_that_is_none_harms_nothing(stage: Stage) -> None:
    camera, microphone = stage.track(Source.CAMERA, sid="TR_camera"), stage.track(Source.MICROPHONE)
    stage.send_sound(microphone, sound(1.0), 0.0)
    stage.send_pictures(camera, Codec.H264, [Picture(b"\x00\x00\x00\x01\x67junk", True, 64, 48)], 0.0)
    stage.finish(1.0)
    assert stage.created == ["7_00000000.ogg"]
    assert stage.key_frames_asked == ["TR_camera"]
    audio = read(stage.path("7_00000000.ogg")).audio
    assert audio is not None and audio.packets == sound(1.0)


def test_lost_pictures_are_estimated_from_the_cadence(stage: Stage) -> None:
    camera = stage.track(Source.CAMERA)
    clip = pictures(Codec.VP8, 75)
    stage.send_pictures(camera, Codec.VP8, clip[:40], 0.0)
    stage.send_pictures(camera, Codec.VP8, clip[50:], 2.0, lost_packets=3)
    stage.finish(3.0)
    assert stage.closed("7_00000000.webm").streams[0].lost_frames == 10
    (gap,) = stage.of_type(Gap)
    assert (gap.kind, gap.lost_packets, gap.duration_seconds) == (MediaKind.VIDEO, 3, pytest.approx(0.44))


def test_pause_of_the_pictures_is_reported_but_is_no_loss(stage: Stage) -> None:
    camera = stage.track(Source.CAMERA)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8, 25), 0.0)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8, 25), 5.0)
    stage.finish(6.0)
    assert stage.closed("7_00000000.webm").streams[0].lost_frames == 0
    (gap,) = stage.of_type(Gap)
    assert (gap.at_seconds, gap.duration_seconds) == (pytest.approx(0.96), pytest.approx(4.04))


def test_existing_files_are_never_overwritten(stage: Stage) -> None:
    stage.path("7_00000000.ogg").write_bytes(b"precious")
    stage.send_sound(stage.track(Source.MICROPHONE), sound(1.0), 0.0)
    stage.finish(1.0)
    assert stage.path("7_00000000.ogg").read_bytes() == b"precious"
    assert stage.created == ["7_00000001.ogg"]


@pytest.mark.parametrize("codec", VIDEO_CODECS)
@pytest.mark.parametrize("end", [0.0, 0.1, 5.0])
def test_single_picture_makes_a_file_that_plays(stage: Stage, codec: Codec, end: float) -> None:
    stage.send_pictures(stage.track(Source.CAMERA), codec, pictures(codec)[:1], 0.0, delay=0.0)
    stage.track(Source.MICROPHONE)
    stage.run(end)
    stage.recorder.close(end)
    (name,) = stage.created
    assert len(decoded_pictures(stage.path(name))) == 1
    assert stage.closed(name).duration_seconds == pytest.approx(max(end, 1 / 30), abs=0.011)


def test_channel_of_the_packets_is_reported(stage: Stage) -> None:
    stage.send_sound(stage.track(Source.MICROPHONE), [b"\xfc" + bytes(30)] * 50, 0.0)
    stage.finish(1.0)
    assert stage.of_type(AudioInfo)[0].channels == 2


@pytest.mark.parametrize("codec", VIDEO_CODECS)
@pytest.mark.parametrize("shown", [1, 30, 50])
def test_file_without_sound_lasts_as_long_as_the_user_is_there(tmp_path: Path, codec: Codec, shown: int) -> None:
    stage = Stage(tmp_path, video_only=True)
    stage.send_pictures(stage.track(Source.CAMERA), codec, pictures(codec)[:shown], 1.0)
    stage.finish(7.5)
    (name,) = stage.created
    file = read(stage.path(name))
    assert file.audio is None and file.video is not None
    assert len(decoded_pictures(stage.path(name))) == shown
    assert file.video.pts_seconds == pytest.approx([n / 25 for n in range(shown)], abs=0.001)
    assert file.video.key_frames == stage.closed(name).streams[0].key_frames
    assert file.video.end_seconds == pytest.approx(6.5, abs=0.001)
    with av.open(str(stage.path(name))) as container:
        assert container.duration == pytest.approx(6_500_000, abs=1000)
    assert stage.closed(name).duration_seconds == pytest.approx(6.5, abs=0.001)


def test_file_without_sound_ends_where_the_next_begins(tmp_path: Path) -> None:
    stage = Stage(tmp_path, video_only=True)
    camera = stage.track(Source.CAMERA)
    stage.send_pictures(camera, Codec.H264, pictures(Codec.H264), 0.0)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8), 4.0)
    stage.finish(6.0)
    first, second = stage.created
    video = read(stage.path(first)).video
    assert video is not None and video.end_seconds == pytest.approx(4.0, abs=0.001)
    assert (stage.closed(first).duration_seconds, stage.closed(second).start_seconds) == (pytest.approx(4.0), 4.0)


def test_sound_held_too_long_is_counted_and_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "HELD_FRAMES_LIMIT", 60)
    screen = stage.track(Source.SCREEN_SHARE)
    stage.send_pictures(screen, Codec.VP8, pictures(Codec.VP8, 100, key_every=75), 0.0)
    stage.run(0.9)
    stage.send_sound(stage.track(Source.SCREEN_SHARE_AUDIO), sound(3.0), 1.0)
    stage.finish(4.0)
    _, second = stage.created
    audio = read(stage.path(second)).audio
    (summary,) = (summary for summary in stage.closed(second).streams if summary.kind is MediaKind.AUDIO)
    assert audio is not None and summary.lost_frames > 0
    assert [packet for packet in audio.packets if packet != opus.SILENCE_20MS] == sound(3.0)[summary.lost_frames :]
    gaps = [gap for gap in stage.of_type(Gap) if gap.kind is MediaKind.AUDIO]
    assert [(gap.name, gap.at_seconds, gap.lost_packets) for gap in gaps] == [
        (second, pytest.approx(1.0), summary.lost_frames)
    ]
    assert gaps[0].duration_seconds == pytest.approx(summary.lost_frames * 0.02)


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_pictures_are_in_their_places_after_a_day_without(tmp_path: Path, codec: Codec) -> None:
    stage = Stage(tmp_path, video_only=True)
    camera = stage.track(Source.CAMERA)
    stage.send_pictures(camera, codec, pictures(codec, 25), 0.0)
    stage.run(2.0)
    stage.skip_to(86_400.0)
    stage.send_pictures(camera, codec, pictures(codec, 25), 86_401.0)
    stage.run(86_403.0)
    stage.recorder.close(2 * 86_400.0)
    (name,) = stage.created
    video = read(stage.path(name)).video
    assert video is not None
    assert video.pts_seconds[24:26] == pytest.approx([0.96, 86_401.0], abs=0.001)
    assert video.end_seconds == pytest.approx(2 * 86_400.0, abs=0.001)
    assert len(decoded_pictures(stage.path(name))) == 50
