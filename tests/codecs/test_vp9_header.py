"""Headers written field by field, in the order of the VP9 bitstream specification, section 6.2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.codecs.vp9_header import FrameHeader, ReferenceSizes
from channel_recorder.errors import MalformedError
from tests.codecs.bitwriter import fixed, pack

SYNC = fixed(24, 0x498342)


def flag_then(draw: st.DrawFn, *fields: int) -> str:
    """One bit, and if it is set the fields of so many bits."""
    if not draw(st.booleans()):
        return "0"
    return "1" + "".join(draw_bits(draw, count) for count in fields)


def draw_bits(draw: st.DrawFn, count: int) -> str:
    return fixed(count, draw(st.integers(0, (1 << count) - 1))) if count else ""


def render_size(draw: st.DrawFn) -> str:
    return flag_then(draw, 16, 16)


def loop_filter(draw: st.DrawFn) -> str:
    bits = draw_bits(draw, 9)
    if not draw(st.booleans()):
        return bits + "0"
    if not draw(st.booleans()):
        return bits + "10"
    return bits + "11" + "".join(flag_then(draw, 7) for _ in range(6))


def segmentation(draw: st.DrawFn) -> str:
    if not draw(st.booleans()):
        return "0"
    bits = "1"
    if draw(st.booleans()):
        bits += "1" + "".join(flag_then(draw, 8) for _ in range(7))
        bits += "1" + "".join(flag_then(draw, 8) for _ in range(3)) if draw(st.booleans()) else "0"
    else:
        bits += "0"
    if not draw(st.booleans()):
        return bits + "0"
    bits += "1" + draw_bits(draw, 1)
    for _ in range(8):
        bits += flag_then(draw, 8, 1) + flag_then(draw, 6, 1) + flag_then(draw, 2) + flag_then(draw)
    return bits


def tiles(draw: st.DrawFn, width: int) -> str:
    """Between 256 and 4096 pixels per tile column (section 7.2.13)."""
    blocks = (width + 63) // 64
    least = next(log2 for log2 in range(20) if 64 << log2 >= blocks)
    most = max(log2 for log2 in range(20) if log2 == 0 or blocks >> log2 >= 4)
    chosen = draw(st.integers(least, most)) if most > least else least
    return "1" * (chosen - least) + "0" * (chosen < most) + draw(st.sampled_from(["0", "10", "11"]))


def rest(draw: st.DrawFn, width: int, resilient: bool) -> str:
    return (
        ("" if resilient else draw_bits(draw, 2))
        + draw_bits(draw, 2)
        + loop_filter(draw)
        + draw_bits(draw, 8)
        + "".join(flag_then(draw, 5) for _ in range(3))
        + segmentation(draw)
        + tiles(draw, width)
        + fixed(16, 321)
    )


widths = st.sampled_from([1, 64, 255, 256, 257, 511, 512, 513, 1023, 1024, 1280, 4096, 4097, 8192, 65536])
WrittenHeader = tuple[str, int, int]


@st.composite
def key_headers(draw: st.DrawFn) -> WrittenHeader:
    width, height = draw(widths), draw(st.integers(1, 65536))
    profile = draw(st.integers(0, 3))
    resilient = draw(st.booleans())
    bits = "10" + str(profile & 1) + str(profile >> 1) + ("0" if profile == 3 else "")
    bits += "0" + "0" + "1" + str(int(resilient)) + SYNC
    bits += draw_bits(draw, 1) if profile >= 2 else ""
    space = draw(st.integers(0, 7)) if profile & 1 else draw(st.integers(0, 6))
    bits += fixed(3, space)
    if space == 7:
        bits += "0"
    else:
        bits += draw_bits(draw, 1) + (draw_bits(draw, 2) + "0" if profile & 1 else "")
    bits += fixed(16, width - 1) + fixed(16, height - 1) + render_size(draw)
    return bits + rest(draw, width, resilient), width, height


@st.composite
def inter_headers(draw: st.DrawFn, reference: tuple[int, int]) -> WrittenHeader:
    resilient, shown = draw(st.booleans()), draw(st.booleans())
    bits = "1000" + "0" + "1" + str(int(shown)) + str(int(resilient)) + ("" if shown else "0")
    bits += "" if resilient else draw_bits(draw, 2)
    bits += draw_bits(draw, 8) + draw_bits(draw, 12)
    found = draw(st.sampled_from(["1", "01", "001", "000"]))
    width, height = reference if "1" in found else (draw(widths), draw(st.integers(1, 65536)))
    bits += found + ("" if "1" in found else fixed(16, width - 1) + fixed(16, height - 1))
    bits += render_size(draw) + draw_bits(draw, 1) + draw(st.sampled_from(["1", "000", "011"]))
    return bits + rest(draw, width, resilient), width, height


@st.composite
def intra_only_headers(draw: st.DrawFn) -> WrittenHeader:
    width, height, resilient = draw(widths), draw(st.integers(1, 65536)), draw(st.booleans())
    bits = "1000" + "0" + "1" + "0" + str(int(resilient)) + "1"
    bits += ("" if resilient else draw_bits(draw, 2)) + SYNC + draw_bits(draw, 8)
    bits += fixed(16, width - 1) + fixed(16, height - 1) + render_size(draw)
    return bits + rest(draw, width, resilient), width, height


def check(written: WrittenHeader, references: ReferenceSizes) -> FrameHeader:
    bits, width, height = written
    header = FrameHeader(pack(bits) + b"\x55" * 400, references)
    assert header.size == (width, height)
    assert header.read_rest() == (len(bits), 321)
    return header


@given(key_headers())
def test_key_frames_are_read_to_the_last_bit(written: WrittenHeader) -> None:
    header = check(written, ReferenceSizes())
    assert header.key_frame
    assert header.refresh_flags == 0xFF


@given(st.data(), key_headers())
def test_inter_frames_are_read_to_the_last_bit(data: st.DataObject, key: WrittenHeader) -> None:
    references = ReferenceSizes()
    references.refresh(check(key, references))
    header = check(data.draw(inter_headers(references.of(5))), references)
    assert not header.key_frame
    assert not header.intra_only


@given(intra_only_headers())
def test_intra_only_frames_are_read_to_the_last_bit(written: WrittenHeader) -> None:
    header = check(written, ReferenceSizes())
    assert header.intra_only
    assert not header.key_frame


def test_a_frame_as_large_as_one_that_never_came_is_malformed() -> None:
    with pytest.raises(MalformedError, match="never came"):
        FrameHeader(pack("1000" + "0" + "11" + "1", fixed(8, 1), fixed(12, 0), "1", "0" * 40), ReferenceSizes())


def test_only_named_references_are_replaced() -> None:
    references = ReferenceSizes()
    key = "1000" + "0011" + SYNC + "0000" + fixed(16, 63) + fixed(16, 47) + "0"
    references.refresh(FrameHeader(pack(key), references))
    inter = "1000" + "0111" + fixed(8, 0b100) + fixed(12, 0) + "000" + fixed(16, 127) + fixed(16, 95) + "0" + "0" + "1"
    references.refresh(FrameHeader(pack(inter), references))
    assert [references.of(slot) for slot in range(8)] == [(64, 48)] * 2 + [(128, 96)] + [(64, 48)] * 5


def test_an_earlier_frame_shown_again_has_its_size() -> None:
    references = ReferenceSizes()
    key = "1000" + "0011" + SYNC + "0000" + fixed(16, 63) + fixed(16, 47) + "0"
    references.refresh(FrameHeader(pack(key), references))
    header = FrameHeader(pack("1000" + "1" + "011"), references)
    assert header.show_existing
    assert header.size == (64, 48)
    assert header.refresh_flags == 0
