"""Headers written field by field, in the order of the AV1 bitstream specification, sections 5.5 and 5.9."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.codecs import av1
from channel_recorder.codecs.av1_header import key_frame_size, read_sequence_header
from channel_recorder.codecs.info import DELTA
from tests.codecs.bitwriter import fixed, golomb, pack

SELECT = 2


@dataclass(frozen=True, kw_only=True)
class Sequence:
    width: int = 1280
    height: int = 720
    width_bits: int = 11
    height_bits: int = 10
    timing: int | None = None
    """Ticks per picture, if they are constant; 0: not constant."""
    delay_bits: int = 0
    display_delay: bool = False
    layers: tuple[int, ...] = (0,)
    """Spatial layers of each operating point, a bit per layer."""
    level: int = 8
    frame_id_bits: int = 0
    order_hint_bits: int = 7
    screen_content_tools: int = SELECT
    integer_mv: int = SELECT

    def write(self) -> bytes:
        return pack(
            "000" + "0" + "0",  # profile, no still picture
            self._timing(),
            str(int(self.display_delay)),
            fixed(5, len(self.layers) - 1),
            *map(self._operating_point, self.layers),
            fixed(4, self.width_bits - 1) + fixed(4, self.height_bits - 1),
            fixed(self.width_bits, self.width - 1) + fixed(self.height_bits, self.height - 1),
            "1" + fixed(4, self.frame_id_bits - 4) + fixed(3, 1) if self.frame_id_bits else "0",
            "101" + "0110",  # superblocks, filters; compound, warped motion, dual filter
            "101" if self.order_hint_bits else "0",
            "1" if self.screen_content_tools == SELECT else f"0{self.screen_content_tools}",
            self._integer_mv(),
            fixed(3, self.order_hint_bits - 1) if self.order_hint_bits else "",
            "1101" + "0" * 16,
        )

    def _timing(self) -> str:
        if self.timing is None:
            return "0"
        info = "1" + fixed(32, 1) + fixed(32, 30) + ("1" + golomb(self.timing - 1) if self.timing else "0")
        if not self.delay_bits:
            return info + "0"
        return info + "1" + fixed(5, self.delay_bits - 1) + fixed(32, 5) + fixed(5, 3) + fixed(5, 4)

    def _operating_point(self, layers: int) -> str:
        return (
            fixed(12, layers << 8 | 1)
            + fixed(5, self.level)
            + ("1" if self.level > 7 else "")
            + ("1" + "1" * (2 * self.delay_bits) + "0" if self.delay_bits else "")
            + ("1" + fixed(4, 9) if self.display_delay else "")
        )

    def _integer_mv(self) -> str:
        if not self.screen_content_tools:
            return ""
        return "1" if self.integer_mv == SELECT else f"0{self.integer_mv}"

    def key_frame(self, own_size: tuple[int, int] | None = None, screen_content: int = 1) -> bytes:
        choose_tools = str(screen_content) if self.screen_content_tools == SELECT else ""
        uses_tools = screen_content if self.screen_content_tools == SELECT else self.screen_content_tools
        return pack(
            "0" + "00" + "1" + "0",  # shown key frame; CDF update
            choose_tools,
            "1" if uses_tools and self.integer_mv == SELECT else "",
            "1" * self.frame_id_bits,
            str(int(own_size is not None)),
            "1" * self.order_hint_bits,
            fixed(self.width_bits, own_size[0] - 1) + fixed(self.height_bits, own_size[1] - 1) if own_size else "",
            "0" * 32,
        )


sizes = st.tuples(st.integers(1, 1 << 12), st.integers(1, 1 << 12))
sequences = st.builds(
    Sequence,
    width=st.integers(1, 1 << 12),
    height=st.integers(1, 1 << 12),
    width_bits=st.integers(12, 16),
    height_bits=st.integers(12, 16),
    timing=st.none() | st.integers(0, 70_000),
    display_delay=st.booleans(),
    layers=st.lists(st.integers(0, 15), min_size=1, max_size=8).map(tuple),
    level=st.integers(0, 31),
    frame_id_bits=st.sampled_from([0, 4, 15]),
    order_hint_bits=st.integers(0, 8),
    screen_content_tools=st.integers(0, 2),
    integer_mv=st.integers(0, 2),
)


@given(sequences, st.none() | sizes, st.integers(0, 1))
def test_size_of_a_key_frame_is_its_own_or_that_of_the_sequence(
    sequence: Sequence, own_size: tuple[int, int] | None, screen_content: int
) -> None:
    header = read_sequence_header(sequence.write())
    assert (header.width, header.height) == (sequence.width, sequence.height)
    assert header.top_spatial_layer == max(max(layers.bit_length() - 1, 0) for layers in sequence.layers)
    size = key_frame_size(sequence.key_frame(own_size, screen_content), header)
    assert size == (own_size or (sequence.width, sequence.height))


@given(sequences, st.integers(1, 32))
def test_decoder_models_before_the_size_are_skipped(sequence: Sequence, delay_bits: int) -> None:
    modelled = replace(sequence, timing=1, delay_bits=delay_bits)
    header = read_sequence_header(modelled.write())
    assert (header.width, header.height) == (sequence.width, sequence.height)
    assert header.has_decoder_model


def test_a_still_picture_has_the_size_of_its_sequence() -> None:
    payload = pack(
        "000" + "11", fixed(5, 8), fixed(4, 10) + fixed(4, 9), fixed(11, 639) + fixed(10, 359), "101" + "0" * 8
    )
    header = read_sequence_header(payload)
    assert key_frame_size(b"", header) == (640, 360)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param("1000", id="shows an earlier frame"),
        pytest.param("0011", id="inter frame"),
        pytest.param("0101", id="intra-only frame"),
        pytest.param("0111", id="switch frame"),
        pytest.param("0000", id="hidden key frame"),
    ],
)
def test_frames_that_a_file_cannot_begin_with(start: str) -> None:
    header = read_sequence_header(Sequence().write())
    assert key_frame_size(pack(start, "0" * 40), header) is None
    unit = obu(av1.SEQUENCE_HEADER, Sequence().write()) + obu(av1.FRAME, pack(start, "0" * 40))
    assert av1.inspect(unit) is DELTA


def obu(obu_type: int, payload: bytes, spatial_id: int | None = None) -> bytes:
    extension = b"" if spatial_id is None else bytes((spatial_id << 3,))
    return bytes((obu_type << 3 | 2 | 4 * bool(extension),)) + extension + av1.leb128(len(payload)) + payload


def test_layered_key_picture_is_as_large_as_its_top_layer() -> None:
    sequence = Sequence(layers=(0b111, 0b011, 0b001))
    head = obu(av1.SEQUENCE_HEADER, sequence.write())
    base = obu(av1.FRAME, sequence.key_frame((320, 180)), 0)
    middle, top = (obu(av1.FRAME, pack("0011", "0" * 40), layer) for layer in (1, 2))
    assert av1.inspect(head + base + middle + top) == (True, 1280, 720)
    assert av1.inspect(head + base) == (True, 320, 180)


def test_frame_header_and_tile_groups_apart_are_a_key_frame_too() -> None:
    sequence = Sequence()
    unit = (
        av1.TEMPORAL_DELIMITER_OBU
        + obu(av1.METADATA, b"\x01meta")
        + obu(av1.SEQUENCE_HEADER, sequence.write())
        + obu(av1.FRAME_HEADER, sequence.key_frame((64, 48)))
        + obu(av1.TILE_GROUP, b"tiles")
    )
    assert av1.inspect(unit) == (True, 64, 48)


def test_delta_frames_are_known_behind_a_delimiter_or_metadata() -> None:
    delta = obu(av1.FRAME, pack("0011", "0" * 40))
    assert av1.inspect(av1.TEMPORAL_DELIMITER_OBU + delta) is DELTA
    assert av1.inspect(obu(av1.METADATA, b"\x01meta") + delta) is DELTA
    assert av1.inspect(delta) is DELTA
