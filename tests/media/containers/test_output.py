"""Files of every kind, written packet by packet and read back."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc

from channel_recorder.errors import MalformedError, StorageError
from channel_recorder.media.containers.formats import AAC, M4A, MP4, OGG, WEBM, ContainerFormat, container_format
from channel_recorder.media.containers.output import OutputFile, open_output
from channel_recorder.model import Codec, EncodedFrame
from tests.recording.clips import pictures, sound
from tests.recording.playback import decoded_pictures, read

VIDEO = [(Codec.VP8, WEBM), (Codec.VP9, WEBM), (Codec.H264, MP4), (Codec.H265, MP4), (Codec.AV1, MP4)]


def first_frame(codec: Codec, rotation: int = 0) -> EncodedFrame:
    picture = pictures(codec)[0]
    return EncodedFrame(codec, picture.data, 0, 0.0, True, picture.width, picture.height, rotation)


def write_pictures(output: OutputFile, codec: Codec, offset_seconds: float = 0.0) -> None:
    for number, picture in enumerate(pictures(codec)):
        ticks = round((offset_seconds + number / 25) * output.video_clock_hz)
        output.write_video(picture.data, ticks, output.video_clock_hz // 25, picture.key_frame)


def write_sound(output: OutputFile) -> None:
    for number, packet in enumerate(sound(2.0)):
        output.write_audio(packet, number * output.audio_clock_hz // 50, output.audio_clock_hz // 50)


@pytest.mark.parametrize(("codec", "container"), VIDEO)
def test_pictures_and_sound_come_back_as_they_went_in(tmp_path: Path, codec: Codec, container: ContainerFormat) -> None:
    path = tmp_path / f"a:b.{container.extension}"
    output = open_output(path, container, video=first_frame(codec), audio="opus")
    write_sound(output)
    write_pictures(output, codec, 0.123)
    output.close()
    file = read(path)
    assert file.video is not None and file.audio is not None
    assert file.audio.packets == sound(2.0)
    assert file.video.pts_seconds == pytest.approx([0.123 + n / 25 for n in range(50)], abs=0.0006)
    assert file.video.key_frames == 2
    assert len(decoded_pictures(path)) == 50


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize(("codec", "container"), VIDEO)
def test_rotation_is_read_back(tmp_path: Path, codec: Codec, container: ContainerFormat, rotation: int) -> None:
    path = tmp_path / f"a.{container.extension}"
    output = open_output(path, container, video=first_frame(codec, rotation))
    write_pictures(output, codec)
    output.close()
    assert decoded_pictures(path)[0].rotation % 360 == -rotation % 360


def test_colours_of_vp8_are_told_since_players_guess_others_for_large_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    output = open_output(path, WEBM, video=first_frame(Codec.VP8))
    write_pictures(output, Codec.VP8)
    output.close()
    with av.open(path) as file:
        context = file.streams.video[0].codec_context
        told = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
    smpte170m = 6  # what ITU-T H.273 calls BT.601 with 525 lines
    assert told == (smpte170m, ColorPrimaries.SMPTE170M, ColorTrc.SMPTE170M, ColorRange.MPEG)


@pytest.mark.parametrize(("codec", "container"), VIDEO)
def test_file_has_a_duration_and_can_be_sought(tmp_path: Path, codec: Codec, container: ContainerFormat) -> None:
    path = tmp_path / f"a.{container.extension}"
    output = open_output(path, container, video=first_frame(codec), audio="opus")
    write_sound(output)
    write_pictures(output, codec)
    output.close()
    with av.open(str(path)) as file:
        assert file.duration is not None and file.duration / 1e6 == pytest.approx(2.0, abs=0.001)
        file.seek(1_500_000)
        frame = next(file.decode(video=0))
        assert frame.time == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize("container", [OGG, MP4, M4A])
def test_sound_alone(tmp_path: Path, container: ContainerFormat) -> None:
    path = tmp_path / f"a.{container.extension}"
    output = open_output(path, container, audio="opus")
    write_sound(output)
    output.close()
    audio = read(path).audio
    assert audio is not None
    assert (audio.packets, audio.holes, audio.pts_seconds[0]) == (sound(2.0), [], 0.0)


def test_webm_sound_reaches_the_disk_while_pictures_pause(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    output = open_output(path, WEBM, video=first_frame(Codec.VP8), audio="opus")
    picture = pictures(Codec.VP8)[0]
    output.write_video(picture.data, 0, 40, True)
    write_sound(output)
    audio = read(path).audio
    output.close()
    assert audio is not None and audio.end_seconds > 1.2


def test_webm_blocks_lie_in_order_of_time(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    output = open_output(path, WEBM, video=first_frame(Codec.VP8), audio="opus")
    packets = sound(2.0)
    for number, picture in enumerate(pictures(Codec.VP8)):
        output.write_video(picture.data, number * 40, 40, picture.key_frame)
        for late in range(2 * (number - 8), 2 * (number - 7)):
            if late >= 0:
                output.write_audio(packets[late], late * 20, 20)
    output.close()
    with av.open(str(path)) as file:
        times = [packet.pts for packet in file.demux() if packet.pts is not None]
    assert times == sorted(times)


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264, Codec.AV1])
def test_a_picture_after_a_pause_does_not_begin_before_its_time(tmp_path: Path, codec: Codec) -> None:
    """FFmpeg cuts fragments by sound meanwhile, and would go on where the last picture was said to end."""
    output = open_output(tmp_path / "a", container_format(codec, "opus"), video=first_frame(codec), audio="opus")
    times = [0.0, 0.04, 0.08, 1.5, 1.54, 1.9]
    number = 0
    for at, picture in zip(times, pictures(codec), strict=False):
        while number / 50 < at:
            ticks = output.audio_clock_hz // 50
            output.write_audio(sound(2.0)[number], number * ticks, ticks)
            number += 1
        clock_hz = output.video_clock_hz
        output.write_video(picture.data, round(at * clock_hz), clock_hz // 25, picture.key_frame)
    output.close()
    video = read(output.path).video
    assert video is not None and video.pts_seconds == pytest.approx(times, abs=0.001)


@pytest.mark.parametrize("container", [WEBM, MP4, OGG])
def test_existing_file_is_left_alone(tmp_path: Path, container: ContainerFormat) -> None:
    path = tmp_path / "taken"
    path.write_bytes(b"precious")
    codec = {WEBM.muxer: Codec.VP8, MP4.muxer: Codec.H264}.get(container.muxer)
    with pytest.raises(FileExistsError):
        open_output(path, container, video=first_frame(codec) if codec else None, audio="opus")
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize("container", [WEBM, OGG])
def test_folder_that_is_gone_is_a_storage_error(tmp_path: Path, container: ContainerFormat) -> None:
    video = first_frame(Codec.VP8) if container is WEBM else None
    with pytest.raises(StorageError, match="No such file"):
        open_output(tmp_path / "gone" / "a", container, video=video, audio="opus")


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.VP9, Codec.H264, Codec.H265, Codec.AV1])
def test_key_frame_that_is_none_leaves_no_file(tmp_path: Path, codec: Codec) -> None:
    path = tmp_path / "a"
    frame = EncodedFrame(codec, b"nonsense", 0, 0.0, True, 0, 0)
    with pytest.raises(MalformedError):
        open_output(path, container_format(codec, "opus"), video=frame, audio="opus")
    assert not path.exists()


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    for container, codec in ((WEBM, Codec.VP8), (MP4, Codec.H264)):
        output = open_output(tmp_path / container.extension, container, video=first_frame(codec))
        output.close()
        size = output.path.stat().st_size
        output.close()
        output.abandon()
        assert output.path.stat().st_size == size


def test_which_container_holds_what() -> None:
    assert [container_format(codec, "opus").extension for codec, _ in VIDEO] == ["webm", "webm", "mp4", "mp4", "mp4"]
    assert container_format(None, "opus") is OGG
    assert container_format(None, "aac") is M4A
    assert container_format(None, "aac", separate=True) is AAC
