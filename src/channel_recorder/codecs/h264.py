"""H.264 access units in Annex B form: IDR, parameter sets, size (ITU-T H.264)."""

from __future__ import annotations

from typing import Final

from channel_recorder.codecs.annexb import nal_units, unescape, unit_at
from channel_recorder.codecs.bits import BitReader
from channel_recorder.codecs.info import DELTA, FrameInfo
from channel_recorder.codecs.parameter_sets import NalSyntax, ParameterSetCache
from channel_recorder.errors import MalformedError

SLICE: Final = 1
IDR: Final = 5
SEI: Final = 6
SPS: Final = 7
PPS: Final = 8
AUD: Final = 9

_SPS_AND_PPS = frozenset({SPS, PPS})
_WITH_CHROMA_INFO = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
"""profile_idc values whose SPS goes on with chroma_format_idc (section 7.3.2.1.1)."""

_BARE_IDR = FrameInfo(True)
_MAX_SPS_BYTES = 512
_MAX_PIXELS = 16_888
"""In one direction, at the highest level."""
_MAX_POC_CYCLE = 255


def inspect(data: bytes) -> FrameInfo:
    """Reads up to the first slice. Key frame = IDR; its size comes from an SPS in band, else 0.

    Never raises: what has no IDR, or a broken SPS before it, counts as delta.
    """
    find = data.find
    start = find(b"\x00\x00\x01") + 3
    end = len(data)
    size = _BARE_IDR
    while 3 <= start < end:
        nal_type = data[start] & 0x1F
        if nal_type == IDR:
            return size
        if 0 < nal_type < IDR:
            return DELTA
        if nal_type == SPS:
            try:
                size = FrameInfo(True, *picture_size(unit_at(data, start, _MAX_SPS_BYTES)))
            except MalformedError:
                return DELTA
        start = find(b"\x00\x00\x01", start) + 3
    return DELTA


def picture_size(sps: bytes) -> tuple[int, int]:
    """Width and height in pixels after cropping. `sps` begins with its NAL header, still escaped.

    Raises `MalformedError`.
    """
    bits = BitReader(unescape(sps[1:]))
    profile = bits.read(8)
    bits.skip(16)  # constraint flags, level_idc
    bits.golomb()  # seq_parameter_set_id
    chroma_format = _skip_chroma_info(bits) if profile in _WITH_CHROMA_INFO else 1
    bits.golomb()  # log2_max_frame_num_minus4
    _skip_picture_order_count(bits)
    bits.golomb()  # max_num_ref_frames
    bits.skip(1)  # gaps_in_frame_num_value_allowed_flag
    width = (bits.golomb() + 1) * 16
    map_height = (bits.golomb() + 1) * 16
    frame_mbs_only = bits.read(1)
    if not frame_mbs_only:
        bits.skip(1)  # mb_adaptive_frame_field_flag
    bits.skip(1)  # direct_8x8_inference_flag
    height = map_height * (2 - frame_mbs_only)
    if bits.flag():
        left, right, top, bottom = (bits.golomb() for _ in range(4))
        unit_x = 2 if chroma_format in (1, 2) else 1
        unit_y = (2 if chroma_format == 1 else 1) * (2 - frame_mbs_only)
        width -= (left + right) * unit_x
        height -= (top + bottom) * unit_y
    if not (0 < width <= _MAX_PIXELS and 0 < height <= _MAX_PIXELS):
        raise MalformedError("H.264 SPS of an impossible size")
    return width, height


def parameter_sets(data: bytes) -> list[bytes]:
    """The SPS and PPS of an access unit, in order, without start codes."""
    return [unit for unit in nal_units(data) if unit[0] & 0x1F in _SPS_AND_PPS]


def parameter_set_cache() -> ParameterSetCache:
    """Makes IDR frames self-contained, see `ParameterSetCache`."""
    return ParameterSetCache(_SYNTAX)


def _set_id(unit: bytes) -> int:
    # An SPS has profile, constraints and level before its id (section 7.3.2.1.1).
    start = 4 if unit[0] & 0x1F == SPS else 1
    return BitReader(unescape(unit[start : start + 8])).golomb()


_SYNTAX = NalSyntax(
    types=tuple(byte & 0x1F for byte in range(256)),
    pictures=frozenset(range(SLICE, IDR + 1)),
    random_access=frozenset({IDR}),
    sets=_SPS_AND_PPS,
    delimiter=AUD,
    set_id=_set_id,
)


def _skip_chroma_info(bits: BitReader) -> int:
    chroma_format = bits.golomb()
    separate_planes = bits.flag() if chroma_format == 3 else False
    bits.golomb()  # bit_depth_luma_minus8
    bits.golomb()  # bit_depth_chroma_minus8
    bits.skip(1)  # qpprime_y_zero_transform_bypass_flag
    if bits.flag():
        for index in range(8 if chroma_format != 3 else 12):
            if bits.flag():
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return 0 if separate_planes else chroma_format


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb()) & 0xFF
        last = following or last


def _skip_picture_order_count(bits: BitReader) -> None:
    kind = bits.golomb()
    if kind == 0:
        bits.golomb()  # log2_max_pic_order_cnt_lsb_minus4
    elif kind == 1:
        bits.skip(1)  # delta_pic_order_always_zero_flag
        bits.golomb()  # offset_for_non_ref_pic
        bits.golomb()  # offset_for_top_to_bottom_field
        cycle = bits.golomb()
        if cycle > _MAX_POC_CYCLE:
            raise MalformedError("H.264 SPS with an endless picture order")
        for _ in range(cycle):
            bits.golomb()
