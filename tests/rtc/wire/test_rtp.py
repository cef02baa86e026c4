import contextlib

import pytest
from aiortc.rtp import RtpPacket as AiortcPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.wire.rtp import RtpPacket, extension_of, parse, payload_of

SHORT_VALUES = st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), max_size=5)
ANY_VALUES = st.dictionaries(st.integers(1, 255), st.binary(max_size=255), max_size=5)
PACKETS = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 2**16 - 1),
    timestamp=st.integers(0, 2**32 - 1),
    ssrc=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=50),
    marker=st.booleans(),
    csrcs=st.lists(st.integers(0, 2**32 - 1), max_size=15).map(tuple),
    extensions=SHORT_VALUES | ANY_VALUES,
    padding_bytes=st.integers(0, 255),
)


@given(PACKETS)
@settings(deadline=None)
def test_what_is_built_is_parsed_again(packet: RtpPacket) -> None:
    built = packet.to_bytes()
    assert parse(built) == packet
    assert payload_of(built) == packet.payload
    for number, value in packet.extensions.items():
        assert extension_of(built, number) == value


@given(PACKETS)
@settings(deadline=None)
def test_another_implementation_reads_the_same(packet: RtpPacket) -> None:
    read = AiortcPacket.parse(packet.to_bytes())
    assert (read.sequence_number, read.timestamp, read.ssrc) == (packet.sequence, packet.timestamp, packet.ssrc)
    assert (read.payload, read.payload_type, bool(read.marker)) == (packet.payload, packet.payload_type, packet.marker)
    assert tuple(read.csrc) == packet.csrcs


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda tail: b"\xb1\x60" + tail))
@settings(deadline=None)
def test_any_bytes_parse_or_are_malformed(data: bytes) -> None:
    for read in (parse, payload_of, lambda packet: extension_of(packet, 5)):
        with contextlib.suppress(MalformedError):
            read(data)


@given(PACKETS, st.data())
@settings(deadline=None)
def test_damaged_packets_parse_or_are_malformed(packet: RtpPacket, data: st.DataObject) -> None:
    built = bytearray(packet.to_bytes())
    built[data.draw(st.integers(0, len(built) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedError):
        parse(bytes(built[: data.draw(st.integers(0, len(built)))]))


def test_one_byte_extensions_end_at_the_reserved_id_and_skip_padding() -> None:
    block = bytes((0x10, 0xAA, 0, 0x21, 1, 2, 0xF0, 0x30))
    packet = b"\x90\x60" + bytes(10) + b"\xbe\xde\x00\x02" + block + b"media"
    assert parse(packet).extensions == {1: b"\xaa", 2: b"\x01\x02"}
    assert payload_of(packet) == b"media"


def test_two_byte_extensions_may_be_empty() -> None:
    packet = b"\x90\x60" + bytes(10) + b"\x10\x0f\x00\x02" + bytes((7, 0, 0, 9, 2, 1, 2, 0)) + b"media"
    assert parse(packet).extensions == {7: b"", 9: b"\x01\x02"}


def test_extensions_of_another_profile_are_skipped() -> None:
    packet = b"\x90\x60" + bytes(10) + b"\xab\xcd\x00\x01\x10\x01\x02\x03" + b"media"
    assert parse(packet).extensions == {}
    assert payload_of(packet) == b"media"


@pytest.mark.parametrize(
    ("packet", "fault"),
    [
        (b"\x80\x60" + bytes(9), "shorter than its header"),
        (b"\x40\x60" + bytes(10), "version 2"),
        (b"\x81\x60" + bytes(10), "ends early"),
        (b"\x90\x60" + bytes(10) + b"\xbe\xde\x00\x02" + bytes(4), "ends early"),
        (b"\xa0\x60" + bytes(10) + b"\x00\x00", "padding"),
        (b"\xa0\x60" + bytes(10) + b"\x00\x03", "padding"),
    ],
)
def test_broken_packets_are_refused_by_name(packet: bytes, fault: str) -> None:
    with pytest.raises(MalformedError, match=fault):
        parse(packet)
