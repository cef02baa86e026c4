from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from channel_recorder.codecs import registry
from channel_recorder.codecs.blank import is_blank
from channel_recorder.codecs.info import DELTA, FrameInfo
from channel_recorder.model import Codec, MediaKind
from tests import vectors

FIRST_FRAMES = {codec: vectors.frames(codec)[0] for codec in Codec}


def test_every_codec_is_known() -> None:
    assert set(registry.INSPECTORS) == set(Codec)


@pytest.mark.parametrize("codec", [codec for codec in Codec if codec.kind is MediaKind.VIDEO])
def test_video_tells_key_frames_and_size(codec: Codec) -> None:
    first, second = vectors.frames(codec)[:2]
    assert registry.inspect(codec, first) == FrameInfo(True, 146, 98)
    assert registry.inspect(codec, second) is DELTA


def test_sound_is_always_key() -> None:
    assert {registry.inspect(Codec.OPUS, packet).key_frame for packet in vectors.frames("opus")} == {True}


@pytest.mark.parametrize("codec", [Codec.OPUS, Codec.VP8, Codec.AV1])
def test_codecs_whose_frames_are_always_complete_need_no_completer(codec: Codec) -> None:
    assert registry.frame_completer(codec) is None


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265, Codec.VP9])
def test_every_track_gets_a_completer_of_its_own(codec: Codec) -> None:
    first = registry.frame_completer(codec)
    assert first is not None
    assert first is not registry.frame_completer(codec)
    frame = FIRST_FRAMES[codec]
    assert first.complete(frame) == frame


def test_blank_frames_of_servers_are_told_from_pictures() -> None:
    assert is_blank(Codec.VP8, 8, 8)
    assert is_blank(Codec.H264, 2, 2)
    assert not is_blank(Codec.VP8, 2, 2)
    assert not is_blank(Codec.VP8, 0, 0)
    assert not is_blank(Codec.VP9, 8, 8)


@settings(deadline=None)
@given(st.sampled_from(Codec), st.binary(max_size=200))
@example(Codec.AV1, b"\x0a\x80")
def test_inspecting_any_bytes_never_raises(codec: Codec, data: bytes) -> None:
    check(codec, data)


@settings(deadline=None)
@given(st.sampled_from(Codec), st.data())
def test_inspecting_damaged_key_frames_never_raises(codec: Codec, data: st.DataObject) -> None:
    frame = bytearray(FIRST_FRAMES[codec])
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, min(len(frame), 80) - 1))] = data.draw(st.integers(0, 255))
    check(codec, bytes(frame[: data.draw(st.integers(0, len(frame)))]))


def check(codec: Codec, data: bytes) -> None:
    info = registry.inspect(codec, data)
    assert info.key_frame or info is DELTA
    assert 0 <= info.width <= 2**33
    assert 0 <= info.height <= 2**33
    completer = registry.frame_completer(codec)
    if completer:
        completer.complete(data)
