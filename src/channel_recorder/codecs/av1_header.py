"""AV1 sequence headers, and frame headers as far as a key frame's size (AV1 bitstream specification, 5.5 and 5.9)."""

from __future__ import annotations

from typing import NamedTuple

from channel_recorder.codecs.bits import BitReader

_SELECT = 2
"""SELECT_SCREEN_CONTENT_TOOLS, SELECT_INTEGER_MV: each frame decides for itself."""

_SHOWN_KEY_FRAME = 0b0001
"""show_existing_frame, frame_type (2 bits), show_frame."""


class SequenceHeader(NamedTuple):
    width: int
    """The largest size of any frame, that of the top spatial layer."""
    height: int
    width_bits: int
    height_bits: int
    still: bool
    """reduced_still_picture_header: every frame is a shown key frame."""
    frame_id_bits: int
    screen_content_tools: int
    integer_mv: int
    order_hint_bits: int
    has_decoder_model: bool
    top_spatial_layer: int
    """0 without spatial scalability."""


class _OperatingPoints(NamedTuple):
    has_decoder_model: bool
    top_spatial_layer: int


def read_sequence_header(payload: bytes) -> SequenceHeader:
    """Reads an OBU_SEQUENCE_HEADER. Raises `MalformedError`."""
    bits = BitReader(payload)
    bits.skip(4)  # seq_profile, still_picture
    still = bits.flag()
    points = _read_still_level(bits) if still else _read_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    width, height = bits.read(width_bits) + 1, bits.read(height_bits) + 1
    frame_id_bits = 0
    if not still and bits.flag():
        frame_id_bits = bits.read(4) + 2 + bits.read(3) + 1
    bits.skip(3)  # use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
    screen_content_tools = integer_mv = _SELECT
    order_hint_bits = 0
    if not still:
        screen_content_tools, integer_mv, order_hint_bits = _read_tools(bits)
    return SequenceHeader(
        width,
        height,
        width_bits,
        height_bits,
        still,
        frame_id_bits,
        screen_content_tools,
        integer_mv,
        order_hint_bits,
        points.has_decoder_model,
        points.top_spatial_layer,
    )


def key_frame_size(payload: bytes, sequence: SequenceHeader) -> tuple[int, int] | None:
    """Size of a shown key frame from its OBU_FRAME or OBU_FRAME_HEADER; None if it is something else.

    Raises `MalformedError`.
    """
    if sequence.still:
        return sequence.width, sequence.height
    bits = BitReader(payload)
    if bits.read(4) != _SHOWN_KEY_FRAME:
        return None
    if sequence.has_decoder_model:
        return sequence.width, sequence.height  # its timing fields stand before the size; no live encoder writes them
    bits.skip(1)  # disable_cdf_update
    screen_content_tools = bits.read(1) if sequence.screen_content_tools == _SELECT else sequence.screen_content_tools
    if screen_content_tools and sequence.integer_mv == _SELECT:
        bits.skip(1)  # force_integer_mv
    bits.skip(sequence.frame_id_bits)
    if not bits.flag():  # frame_size_override_flag
        return sequence.width, sequence.height
    bits.skip(sequence.order_hint_bits)
    return bits.read(sequence.width_bits) + 1, bits.read(sequence.height_bits) + 1


def _read_still_level(bits: BitReader) -> _OperatingPoints:
    bits.skip(5)  # seq_level_idx
    return _OperatingPoints(False, 0)


def _read_operating_points(bits: BitReader) -> _OperatingPoints:
    delay_bits = _read_timing(bits) if bits.flag() else 0
    has_display_delay = bits.flag()
    layers = 0
    for _ in range(bits.read(5) + 1):
        layers |= bits.read(12) >> 8
        if bits.read(5) > 7:  # seq_level_idx
            bits.skip(1)  # seq_tier
        if delay_bits and bits.flag():
            bits.skip(2 * delay_bits + 1)
        if has_display_delay and bits.flag():
            bits.skip(4)
    return _OperatingPoints(delay_bits > 0, max(layers.bit_length() - 1, 0))


def _read_timing(bits: BitReader) -> int:
    """timing_info and decoder_model_info; how long the delays of an operating point are, 0: it has none."""
    bits.skip(64)  # num_units_in_display_tick, time_scale
    if bits.flag():  # equal_picture_interval
        bits.golomb()  # uvlc: same code as ue(v)
    if not bits.flag():
        return 0
    delay_bits = bits.read(5) + 1
    bits.skip(42)  # num_units_in_decoding_tick, lengths of removal and presentation time
    return delay_bits


def _read_tools(bits: BitReader) -> tuple[int, int, int]:
    bits.skip(4)  # interintra, masked compound, warped motion, dual filter
    has_order_hint = bits.flag()
    if has_order_hint:
        bits.skip(2)  # enable_jnt_comp, enable_ref_frame_mvs
    screen_content_tools = _SELECT if bits.flag() else bits.read(1)
    integer_mv = _SELECT
    if screen_content_tools and not bits.flag():
        integer_mv = bits.read(1)
    return screen_content_tools, integer_mv, bits.read(3) + 1 if has_order_hint else 0
