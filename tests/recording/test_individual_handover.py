"""A camera or microphone published anew, before the server says that the old one ended; or a true second one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from channel_recorder.codecs import opus
from channel_recorder.model import Codec, MediaKind, Source
from channel_recorder.recording import handover
from channel_recorder.recording.contract import FileCreated, RecordedTrack
from tests.recording.clips import pictures, sound
from tests.recording.playback import Playback, Stream, read
from tests.recording.stage import ALICE, Stage

CALL_SECONDS = 6.0


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.recorder.close(3600.0)


def files(stage: Stage) -> list[Playback]:
    return [read(stage.path(name)) for name in stage.created]


def seen(playback: Playback) -> list[bytes]:
    """The pictures of a file; those of H.264 as they came, with start codes."""
    video = playback.video
    assert video is not None and video.increases
    return [_annex_b(packet) for packet in video.packets] if video.codec == "h264" else video.packets


def _annex_b(packet: bytes) -> bytes:
    units = []
    while packet:
        end = 4 + int.from_bytes(packet[:4], "big")
        units.append(packet[4:end])
        packet = packet[end:]
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def sound_of(playback: Playback) -> Stream:
    assert playback.audio is not None and playback.audio.holes == []
    return playback.audio


def heard(playback: Playback) -> list[bytes]:
    return [packet for packet in sound_of(playback).packets if packet != opus.SILENCE_20MS]


def data(codec: Codec, count: int = 50) -> list[bytes]:
    packets = [picture.data for picture in pictures(codec, count)]
    if codec is Codec.H264:  # start codes of three bytes are as good
        return [packet.replace(b"\0\0\0\1", b"\0\0\1").replace(b"\0\0\1", b"\0\0\0\1") for packet in packets]
    return packets


def talk(stage: Stage, seconds: float = CALL_SECONDS) -> list[bytes]:
    packets = sound(seconds)
    stage.send_sound(stage.track(Source.MICROPHONE), packets, 0.0)
    return packets


@pytest.mark.parametrize("told_after", [0.1, 0.6, 1.7])
def test_another_codec_in_a_new_track_takes_the_sound_along_into_the_next_file(stage: Stage, told_after: float) -> None:
    packets = talk(stage)
    camera = stage.track(Source.CAMERA)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.run(2.0)
    stage.send_pictures(stage.track(Source.CAMERA), Codec.H264, pictures(Codec.H264), 2.2, delay=0.08)
    stage.at(2.2 + told_after, camera.close)
    stage.finish(CALL_SECONDS)
    first, second = stage.of_type(FileCreated)
    assert (first.name, Path(second.name).suffix, second.codec_switch) == ("7_00000000.webm", ".mp4", True)
    before, after = files(stage)
    assert (seen(before), seen(after)) == (data(Codec.VP8), data(Codec.H264))
    assert heard(before) + heard(after) == packets
    begins = stage.closed(second.name).start_seconds
    assert begins == pytest.approx(2.2, abs=0.1)
    assert len(heard(after)) == pytest.approx((CALL_SECONDS - 2.2) * 50, abs=5)
    assert sound_of(after).packets[5:-5] == packets[-len(sound_of(after).packets) + 5 : -5]
    assert begins == pytest.approx(first.at_seconds + stage.closed(first.name).duration_seconds, abs=0.1)
    assert after.video is not None and begins + after.video.pts_seconds[0] == pytest.approx(2.2, abs=0.001)
    assert [summary.lost_frames for name in stage.created for summary in stage.closed(name).streams] == [0] * 4


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
def test_camera_published_anew_stays_in_its_file(stage: Stage, codec: Codec) -> None:
    packets = talk(stage)
    camera = stage.track(Source.CAMERA)
    stage.send_pictures(camera, codec, pictures(codec), 0.0)
    stage.run(2.0)
    stage.send_pictures(stage.track(Source.CAMERA), codec, pictures(codec), 2.2)
    stage.at(3.0, camera.close)
    stage.finish(CALL_SECONDS)
    (file,) = files(stage)
    assert seen(file) == data(codec) * 2
    assert file.video is not None and file.video.pts_seconds[50] == pytest.approx(2.2, abs=0.001)
    assert sound_of(file).packets == packets


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
def test_true_second_camera_has_a_file_with_all_of_its_pictures(stage: Stage, codec: Codec) -> None:
    packets = talk(stage)
    stage.send_pictures(stage.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8, 150), 0.0)
    stage.run(0.5)
    stage.send_pictures(stage.track(Source.CAMERA), codec, pictures(codec, 125), 1.0)
    stage.finish(CALL_SECONDS)
    first, second = stage.created
    assert (first, Path(second).stem) == ("7_00000000.webm", "7_00001000")
    one, two = files(stage)
    assert (seen(one), seen(two)) == (data(Codec.VP8, 150), data(codec, 125))
    assert one.video is not None and two.video is not None
    assert one.video.pts_seconds == pytest.approx([n / 25 for n in range(150)], abs=0.001)
    assert two.video.pts_seconds == pytest.approx([n / 25 for n in range(125)], abs=0.001)
    assert (heard(one), heard(two)) == (packets, [])


def test_nothing_is_shown_twice_where_the_old_camera_and_its_successor_overlap(stage: Stage) -> None:
    camera = stage.track(Source.CAMERA)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8, 50), 0.0)
    stage.send_pictures(stage.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8, 75), 1.5)
    stage.at(2.2, camera.close)
    stage.finish(4.5)
    (file,) = files(stage)
    # 37.5 pictures: the one at 1.48 s is the last of the old camera.
    assert seen(file) == data(Codec.VP8, 50)[:38] + data(Codec.VP8, 75)


def test_camera_that_went_silent_when_the_next_began_is_succeeded_though_it_never_ends(stage: Stage) -> None:
    packets = talk(stage)
    stage.send_pictures(stage.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.send_pictures(stage.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8, 100), 2.0)
    stage.finish(CALL_SECONDS)
    (file,) = files(stage)
    assert seen(file) == data(Codec.VP8) + data(Codec.VP8, 100)
    assert heard(file) == packets


def test_camera_that_was_succeeded_and_goes_on_after_all_has_its_own_file(stage: Stage) -> None:
    camera = stage.track(Source.CAMERA)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8, 25), 0.0)
    stage.send_pictures(stage.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8, 125), 1.0)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8, 50), 4.0)
    stage.finish(CALL_SECONDS)
    one, two = files(stage)
    assert seen(one) == data(Codec.VP8, 25) + data(Codec.VP8, 125)
    assert seen(two) == data(Codec.VP8, 50)


@pytest.mark.parametrize("ends", ["left", "recording"])
@pytest.mark.parametrize("both_live", [True, False])
def test_end_before_it_is_decided_loses_nothing(stage: Stage, ends: str, both_live: bool) -> None:
    packets = talk(stage, 3.0)
    old, new = stage.track(Source.CAMERA, sid="a"), stage.track(Source.CAMERA, sid="b")
    shown = 75 if both_live else 50
    stage.send_pictures(old, Codec.VP8, pictures(Codec.VP8, shown), 0.0)
    stage.send_pictures(new, Codec.VP8, pictures(Codec.VP8, 25), 2.0)
    if ends == "left":
        stage.run(3.1)
        old.close(3.1)
        new.close(3.1)
        stage.recorder.user_left(ALICE, 3.1)
    stage.finish(3.2)
    expected = [data(Codec.VP8, 75), data(Codec.VP8, 25)] if both_live else [data(Codec.VP8, 50) + data(Codec.VP8, 25)]
    assert [seen(file) for file in files(stage)] == expected
    assert heard(files(stage)[0]) == packets


def test_microphone_published_anew_goes_on_in_the_same_file(stage: Stage) -> None:
    packets, again = sound(2.0), sound(3.0, 400.0)
    stage.send_pictures(stage.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8, 150), 0.0)
    microphone = stage.track(Source.MICROPHONE)
    stage.send_sound(microphone, packets, 0.0)
    stage.run(1.9)
    stage.send_sound(stage.track(Source.MICROPHONE), again, 2.2)
    stage.at(3.2, microphone.close)
    stage.finish(CALL_SECONDS)
    (file,) = files(stage)
    assert heard(file) == packets + again
    assert sound_of(file).packets.index(again[0]) == 110
    assert seen(file) == data(Codec.VP8, 150)
    assert [summary.lost_frames for summary in stage.closed(stage.created[0]).streams] == [0, 0]


def test_camera_and_microphone_published_anew_at_once(stage: Stage) -> None:
    packets, again = sound(2.0), sound(3.0, 400.0)
    camera, microphone = stage.track(Source.CAMERA), stage.track(Source.MICROPHONE)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.send_sound(microphone, packets, 0.0)
    stage.run(2.1)
    stage.send_pictures(stage.track(Source.CAMERA), Codec.H264, pictures(Codec.H264), 2.2)
    stage.send_sound(stage.track(Source.MICROPHONE), again, 2.3)
    stage.at(2.9, microphone.close)
    stage.at(3.0, camera.close)
    stage.finish(5.3)
    before, after = files(stage)
    assert (seen(before), seen(after)) == (data(Codec.VP8), data(Codec.H264))
    assert (heard(before), heard(after)) == (packets, again)


def test_two_microphones_have_a_file_each(stage: Stage) -> None:
    one, two = sound(4.0), sound(3.0, 400.0)
    stage.send_sound(stage.track(Source.MICROPHONE), one, 0.0)
    stage.run(0.8)
    stage.send_sound(stage.track(Source.MICROPHONE), two, 1.0)
    stage.finish(4.0)
    assert [heard(file) for file in files(stage)] == [one, two]


def test_microphone_that_joins_meanwhile_is_recorded(stage: Stage) -> None:
    camera = stage.track(Source.CAMERA)
    stage.send_pictures(camera, Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.send_pictures(stage.track(Source.CAMERA), Codec.H264, pictures(Codec.H264), 2.0)
    stage.run(2.5)
    packets = sound(1.0)
    stage.send_sound(stage.track(Source.MICROPHONE), packets, 2.6)
    stage.at(3.0, camera.close)
    stage.finish(4.0)
    before, after = files(stage)
    assert (heard(before), heard(after)) == ([], packets)
    begins = stage.closed(stage.created[1]).start_seconds
    assert sound_of(after).packets.index(packets[0]) == pytest.approx((2.6 - begins) * 50, abs=1)


def test_newcomer_without_a_key_frame_is_asked_for_one(stage: Stage) -> None:
    stage.send_pictures(stage.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8, 150), 0.0)
    second = stage.track(Source.CAMERA, sid="TR_second")
    stage.send_pictures(second, Codec.VP8, pictures(Codec.VP8, 125)[1:], 1.0)
    stage.finish(CALL_SECONDS)
    assert stage.key_frames_asked == ["TR_second"]
    assert seen(files(stage)[1]) == data(Codec.VP8, 125)[25:]


def test_memory_decides_before_time_does(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "HANDOVER_LIMIT_BYTES", 100)
    stage.send_pictures(stage.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8, 50), 0.0)
    stage.send_pictures(stage.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8, 25), 1.0)
    stage.run(1.6)
    assert len(stage.created) == 2
    stage.finish(2.0)
    assert [seen(file) for file in files(stage)] == [data(Codec.VP8, 50), data(Codec.VP8, 25)]


def test_track_of_another_source_is_no_successor(stage: Stage) -> None:
    stage.send_pictures(stage.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.run(2.1)
    track = RecordedTrack(sid="TR_film", user=ALICE, kind=MediaKind.VIDEO, source=Source.UNKNOWN)
    stage.send_pictures(stage.recorder.add_track(track, 2.1), Codec.VP8, pictures(Codec.VP8), 2.2)
    stage.run(2.5)
    assert len(stage.created) == 2


def test_screen_shared_anew_stays_in_its_file(stage: Stage) -> None:
    screen = stage.track(Source.SCREEN_SHARE)
    stage.send_pictures(screen, Codec.VP8, pictures(Codec.VP8), 0.0)
    stage.run(2.0)
    stage.send_pictures(stage.track(Source.SCREEN_SHARE), Codec.VP8, pictures(Codec.VP8), 2.2)
    stage.at(2.8, screen.close)
    stage.finish(25.0)
    (file,) = files(stage)
    assert seen(file) == data(Codec.VP8) * 2
