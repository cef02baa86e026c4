from __future__ import annotations

import pytest

from channel_recorder.codecs import h264
from channel_recorder.codecs.annexb import join_nal_units, nal_units
from channel_recorder.codecs.blank import is_blank
from channel_recorder.codecs.info import DELTA
from channel_recorder.errors import MalformedError
from channel_recorder.model import Codec
from tests import vectors
from tests.codecs.bitwriter import fixed, golomb, pack, signed_golomb
from tests.codecs.pictures import encode_pictures

# livekit-server's blank frame for muted H.264 tracks.
BLANK_SPS = bytes.fromhex("6742c01f0fd91f888884000003000400000300c83c60c920")
BLANK_PPS = bytes.fromhex("6887cb83cb20")
BLANK_IDR = bytes.fromhex("6588840af2628000a7be")


@pytest.mark.parametrize(
    ("pixel_format", "profile"),
    [
        ("yuv420p", "baseline"),
        ("yuv420p", "main"),
        ("yuv420p", "high"),
        ("yuv420p10le", "high10"),
        ("yuv422p", "high422"),
        ("yuv444p", "high444"),
        ("gray", "high"),
    ],
)
@pytest.mark.parametrize(("width", "height"), [(16, 16), (146, 98), (1280, 720), (1920, 1080)])
def test_size_is_what_was_encoded_in_every_profile(pixel_format: str, profile: str, width: int, height: int) -> None:
    options = {"preset": "ultrafast", "tune": "zerolatency", "profile": profile}
    frames = encode_pictures("libx264", width, height, pixel_format=pixel_format, options=options)
    assert h264.inspect(frames[0]) == (True, width, height)


def test_size_of_interlaced_pictures_counts_both_fields() -> None:
    options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "interlaced=1"}
    frames = encode_pictures("libx264", 720, 484, options=options, interlaced=True)
    assert h264.inspect(frames[0]) == (True, 720, 484)


def sps_with(*, scaling: str, picture_order: str) -> bytes:
    """High profile, 10 x 7 macroblocks, cropped by 14 and 14 pixels."""
    return b"\x67" + pack(
        fixed(24, 0x64001E),
        golomb(0),  # id
        golomb(1) + golomb(0) + golomb(0) + "0",  # 4:2:0, 8 bit
        scaling,
        golomb(0),  # log2_max_frame_num_minus4
        picture_order,
        golomb(1) + "0",  # reference frames, no gaps
        golomb(9) + golomb(6) + "1" + "1",  # size, progressive, direct 8x8
        "1" + golomb(0) + golomb(7) + golomb(0) + golomb(7),
        "0" + "1",  # no VUI, stop bit
    )


def test_scaling_lists_before_the_size_are_skipped() -> None:
    whole_4x4 = "1" + signed_golomb(3) * 16
    cut_short = "1" + signed_golomb(-8)  # next scale 0: the rest repeats the last
    whole_8x8 = "1" + signed_golomb(1) * 64
    scaling = "1" + whole_4x4 + cut_short + "0000" + whole_8x8 + "0"
    assert h264.picture_size(sps_with(scaling=scaling, picture_order=golomb(2))) == (146, 98)


def test_picture_order_cycles_before_the_size_are_skipped() -> None:
    cycle = golomb(1) + "0" + signed_golomb(-5) + signed_golomb(7) + golomb(3) + signed_golomb(4) * 3
    assert h264.picture_size(sps_with(scaling="0", picture_order=cycle)) == (146, 98)


def test_an_endless_picture_order_cycle_is_malformed() -> None:
    cycle = golomb(1) + "0" + signed_golomb(0) + signed_golomb(0) + golomb(256)
    with pytest.raises(MalformedError, match="endless"):
        h264.picture_size(sps_with(scaling="0", picture_order=cycle))


def test_key_frames_are_found_among_deltas() -> None:
    keys = [index for index, frame in enumerate(vectors.frames("h264")) if h264.inspect(frame).key_frame]
    assert keys == [0, 7, 15]


def test_an_idr_without_parameter_sets_is_a_key_frame_of_unknown_size() -> None:
    idr = list(nal_units(vectors.frames("h264")[0]))[-1]
    assert h264.inspect(join_nal_units([idr])) == (True, 0, 0)


def test_parameter_sets_alone_are_no_key_frame() -> None:
    sets = h264.parameter_sets(vectors.frames("h264")[0])
    assert [unit[0] & 0x1F for unit in sets] == [h264.SPS, h264.PPS]
    assert h264.inspect(join_nal_units(sets)) is DELTA


def test_blank_frame_of_the_server_is_recognized_by_size() -> None:
    info = h264.inspect(join_nal_units([BLANK_SPS, BLANK_PPS, BLANK_IDR]))
    assert info == (True, 2, 2)
    assert is_blank(Codec.H264, info.width, info.height)


def test_a_broken_sps_makes_no_key_frame() -> None:
    sps, pps, *_, idr = nal_units(vectors.frames("h264")[0])
    assert h264.inspect(join_nal_units([sps[:6], pps, idr])) is DELTA
    with pytest.raises(MalformedError):
        h264.picture_size(sps[:6])


@pytest.mark.parametrize("nal_type", range(1, 6))
def test_only_idr_slices_make_key_frames(nal_type: int) -> None:
    assert h264.inspect(join_nal_units([bytes((0x60 | nal_type,)) + b"\x88"])).key_frame == (nal_type == h264.IDR)


def test_what_stands_before_the_picture_is_passed_over() -> None:
    frame = vectors.frames("h264")[0]
    assert h264.inspect(join_nal_units([b"\x09\x10", b"\x06\x05\x01", *nal_units(frame)])) == (True, 146, 98)


def test_an_sps_of_an_impossible_size_makes_no_key_frame() -> None:
    wide = b"\x67" + pack(
        fixed(24, 0x42001E), golomb(0) * 2, golomb(2), golomb(1) + "0", golomb(1056), golomb(6) + "11", "0" + "0" + "1"
    )
    assert h264.inspect(join_nal_units([wide, b"\x65\x88"])) is DELTA
    with pytest.raises(MalformedError, match="impossible"):
        h264.picture_size(wide)
