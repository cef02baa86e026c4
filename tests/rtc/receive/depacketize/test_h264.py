from __future__ import annotations

import pytest
from aiortc.codecs.h264 import H264Encoder
from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.codecs.annexb import join_nal_units, nal_units
from channel_recorder.errors import MalformedError
from channel_recorder.rtc.receive.depacketize import h264
from tests import vectors

nal_bodies = st.binary(min_size=1, max_size=200)
nals = st.tuples(st.integers(0, 3), st.integers(1, 23), nal_bodies).map(
    lambda parts: bytes((parts[0] << 5 | parts[1],)) + parts[2]
)


def stap_a(units: list[bytes]) -> bytes:
    return b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def fu_a(unit: bytes, size: int) -> list[bytes]:
    body = unit[1:]
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    last = len(pieces) - 1
    indicator = unit[0] & 0xE0 | 28
    return [
        bytes((indicator, (index == 0) << 7 | (index == last) << 6 | unit[0] & 0x1F)) + piece
        for index, piece in enumerate(pieces)
    ]


@given(st.data(), st.lists(nals, min_size=1, max_size=8))
def test_units_come_back_however_they_were_packed(data: st.DataObject, units: list[bytes]) -> None:
    payloads: list[bytes] = []
    waiting = list(units)
    while waiting:
        way = data.draw(st.sampled_from(["single", "aggregate", "fragments"]))
        if way == "aggregate":
            count = data.draw(st.integers(1, len(waiting)))
            payloads.append(stap_a(waiting[:count]))
            del waiting[:count]
        else:
            unit = waiting.pop(0)
            payloads += [unit] if way == "single" else fu_a(unit, data.draw(st.integers(1, 60)))
    assert h264.assemble(payloads) == join_nal_units(units)


@pytest.mark.parametrize("index", [0, 1, 7])
def test_frames_packetized_by_aiortc_come_back(index: int) -> None:
    frame = vectors.frames("h264")[index]
    payloads = H264Encoder._packetize(H264Encoder._split_bitstream(frame))
    assert h264.assemble(payloads) == join_nal_units(list(nal_units(frame)))
    assert h264.starts_frame(payloads[0])


def test_only_the_first_slice_starts_a_frame() -> None:
    first_slice, second_slice = b"\x41\x9a\x01", b"\x41\x5a\x01"
    assert h264.starts_frame(first_slice)
    assert not h264.starts_frame(second_slice)
    assert h264.starts_frame(stap_a([first_slice, second_slice]))
    assert not h264.starts_frame(stap_a([second_slice]))
    assert [h264.starts_frame(payload) for payload in fu_a(first_slice * 9, 10)] == [True, False, False]
    assert not any(h264.starts_frame(payload) for payload in fu_a(second_slice * 9, 10))


@pytest.mark.parametrize("unit", [b"\x67\x42\x00", b"\x68\xce\x00", b"\x06\x05\x00", b"\x09\x10"])
def test_what_stands_before_slices_starts_a_frame(unit: bytes) -> None:
    assert h264.starts_frame(unit)
    assert h264.starts_frame(stap_a([unit, b"\x65\x88\x80"]))


@pytest.mark.parametrize("nal_type", [0, 25, 26, 27, 29, 30, 31])
def test_interleaved_and_unknown_packets_are_malformed(nal_type: int) -> None:
    """STAP-B, MTAP16, MTAP24, FU-B and the undefined types."""
    payload = bytes((0x60 | nal_type, 0x80, 0, 0, 0, 0))
    assert not h264.starts_frame(payload)
    with pytest.raises(MalformedError):
        h264.assemble([payload])


FRAGMENTS = fu_a(b"\x65\x88" + bytes(100), 30)


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [b""],
        [b"\x65"],
        FRAGMENTS[1:],
        FRAGMENTS[:-1],
        [FRAGMENTS[0], *FRAGMENTS],
        [FRAGMENTS[0], b"\x41\x9a\x01", FRAGMENTS[-1]],
        [b"\x78\x00"],
        [b"\x78\x00\x00\x00\x02\x41\x9a"],
        [b"\x78\x00\x09\x41\x9a"],
        [b"\x78\x00\x02\x41\x9a\x00"],
    ],
    ids=[
        "none",
        "empty",
        "header only",
        "no first fragment",
        "no last fragment",
        "started twice",
        "interrupted",
        "empty aggregate",
        "empty unit in aggregate",
        "unit longer than aggregate",
        "rest after aggregate",
    ],
)
def test_broken_payloads_are_malformed(payloads: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        h264.assemble(payloads)
