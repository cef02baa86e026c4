from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.codecs import av1
from channel_recorder.codecs.info import DELTA
from channel_recorder.errors import MalformedError
from tests import vectors
from tests.codecs.pictures import encode_pictures

SVT = {"preset": "12", "svtav1-params": "pred-struct=1:lookahead=0"}


@pytest.mark.parametrize(("width", "height"), [(64, 64), (146, 98), (641, 359)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
def test_size_is_what_was_encoded(width: int, height: int, pixel_format: str) -> None:
    frames = encode_pictures("libsvtav1", width, height, pixel_format=pixel_format, count=2, options=SVT)
    assert av1.inspect(frames[0]) == (True, width, height)
    assert av1.inspect(frames[1]) is DELTA


def test_key_frames_are_found_among_deltas() -> None:
    keys = [index for index, frame in enumerate(vectors.frames("av1")) if av1.inspect(frame).key_frame]
    assert keys == [0, 8]


def test_a_key_frame_without_sequence_header_cannot_begin_a_file() -> None:
    unit = vectors.frames("av1")[0]
    frame = next(obu for obu in av1.obus(unit) if obu.type == av1.FRAME)
    assert av1.inspect(unit[frame.start : frame.end]) is DELTA


def test_a_sequence_header_before_a_delta_frame_makes_no_key_frame() -> None:
    key, delta = vectors.frames("av1")[:2]
    sequence = next(obu for obu in av1.obus(key) if obu.type == av1.SEQUENCE_HEADER)
    frame = next(obu for obu in av1.obus(delta) if obu.type == av1.FRAME)
    assert av1.inspect(key[sequence.start : sequence.end] + delta[frame.start : frame.end]) is DELTA


def test_obus_lie_end_to_end() -> None:
    for unit in vectors.frames("av1"):
        found = list(av1.obus(unit))
        assert [obu.start for obu in found] == [0, *[obu.end for obu in found[:-1]]]
        assert found[-1].end == len(unit)
        assert found[0].type == av1.TEMPORAL_DELIMITER
        assert unit[: found[0].end] == av1.TEMPORAL_DELIMITER_OBU


@given(st.integers(0, 2**56 - 1), st.binary(max_size=3))
def test_leb128_comes_back(value: int, rest: bytes) -> None:
    assert av1.read_leb128(av1.leb128(value) + rest, 0) == (value, len(av1.leb128(value)))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 9])
def test_leb128_without_end_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        av1.read_leb128(data, 0)


@given(st.binary(max_size=60))
def test_any_bytes_are_obus_or_malformed(data: bytes) -> None:
    try:
        found = list(av1.obus(data))
    except MalformedError:
        return
    assert sum(obu.end - obu.start for obu in found) == len(data)
