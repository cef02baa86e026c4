from __future__ import annotations

import pytest
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.receive.depacketize import vp8

descriptors = st.builds(
    lambda picture_id, tl0, tid, keyidx: {
        "picture_id": picture_id,
        "tl0picidx": tl0,
        "tid": tid,
        "keyidx": keyidx,
    },
    st.none() | st.integers(0, 0x7FFF),
    st.none() | st.integers(0, 255),
    st.none() | st.tuples(st.integers(0, 3), st.integers(0, 1)),
    st.none() | st.integers(0, 31),
)


@given(descriptors, st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5))
def test_any_descriptor_is_taken_off(descriptor: dict[str, object], pieces: list[bytes]) -> None:
    payloads = [
        bytes(VpxPayloadDescriptor(partition_start=int(not index), partition_id=0, **descriptor)) + piece  # type: ignore[arg-type]
        for index, piece in enumerate(pieces)
    ]
    assert vp8.assemble(payloads) == b"".join(pieces)
    assert [vp8.starts_frame(payload) for payload in payloads] == [True] + [False] * (len(pieces) - 1)


@given(st.binary(min_size=1, max_size=5000), st.integers(0, 0x7FFF))
def test_frames_packetized_by_aiortc_come_back(frame: bytes, picture_id: int) -> None:
    assert vp8.assemble(Vp8Encoder._packetize(frame, picture_id)) == frame


def test_later_partitions_are_joined_but_start_no_frame() -> None:
    assert vp8.assemble([b"\x10first", b"\x11second", b"\x02rest"]) == b"firstsecondrest"
    assert not vp8.starts_frame(b"\x11second")
    assert not vp8.starts_frame(b"\x00more")
    assert not vp8.starts_frame(b"")


def test_reserved_and_droppable_bits_do_not_hide_a_start() -> None:
    assert vp8.starts_frame(b"\x78\x00")


@pytest.mark.parametrize(
    "payloads",
    [[], [b""], [b"\x10"], [b"\x90"], [b"\x90\x80"], [b"\x90\x80\x01"], [b"\x00middle"], [b"\x10first", b""]],
    ids=["none", "empty", "bare descriptor", "no extension", "no picture id", "no data", "no start", "empty second"],
)
def test_broken_payloads_are_malformed(payloads: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        vp8.assemble(payloads)


@given(st.integers(0, 0x7FFF), st.integers(0, 0x7FFF))
def test_the_next_picture_is_known_by_its_id(before: int, after: int) -> None:
    first, second = (b"\x90\x80" + (number | 0x8000).to_bytes(2, "big") + b"frame" for number in (before, after))
    assert vp8.follows(first, second) == (after == (before + 1) % 0x8000)


@given(st.integers(0, 0x7F), st.integers(0, 0x7F))
def test_short_ids_wrap_earlier(before: int, after: int) -> None:
    first, second = (b"\x90\x80" + bytes((number,)) + b"frame" for number in (before, after))
    assert vp8.follows(first, second) == (after == (before + 1) % 0x80)


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_what_tells_no_id_is_no_next_picture_and_no_error(before: bytes, after: bytes) -> None:
    assert vp8.follows(before, after) in (True, False)
    assert not vp8.follows(b"\x10frame", after)
