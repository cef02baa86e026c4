from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.codecs.annexb import join_nal_units
from channel_recorder.errors import MalformedError
from channel_recorder.rtc.receive.depacketize import h265

nals = st.tuples(st.integers(0, 47), st.integers(0, 63), st.integers(1, 7), st.binary(min_size=1, max_size=200)).map(
    lambda parts: header(*parts[:3]) + parts[3]
)


def header(nal_type: int, layer: int = 0, temporal: int = 1) -> bytes:
    return (nal_type << 9 | layer << 3 | temporal).to_bytes(2, "big")


def aggregate(units: list[bytes]) -> bytes:
    return header(48) + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def fragments(unit: bytes, size: int) -> list[bytes]:
    body = unit[2:]
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    last = len(pieces) - 1
    nal_type = unit[0] >> 1 & 0x3F
    indicator = bytes((unit[0] & 0x81 | 49 << 1, unit[1]))
    return [
        indicator + bytes(((index == 0) << 7 | (index == last) << 6 | nal_type,)) + piece
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
            payloads.append(aggregate(waiting[:count]))
            del waiting[:count]
        else:
            unit = waiting.pop(0)
            payloads += [unit] if way == "single" else fragments(unit, data.draw(st.integers(1, 60)))
    assert h265.assemble(payloads) == join_nal_units(units)


def test_only_the_first_slice_starts_a_frame() -> None:
    first_slice, second_slice = header(1) + b"\x80\x01\x02", header(1) + b"\x40\x01\x02"
    assert h265.starts_frame(first_slice)
    assert not h265.starts_frame(second_slice)
    assert h265.starts_frame(aggregate([first_slice, second_slice]))
    assert not h265.starts_frame(aggregate([second_slice, second_slice]))
    assert [h265.starts_frame(payload) for payload in fragments(first_slice * 5, 10)] == [True, False, False]
    assert not any(h265.starts_frame(payload) for payload in fragments(second_slice * 5, 10))


@pytest.mark.parametrize("nal_type", [32, 33, 34, 35, 39])
def test_what_stands_before_slices_starts_a_frame(nal_type: int) -> None:
    unit = header(nal_type) + b"\x01"
    assert h265.starts_frame(unit)
    assert h265.starts_frame(aggregate([unit, header(19) + b"\x80"]))


FRAGMENTS = fragments(header(19) + bytes(100), 30)


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [b""],
        [header(1)],
        [header(50) + b"\x00\x00"],
        FRAGMENTS[1:],
        FRAGMENTS[:-1],
        [FRAGMENTS[0], *FRAGMENTS],
        [FRAGMENTS[0], header(1) + b"\x80", FRAGMENTS[-1]],
        [header(48) + b"\x00"],
        [header(48) + b"\x00\x01\x02\x00\x03\x02\x01\x80"],
        [header(48) + b"\x00\x09\x02\x01"],
    ],
    ids=[
        "none",
        "empty",
        "header only",
        "PACI",
        "no first fragment",
        "no last fragment",
        "started twice",
        "interrupted",
        "empty aggregate",
        "short unit in aggregate",
        "unit longer than aggregate",
    ],
)
def test_broken_payloads_are_malformed(payloads: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        h265.assemble(payloads)
