from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.codecs import av1 as codec
from channel_recorder.errors import MalformedError
from channel_recorder.rtc.receive.depacketize import av1
from tests import vectors

CARRIED = [1, 3, 4, 5, 6, 7]
bodies = st.binary(min_size=1, max_size=200)
units = st.tuples(st.sampled_from(CARRIED), st.none() | st.integers(0, 255), bodies)

Unit = tuple[int, int | None, bytes]


def bare(unit: Unit) -> bytes:
    """Without size field, as it travels."""
    obu_type, extension, body = unit
    head = bytes((obu_type << 3,)) if extension is None else bytes((obu_type << 3 | 4, extension))
    return head + body


def sized(unit: Unit) -> bytes:
    """With size field, as in a low-overhead bitstream."""
    obu_type, extension, body = unit
    head = bytes((obu_type << 3 | 2,)) if extension is None else bytes((obu_type << 3 | 6, extension))
    return head + codec.leb128(len(body)) + body


def packetize(elements: list[bytes], limit: int, counted: bool) -> list[bytes]:
    """Fills packets of `limit` bytes of OBU data (AV1 RTP specification section 4.4)."""
    packets: list[tuple[bool, list[bytes], bool]] = []
    current: list[bytes] = []
    room, continues = limit, False
    for element in elements:
        while len(element) > room:
            packets.append((continues, [*current, element[:room]], True))
            element, current, room, continues = element[room:], [], limit, True
        current.append(element)
        room -= len(element)
        if not room:
            packets.append((continues, current, False))
            current, room, continues = [], limit, False
    if current:
        packets.append((continues, current, False))
    return [write_packet(*packet, counted=counted) for packet in packets]


def write_packet(continues: bool, elements: list[bytes], continued: bool, *, counted: bool) -> bytes:
    count = len(elements) if counted and len(elements) <= 3 else 0
    packet = bytes((continues << 7 | continued << 6 | count << 4,))
    for index, element in enumerate(elements):
        last = count and index == count - 1
        packet += element if last else codec.leb128(len(element)) + element
    return packet


@given(st.lists(units, min_size=1, max_size=6), st.integers(1, 120), st.booleans(), st.booleans())
def test_obus_come_back_however_they_were_packed(
    written: list[Unit], limit: int, counted: bool, with_sizes: bool
) -> None:
    elements = [sized(unit) if with_sizes else bare(unit) for unit in written]
    payloads = packetize(elements, limit, counted)
    assert av1.assemble(payloads) == b"".join(map(sized, written))
    assert not any(av1.starts_frame(payload) for payload in payloads if payload[0] & 0x80)


def test_a_single_obu_gets_its_size() -> None:
    assert av1.assemble([b"\x10\x30abc"]) == b"\x32\x03abc"
    assert av1.assemble([b"\x18\x34\x28abc"]) == b"\x36\x28\x03abc"


def test_the_smallest_frame_has_size_zero() -> None:
    assert av1.assemble([b"\x10\x30"]) == b"\x32\x00"


def test_delimiters_and_tile_lists_are_left_out() -> None:
    delimiter, tiles, frame = b"\x10", b"\x40list", b"\x30abc"
    assert av1.assemble(packetize([delimiter, tiles, frame], 100, True)) == b"\x32\x03abc"
    with pytest.raises(MalformedError):
        av1.assemble([b"\x10" + delimiter])


def test_real_temporal_units_come_back_from_every_packet_size() -> None:
    unit = vectors.frames("av1")[0]
    elements = [unit[obu.start : obu.end] for obu in codec.obus(unit)]
    for limit in (37, 200, 1100, 5000):
        assert codec.TEMPORAL_DELIMITER_OBU + av1.assemble(packetize(elements, limit, True)) == unit


def test_a_frame_starts_with_an_obu_that_can_be_first() -> None:
    assert av1.starts_frame(b"\x18\x0abc")
    assert av1.starts_frame(b"\x10\x30abc")
    assert av1.starts_frame(b"\x00\x02\x30a")
    assert av1.starts_frame(b"\x10\x34\x10abc"), "an upper layer forwarded alone"
    assert not av1.starts_frame(b"\x90\x30abc"), "a fragment"
    assert not av1.starts_frame(b"\x10\x20abc"), "a tile group"
    assert not av1.starts_frame(b"\x00\x02\x20a"), "a tile group"
    assert not av1.starts_frame(b"\x00\x80")
    assert not av1.starts_frame(b"\x00\x01")
    assert not av1.starts_frame(b"\x10")
    assert not av1.starts_frame(b"")


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [b""],
        [b"\x10"],
        [b"\x90\x30abc"],
        [b"\x50\x30abc"],
        [b"\x50\x30abc", b"\x10\x30abc"],
        [b"\x20\x04\x30abc"],
        [b"\x00\x05\x30abc"],
        [b"\x00\x80"],
        [b"\x00\x00"],
        [b"\x10\x34"],
        [b"\x10\x32\x05abc"],
    ],
    ids=[
        "none",
        "empty",
        "header only",
        "begins in a fragment",
        "ends in a fragment",
        "fragment not continued",
        "one element of two",
        "element longer than packet",
        "endless length",
        "empty element",
        "no extension",
        "wrong size",
    ],
)
def test_broken_payloads_are_malformed(payloads: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        av1.assemble(payloads)
