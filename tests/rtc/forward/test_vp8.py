"""VP8 payload descriptors, rewritten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.rtc.forward import vp8

Described = tuple[vp8.Counters, bool]
"""And whether the picture id has 7 bits only."""
described = st.builds(
    lambda picture_id, tl0, key, short: (
        vp8.Counters(picture_id & 0x7F if short and picture_id is not None else picture_id, tl0, key),
        short,
    ),
    st.none() | st.integers(0, 0x7FFF),
    st.none() | st.integers(0, 255),
    st.none() | st.integers(0, 31),
    st.booleans(),
)
contents = st.binary(min_size=1, max_size=20)


def payload_of(described: Described, content: bytes, start: int = 1) -> bytes:
    """By RFC 7741 section 4.2."""
    (picture_id, tl0, key), short = described
    flags = (picture_id is not None) << 7 | (tl0 is not None) << 6 | (tl0 is not None) << 5 | (key is not None) << 4
    head = bytes((0x80 | start << 4, flags))
    if picture_id is not None:
        head += bytes((picture_id,)) if short else (picture_id | 0x8000).to_bytes(2, "big")
    if tl0 is not None:
        head += bytes((tl0,))
    if tl0 is not None or key is not None:
        head += bytes((0x40 | (key or 0),))
    return head + content


def masks(short: bool) -> tuple[int, int, int]:
    return 0x7F if short else 0x7FFF, 0xFF, 0x1F


@given(described, contents)
def test_counters_are_read_in_any_form(each: Described, content: bytes) -> None:
    assert vp8.counters_of(payload_of(each, content)) == each[0]


@given(described, described, contents)
def test_a_continued_stream_counts_on(last: Described, following: Described, content: bytes) -> None:
    payload = payload_of(following, content)
    offsets = vp8.continued(payload_of(last, b"old"), payload)
    sent = offsets.apply(payload) if offsets is not None else payload
    assert sent.endswith(content)
    assert len(sent) == len(payload)
    counters = zip(last[0], vp8.counters_of(sent), following[0], masks(following[1]), strict=True)
    for before, after, was, mask in counters:
        assert after == (was if was is None or before is None else before + 1 & mask)


@given(
    st.tuples(st.integers(0, 0x7FFF), st.integers(0, 255), st.integers(0, 31)),
    st.lists(st.tuples(described, contents)),
)
def test_every_packet_gets_the_same_offsets_whatever_its_form(
    offsets: tuple[int, int, int], packets: list[tuple[Described, bytes]]
) -> None:
    """Descriptors may change from packet to packet, and packets of a picture differ in their first byte."""
    patch = vp8.Vp8Offsets(*offsets)
    for each, content in packets:
        for start in (1, 0):
            payload = payload_of(each, content, start)
            sent = patch.apply(payload)
            expected = [
                None if value is None else value + offset & mask
                for value, offset, mask in zip(each[0], offsets, masks(each[1]), strict=True)
            ]
            assert list(vp8.counters_of(sent)) == expected
            assert sent[:2] == payload[:2]
            assert sent.endswith(content)


@given(st.lists(st.binary(max_size=8)), st.integers(0, 0x7FFF), st.integers(0, 255), st.integers(0, 31))
def test_any_bytes_keep_their_length(payloads: list[bytes], picture_id: int, tl0: int, key: int) -> None:
    patch = vp8.Vp8Offsets(picture_id, tl0, key)
    for payload in payloads:
        assert len(patch.apply(payload)) == len(payload)
        vp8.counters_of(payload)
        vp8.continued(payload, payload)
