from __future__ import annotations

import pytest

from channel_recorder.codecs import vp8
from channel_recorder.codecs.info import DELTA
from tests import vectors
from tests.codecs.pictures import encode_pictures


@pytest.mark.parametrize(("width", "height"), [(2, 2), (16, 16), (320, 240), (641, 479), (1920, 1080)])
def test_size_is_what_was_encoded(width: int, height: int) -> None:
    frames = encode_pictures("libvpx", width, height, options={"deadline": "realtime"})
    assert vp8.inspect(frames[0]) == (True, width, height)


def test_key_frames_are_found_among_deltas() -> None:
    keys = [index for index, frame in enumerate(vectors.frames("vp8")) if vp8.inspect(frame).key_frame]
    assert keys == [0, 8]


def test_scaling_bits_are_no_part_of_the_size() -> None:
    frame = bytearray(vectors.frames("vp8")[0])
    frame[7] |= 0x40
    frame[9] |= 0xC0
    assert vp8.inspect(bytes(frame)) == (True, 146, 98)


def test_a_key_frame_without_start_code_is_none() -> None:
    frame = vectors.frames("vp8")[0]
    assert vp8.inspect(frame[:3] + b"\x9d\x01\x2b" + frame[6:]) is DELTA
    assert vp8.inspect(frame[:9]) is DELTA
    assert vp8.inspect(b"") is DELTA
