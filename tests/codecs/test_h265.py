from __future__ import annotations

import pytest

from channel_recorder.codecs import h265
from channel_recorder.codecs.annexb import join_nal_units, nal_units
from channel_recorder.codecs.info import DELTA
from channel_recorder.errors import MalformedError
from tests import vectors
from tests.codecs.pictures import encode_pictures

X265 = {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=0:info=0:repeat-headers=1"}


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gray"])
@pytest.mark.parametrize(("width", "height"), [(146, 98), (640, 360)])
def test_size_is_what_was_encoded_in_every_format(pixel_format: str, width: int, height: int) -> None:
    frames = encode_pictures("libx265", width, height, pixel_format=pixel_format, options=X265)
    assert h265.inspect(frames[0]) == (True, width, height)


def test_temporal_sub_layers_before_the_size_are_skipped() -> None:
    options = {"preset": "ultrafast", "x265-params": X265["x265-params"] + ":temporal-layers=3:bframes=3"}
    frames = encode_pictures("libx265", 146, 98, count=5, options=options)
    sps = next(unit for unit in nal_units(frames[0]) if unit[0] >> 1 == h265.SPS)
    assert sps[2] >> 1 & 7 == 2
    assert h265.picture_size(sps) == (146, 98)


def test_key_frames_are_found_among_deltas() -> None:
    keys = [index for index, frame in enumerate(vectors.frames("h265")) if h265.inspect(frame).key_frame]
    assert keys == [0, 8]


def test_parameter_sets_alone_are_no_key_frame() -> None:
    sets = h265.parameter_sets(vectors.frames("h265")[0])
    assert [unit[0] >> 1 for unit in sets] == [h265.VPS, h265.SPS, h265.PPS]
    assert h265.inspect(join_nal_units(sets)) is DELTA


def test_a_broken_sps_makes_no_key_frame() -> None:
    vps, sps, pps, picture = nal_units(vectors.frames("h265")[0])
    assert h265.inspect(join_nal_units([vps, sps[:12], pps, picture])) is DELTA
    with pytest.raises(MalformedError):
        h265.picture_size(sps[:12])
    assert h265.inspect(join_nal_units([picture])) == (True, 0, 0)


@pytest.mark.parametrize("nal_type", range(32))
def test_key_frames_are_the_random_access_pictures(nal_type: int) -> None:
    """BLA, IDR, CRA and what is reserved for their like: 16 to 23."""
    unit = join_nal_units([bytes((nal_type << 1, 1)) + b"\x80\x01"])
    assert h265.inspect(unit).key_frame == (16 <= nal_type <= 23)


def test_what_stands_before_the_picture_is_passed_over() -> None:
    delimiter, message = bytes((h265.AUD << 1, 1, 0x50)), bytes((39 << 1, 1, 5))
    frame = vectors.frames("h265")[0]
    assert h265.inspect(join_nal_units([delimiter, message, *nal_units(frame)])) == (True, 146, 98)
