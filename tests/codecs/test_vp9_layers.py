from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.codecs.vp9 import join_superframe, split_superframe
from channel_recorder.codecs.vp9_layers import LayerHider
from tests import vectors
from tests.codecs.pictures import decode_all

LAYERED = ["vp9_l3t1", "vp9_l3t1_key", "vp9_l2t1_wide"]


def pixels(decoder: str, frames: list[bytes]) -> list[tuple[int, int, bytes]]:
    return [
        (picture.width, picture.height, picture.to_ndarray(format="yuv420p").tobytes())
        for picture in decode_all(decoder, frames)
    ]


@pytest.mark.parametrize("name", LAYERED)
def test_every_decoder_shows_one_picture_and_the_one_libvpx_shows(name: str) -> None:
    pictures = vectors.frames(name)
    shown = pixels("libvpx-vp9", pictures)
    assert len(shown) == len(pictures)
    assert len(pixels("vp9", pictures)) > len(pictures)  # what the hider is for
    hider = LayerHider()
    hidden = [hider.complete(picture) for picture in pictures]
    assert pixels("vp9", hidden) == shown
    assert pixels("libvpx-vp9", hidden) == shown


def test_top_layers_that_a_server_forwards_alone_go_on() -> None:
    """L3T3_KEY: all layers in key pictures, the top one alone in between."""
    pictures = vectors.frames("vp9_l3t1_key")
    forwarded = [picture if index % 4 == 0 else split_superframe(picture)[-1] for index, picture in enumerate(pictures)]
    hider = LayerHider()
    assert pixels("vp9", [hider.complete(picture) for picture in forwarded]) == pixels("libvpx-vp9", pictures)


def test_lower_top_layer_after_a_switch_is_hidden_up_to_it() -> None:
    pictures = [join_superframe(split_superframe(picture)[:2]) for picture in vectors.frames("vp9_l3t1")]
    hider = LayerHider()
    hidden = [hider.complete(picture) for picture in pictures]
    assert pixels("vp9", hidden) == pixels("libvpx-vp9", pictures)
    assert {size[:2] for size in pixels("vp9", hidden)} == {(160, 96)}


@pytest.mark.parametrize("name", LAYERED)
def test_layers_hidden_already_stay_as_they_are(name: str) -> None:
    first, second = LayerHider(), LayerHider()
    hidden = [first.complete(picture) for picture in vectors.frames(name)]
    assert [second.complete(picture) for picture in hidden] == hidden


def test_a_layer_whose_motion_the_next_one_takes_over_stays_shown() -> None:
    """Quality layers are equally large; without error resilience the next predicts from shown frames only."""
    picture = join_superframe(vectors.frames("vp9")[:2])
    assert LayerHider().complete(picture) == picture


def test_streams_without_layers_pass_untouched() -> None:
    hider = LayerHider()
    for frame in vectors.frames("vp9"):
        assert hider.complete(frame) is frame


def test_layered_delta_pictures_without_their_key_picture_pass_untouched() -> None:
    hider = LayerHider()
    deltas = vectors.frames("vp9_l3t1")[1:4]
    assert [hider.complete(picture) for picture in deltas] == deltas


def test_hiding_resumes_at_the_next_key_picture_after_rubbish() -> None:
    hider, fresh = LayerHider(), LayerHider()
    pictures = vectors.frames("vp9_l3t1")
    hider.complete(pictures[0])
    assert hider.complete(b"\x00\x01") == b"\x00\x01"
    assert hider.complete(pictures[1]) is pictures[1]
    assert [hider.complete(picture) for picture in pictures[4:]] == [
        fresh.complete(picture) for picture in pictures[4:]
    ]


@settings(deadline=None)
@given(st.integers(0, 7), st.integers(0, 400), st.integers(1, 255))
def test_damaged_pictures_never_raise(index: int, position: int, change: int) -> None:
    hider = LayerHider()
    pictures = vectors.frames("vp9_l3t1")
    damaged = bytearray(pictures[index])
    damaged[position % len(damaged)] ^= change
    for number, picture in enumerate(pictures):
        assert hider.complete(bytes(damaged) if number == index else picture)
