from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.codecs import vp9
from channel_recorder.codecs.info import DELTA
from channel_recorder.errors import MalformedError
from tests import vectors
from tests.codecs.pictures import encode_pictures


@pytest.mark.parametrize(
    ("pixel_format", "profile"),
    [("yuv420p", "0"), ("yuv422p", "1"), ("yuv444p", "1"), ("gbrp", "1")],
)
@pytest.mark.parametrize(("width", "height"), [(2, 2), (146, 98), (641, 359)])
def test_size_is_what_was_encoded_in_every_profile(pixel_format: str, profile: str, width: int, height: int) -> None:
    options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "profile": profile}
    frames = encode_pictures("libvpx-vp9", width, height, pixel_format=pixel_format, count=2, options=options)
    assert vp9.inspect(frames[0]) == (True, width, height)
    assert vp9.inspect(frames[1]) is DELTA


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("92498342000488030b081c120e0c2c0001807fd5fa34c5eb", id="profile 2, 10 bit"),
        pytest.param("b124c1a14000488030b091c120e0c2e00025007fd5fa34c3", id="profile 3, 12 bit 4:4:4"),
        pytest.param("b124c1a10200488030b081c120e0c2c0001a807fd9fa34c5", id="profile 3, 10 bit 4:2:2"),
    ],
)
def test_size_is_read_in_high_bit_depth(header: str) -> None:
    """The beginnings of frames of 146 x 98 by libvpx; the wheels' libvpx knows 8 bit only."""
    assert vp9.inspect(bytes.fromhex(header)) == (True, 146, 98)


def test_key_frames_are_found_among_deltas() -> None:
    keys = [index for index, frame in enumerate(vectors.frames("vp9")) if vp9.inspect(frame).key_frame]
    assert keys == [0, 8]


@pytest.mark.parametrize("name", ["vp9_l3t1", "vp9_l3t1_key"])
def test_size_of_a_layered_key_picture_is_that_of_its_top_layer(name: str) -> None:
    pictures = vectors.frames(name)
    sizes = [tuple(vp9.inspect(picture)) for picture in pictures]
    assert sizes == [(True, 320, 192), *[DELTA] * 3] * 2
    two_layers = vp9.join_superframe(vp9.split_superframe(pictures[0])[:2])
    assert vp9.inspect(two_layers) == (True, 160, 96)


@pytest.mark.parametrize("name", ["vp9_l3t1", "vp9_l3t1_key", "vp9_l2t1_wide"])
def test_our_superframe_index_is_that_of_libvpx(name: str) -> None:
    for picture in vectors.frames(name):
        layers = vp9.split_superframe(picture)
        assert len(layers) == (2 if name == "vp9_l2t1_wide" else 3)
        assert vp9.join_superframe(layers) == picture


@given(st.lists(st.binary(min_size=1, max_size=400), min_size=2, max_size=8))
def test_frames_survive_a_superframe(frames: list[bytes]) -> None:
    assert vp9.split_superframe(vp9.join_superframe(frames)) == frames


def test_one_frame_needs_no_index() -> None:
    assert vp9.join_superframe([b"frame"]) == b"frame"
    assert vp9.split_superframe(b"frame") == [b"frame"]


def test_more_than_eight_frames_are_malformed() -> None:
    with pytest.raises(MalformedError):
        vp9.join_superframe([b"x"] * 9)


def test_an_index_that_says_more_than_there_is_is_malformed() -> None:
    with pytest.raises(MalformedError):
        vp9.split_superframe(b"abc" + b"\xc1\x02\x02\xc1")


@given(st.binary(max_size=60))
def test_any_bytes_split_or_are_malformed(data: bytes) -> None:
    try:
        frames = vp9.split_superframe(data)
    except MalformedError:
        return
    assert b"".join(frames) == data[: sum(map(len, frames))]
