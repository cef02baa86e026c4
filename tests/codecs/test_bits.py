from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.codecs.bits import BitReader
from channel_recorder.errors import MalformedError
from tests.codecs.bitwriter import fixed, golomb, pack, signed_golomb


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 2**40 - 1)), max_size=20))
def test_fields_come_back_in_order(fields: list[tuple[int, int]]) -> None:
    fields = [(count, value % (1 << count)) for count, value in fields]
    bits = BitReader(pack(*[fixed(count, value) for count, value in fields]))
    assert [bits.read(count) for count, _ in fields] == [value for _, value in fields]
    assert bits.position == sum(count for count, _ in fields)


@given(st.lists(st.integers(0, 2**32 - 2), max_size=20))
def test_golomb_codes_come_back(values: list[int]) -> None:
    bits = BitReader(pack(*map(golomb, values)))
    assert [bits.golomb() for _ in values] == values


@given(st.lists(st.integers(-(2**31) + 1, 2**31 - 1), max_size=20))
def test_signed_golomb_codes_come_back(values: list[int]) -> None:
    bits = BitReader(pack(*map(signed_golomb, values)))
    assert [bits.signed_golomb() for _ in values] == values


def test_signed_golomb_alternates_around_zero() -> None:
    bits = BitReader(pack(*map(golomb, range(7))))
    assert [bits.signed_golomb() for _ in range(7)] == [0, 1, -1, 2, -2, 3, -3]


def test_reading_past_the_end_is_malformed() -> None:
    bits = BitReader(b"\xff")
    bits.skip(7)
    with pytest.raises(MalformedError):
        bits.read(2)
    assert bits.flag()


def test_endless_golomb_is_malformed() -> None:
    with pytest.raises(MalformedError, match="too long"):
        BitReader(bytes(64)).golomb()
