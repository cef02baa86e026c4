"""H.265 access units in Annex B form: IRAP pictures, parameter sets, size (ITU-T H.265)."""

from __future__ import annotations

from typing import Final

from channel_recorder.codecs.annexb import nal_units, unescape, unit_at
from channel_recorder.codecs.bits import BitReader
from channel_recorder.codecs.info import DELTA, FrameInfo
from channel_recorder.codecs.parameter_sets import NalSyntax, ParameterSetCache
from channel_recorder.errors import MalformedError

FIRST_IRAP: Final = 16
LAST_IRAP: Final = 23
LAST_PICTURE: Final = 31
VPS: Final = 32
SPS: Final = 33
PPS: Final = 34
AUD: Final = 35

_SETS = frozenset({VPS, SPS, PPS})
_BARE_IRAP = FrameInfo(True)
_MAX_SPS_BYTES = 512
_MAX_PIXELS = 16_888
"""In one direction, at the highest level."""


def inspect(data: bytes) -> FrameInfo:
    """Reads up to the first slice. Key frame = intra random access point (BLA, IDR, CRA).

    The size comes from an SPS in band, else 0. Never raises: what has no such picture, or a broken SPS
    before it, counts as delta.
    """
    find = data.find
    start = find(b"\x00\x00\x01") + 3
    end = len(data)
    size = _BARE_IRAP
    while 3 <= start < end:
        nal_type = data[start] >> 1 & 0x3F
        if nal_type <= LAST_PICTURE:
            return size if FIRST_IRAP <= nal_type <= LAST_IRAP else DELTA
        if nal_type == SPS:
            try:
                size = FrameInfo(True, *picture_size(unit_at(data, start, _MAX_SPS_BYTES)))
            except MalformedError:
                return DELTA
        start = find(b"\x00\x00\x01", start) + 3
    return DELTA


def picture_size(sps: bytes) -> tuple[int, int]:
    """Width and height in pixels inside the conformance window. `sps` begins with its NAL header, still escaped.

    Raises `MalformedError`.
    """
    bits = BitReader(unescape(sps[2:]))
    _skip_to_sps_id(bits)
    bits.golomb()  # sps_seq_parameter_set_id
    chroma_format = bits.golomb()
    if chroma_format == 3 and bits.flag():
        chroma_format = 0  # separate_colour_plane_flag
    width, height = bits.golomb(), bits.golomb()
    if bits.flag():
        left, right, top, bottom = (bits.golomb() for _ in range(4))
        width -= (left + right) * (2 if chroma_format in (1, 2) else 1)
        height -= (top + bottom) * (2 if chroma_format == 1 else 1)
    if not (0 < width <= _MAX_PIXELS and 0 < height <= _MAX_PIXELS):
        raise MalformedError("H.265 SPS of an impossible size")
    return width, height


def parameter_sets(data: bytes) -> list[bytes]:
    """The VPS, SPS and PPS of an access unit, in order, without start codes."""
    return [unit for unit in nal_units(data) if unit[0] >> 1 & 0x3F in _SETS]


def parameter_set_cache() -> ParameterSetCache:
    """Makes IRAP pictures self-contained, see `ParameterSetCache`."""
    return ParameterSetCache(_SYNTAX)


def _set_id(unit: bytes) -> int:
    bits = BitReader(unescape(unit[2:128]))
    match unit[0] >> 1 & 0x3F:
        case 32:  # VPS
            return bits.read(4)
        case 33:  # SPS
            _skip_to_sps_id(bits)
            return bits.golomb()
        case _:
            return bits.golomb()


def _skip_to_sps_id(bits: BitReader) -> None:
    bits.skip(4)  # sps_video_parameter_set_id
    sub_layers = bits.read(3)
    bits.skip(1)  # sps_temporal_id_nesting_flag
    bits.skip(96)  # profile_tier_level: general part with level (section 7.3.3)
    present = [(bits.flag(), bits.flag()) for _ in range(sub_layers)]
    if sub_layers:
        bits.skip(2 * (8 - sub_layers))
    for profile, level in present:
        bits.skip(88 * profile + 8 * level)


_SYNTAX = NalSyntax(
    types=tuple(byte >> 1 & 0x3F for byte in range(256)),
    pictures=frozenset(range(LAST_PICTURE + 1)),
    random_access=frozenset(range(FIRST_IRAP, LAST_IRAP + 1)),
    sets=_SETS,
    delimiter=AUD,
    set_id=_set_id,
)
