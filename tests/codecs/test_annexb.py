from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.codecs.annexb import join_nal_units, nal_offsets, nal_units, unescape


def escape(payload: bytes) -> bytes:
    """Emulation prevention by the letter (H.264 section 7.4.1), byte by byte."""
    escaped = bytearray()
    zeros = 0
    for byte in payload:
        if zeros >= 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(escaped)


zero_rich = st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 0x65, 0x80]), max_size=60).map(bytes)
units = zero_rich.map(lambda body: b"\x67" + escape(body) + b"\x80")


@given(zero_rich)
def test_unescape_undoes_emulation_prevention(payload: bytes) -> None:
    payload += b"\x80"
    assert unescape(escape(payload)) == payload


@given(st.lists(units, max_size=8))
def test_units_survive_the_byte_stream(written: list[bytes]) -> None:
    assert list(nal_units(join_nal_units(written))) == written


@given(st.lists(st.tuples(st.sampled_from([3, 4, 7]), units), max_size=8))
def test_start_codes_of_any_length_part_units(written: list[tuple[int, bytes]]) -> None:
    stream = b"".join(bytes(length - 1) + b"\x01" + unit for length, unit in written)
    assert list(nal_units(stream)) == [unit for _, unit in written]
    assert [stream[offset] for offset in nal_offsets(stream)] == [0x67] * len(written)


@given(st.binary(max_size=200) | zero_rich)
def test_any_bytes_give_units_without_start_codes(data: bytes) -> None:
    for unit in nal_units(data):
        assert unit
        assert b"\x00\x00\x01" not in unit
        assert unit in data
