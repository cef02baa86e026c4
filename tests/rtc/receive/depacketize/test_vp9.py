from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.codecs.vp9 import join_superframe, split_superframe
from channel_recorder.errors import MalformedError
from channel_recorder.rtc.receive.depacketize import vp9
from tests import vectors


def describe(
    *,
    start: bool,
    end: bool,
    picture_id: int | None = None,
    layer: tuple[int, int, bool] | None = None,
    tl0: int = 0,
    flexible: bool = False,
    references: tuple[int, ...] = (),
    structure: bytes = b"",
) -> bytes:
    """A payload descriptor by RFC 9628 section 4.2. `layer`: temporal id, spatial id, needs the layer below."""
    first = (
        (picture_id is not None) << 7
        | bool(references) << 6
        | (layer is not None) << 5
        | flexible << 4
        | start << 3
        | end << 2
        | bool(structure) << 1
    )
    descriptor = bytes((first,))
    if picture_id is not None:
        descriptor += bytes((picture_id,)) if picture_id < 0x80 else (0x8000 | picture_id).to_bytes(2, "big")
    if layer is not None:
        temporal, spatial, depends = layer
        descriptor += bytes((temporal << 5 | spatial << 1 | depends,)) + (b"" if flexible else bytes((tl0,)))
    if flexible:
        last = len(references) - 1
        descriptor += bytes(distance << 1 | (index < last) for index, distance in enumerate(references))
    return descriptor + structure


SIZES = bytes((2 << 5 | 0x10,)) + b"".join(size.to_bytes(2, "big") for size in (80, 48, 160, 96, 320, 192))
GROUP = bytes((0x08, 2, 0 << 5 | 1 << 2, 4, 1 << 5 | 2 << 2, 1, 3))

options = st.fixed_dictionaries(
    {
        "picture_id": st.none() | st.integers(0, 0x7FFF),
        "tl0": st.integers(0, 255),
        "layer": st.none() | st.tuples(st.integers(0, 7), st.just(0), st.booleans()),
        "flexible": st.booleans(),
        "references": st.lists(st.integers(1, 127), max_size=3).map(tuple),
        "structure": st.sampled_from([b"", SIZES, GROUP, b"\x00"]),
    }
)


@given(options, st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5))
def test_any_descriptor_is_taken_off(described: dict[str, object], pieces: list[bytes]) -> None:
    last = len(pieces) - 1
    payloads = [
        describe(start=index == 0, end=index == last, **described) + piece  # type: ignore[arg-type]
        for index, piece in enumerate(pieces)
    ]
    assert vp9.assemble(payloads) == b"".join(pieces)
    assert [vp9.starts_frame(payload) for payload in payloads] == [True] + [False] * last


def packetize(layers: list[bytes], size: int, needs_lower: bool) -> list[bytes]:
    payloads: list[bytes] = []
    for spatial, frame in enumerate(layers):
        pieces = [frame[start : start + size] for start in range(0, len(frame), size)]
        for index, piece in enumerate(pieces):
            layer = (0, spatial, needs_lower and spatial > 0)
            start, end = index == 0, index == len(pieces) - 1
            payloads.append(describe(start=start, end=end, picture_id=700, layer=layer) + piece)
    return payloads


@pytest.mark.parametrize("name", ["vp9_l3t1", "vp9_l3t1_key", "vp9_l2t1_wide"])
def test_layers_become_the_superframe_that_the_encoder_made(name: str) -> None:
    for picture in vectors.frames(name):
        payloads = packetize(split_superframe(picture), 300, needs_lower=True)
        assert vp9.assemble(payloads) == picture
        assert [vp9.starts_frame(payload) for payload in payloads] == [True] + [False] * (len(payloads) - 1)


def test_a_picture_may_begin_with_an_upper_layer_that_needs_no_other() -> None:
    """What servers forward of L3T3_KEY between key pictures."""
    top = split_superframe(vectors.frames("vp9_l3t1_key")[1])[2]
    payload = describe(start=True, end=True, picture_id=5, layer=(0, 2, False)) + top
    assert vp9.starts_frame(payload)
    assert vp9.assemble([payload]) == top


def test_an_upper_layer_that_needs_a_lower_one_begins_no_picture() -> None:
    payload = describe(start=True, end=True, layer=(0, 1, True)) + b"frame"
    assert not vp9.starts_frame(payload)
    with pytest.raises(MalformedError):
        vp9.assemble([payload])


@given(st.lists(st.binary(min_size=1, max_size=90), min_size=2, max_size=8), st.integers(1, 40))
def test_layers_of_any_content_come_back(layers: list[bytes], size: int) -> None:
    assert vp9.assemble(packetize(layers, size, needs_lower=True)) == join_superframe(layers)


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [b""],
        [b"\x08"],
        [b"\x88"],
        [b"\x28"],
        [b"\x00middle"],
        [b"\x0c" + b"frame", b""],
        [b"\x0c" + b"frame", b"\x0c"],
        [b"\x5c\x03\x03\x03frame"],
        [b"\x0a"],
        [b"\x0a\x08"],
        [b"\x0a\x08\x02\x04"],
    ],
)
def test_broken_payloads_are_malformed(payloads: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        vp9.assemble(payloads)


def test_more_than_eight_layers_are_malformed() -> None:
    with pytest.raises(MalformedError):
        vp9.assemble([b"\x0cframe"] * 9)


def test_the_next_picture_is_known_by_its_id() -> None:
    def payload(*picture_id: int) -> bytes:
        return bytes((0x88, *picture_id)) + b"frame"

    assert vp9.follows(payload(0x80, 5), payload(0x80, 6))
    assert vp9.follows(payload(0xFF, 0xFF), payload(0x80, 0))
    assert vp9.follows(payload(0x7F), payload(0))
    assert not vp9.follows(payload(0x80, 5), payload(0x80, 7))
    assert not vp9.follows(payload(5), payload(0x80, 6))
    assert not vp9.follows(b"\x08frame", b"\x08frame")
    assert not vp9.follows(b"", b"")
