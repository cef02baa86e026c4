"""The uncompressed header of a VP9 frame (VP9 bitstream specification section 6.2)."""

from __future__ import annotations

from channel_recorder.codecs.bits import BitReader
from channel_recorder.errors import MalformedError

Size = tuple[int, int]

MAX_HEADER_BYTES = 160
"""No uncompressed header is longer: its fields add up to less than 1200 bits."""

_FRAME_MARKER = 2
_SYNC_CODE = 0x498342
_SRGB = 7
_SEGMENT_FEATURE_BITS = (9, 7, 2, 0)
"""Value and sign bits of the four features of a segment (section 6.2.11)."""


class ReferenceSizes:
    """Sizes of the eight reference slots, as far as they are known.

    An inter frame may say "as large as that reference" instead of a size, so the headers of a
    stream can be read in order only, from a key frame on.
    """

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: list[Size | None] = [None] * 8

    def of(self, slot: int) -> Size:
        """Raises `MalformedError` if nothing is known of the slot."""
        size = self._slots[slot]
        if size is None:
            raise MalformedError("VP9 frame refers to a frame that never came")
        return size

    def refresh(self, header: FrameHeader) -> None:
        """The frame was decoded: it replaces the references it names."""
        for slot in range(8):
            if header.refresh_flags >> slot & 1:
                self._slots[slot] = header.size


class FrameHeader:
    """The fields up to the frame size; `read_rest` goes on to the end of the header.

    `data` may go on after the header. Raises `MalformedError`.
    """

    __slots__ = (
        "_bits",
        "_profile",
        "error_resilient",
        "intra_only",
        "key_frame",
        "refresh_flags",
        "show_existing",
        "show_frame",
        "show_frame_position",
        "size",
    )

    def __init__(self, data: bytes, references: ReferenceSizes) -> None:
        bits = self._bits = BitReader(data[:MAX_HEADER_BYTES])
        if bits.read(2) != _FRAME_MARKER:
            raise MalformedError("no VP9 frame")
        self._profile = bits.read(1) | bits.read(1) << 1
        if self._profile == 3:
            bits.skip(1)
        self.show_existing = bits.flag()
        self.key_frame = self.intra_only = self.show_frame = self.error_resilient = False
        self.show_frame_position = 0
        """Bit that says whether the frame is shown; the next is error_resilient_mode."""
        self.refresh_flags = 0
        if self.show_existing:
            self.size = references.of(bits.read(3))
        else:
            self._read_frame(bits, references)

    def read_rest(self) -> tuple[int, int]:
        """Length of this header in bits, and the length in bytes of the compressed header that follows it."""
        bits = self._bits
        if not self.error_resilient:
            bits.skip(2)  # refresh_frame_context, frame_parallel_decoding_mode
        bits.skip(2)  # frame_context_idx
        _skip_loop_filter(bits)
        _skip_quantization(bits)
        _skip_segmentation(bits)
        _skip_tiles(bits, self.size[0])
        compressed_bytes = bits.read(16)
        if not compressed_bytes:
            raise MalformedError("VP9 frame without compressed header")
        return bits.position, compressed_bytes

    def _read_frame(self, bits: BitReader, references: ReferenceSizes) -> None:
        self.key_frame = not bits.flag()
        self.show_frame_position = bits.position
        self.show_frame = bits.flag()
        self.error_resilient = bits.flag()
        if self.key_frame:
            self._read_color(bits)
            self.refresh_flags = 0xFF
            self.size = _read_size(bits)
            _skip_render_size(bits)
            return
        self.intra_only = False if self.show_frame else bits.flag()
        if not self.error_resilient:
            bits.skip(2)  # reset_frame_context
        if self.intra_only:
            self._read_color(bits)
            self.refresh_flags = bits.read(8)
            self.size = _read_size(bits)
            _skip_render_size(bits)
        else:
            self._read_inter(bits, references)

    def _read_inter(self, bits: BitReader, references: ReferenceSizes) -> None:
        self.refresh_flags = bits.read(8)
        slots = [bits.read(4) >> 1 for _ in range(3)]  # ref_frame_idx, sign bias
        found = next((slot for slot in slots if bits.flag()), None)
        self.size = _read_size(bits) if found is None else references.of(found)
        _skip_render_size(bits)
        bits.skip(1)  # allow_high_precision_mv
        if not bits.flag():  # is_filter_switchable
            bits.skip(2)

    def _read_color(self, bits: BitReader) -> None:
        if bits.read(24) != _SYNC_CODE:
            raise MalformedError("VP9 frame without sync code")
        if self.intra_only and self._profile == 0:
            return
        if self._profile >= 2:
            bits.skip(1)  # ten_or_twelve_bit
        odd_profile = self._profile & 1
        if bits.read(3) != _SRGB:
            bits.skip(1 + 3 * odd_profile)  # color_range, subsampling
        else:
            bits.skip(odd_profile)


def _read_size(bits: BitReader) -> Size:
    return bits.read(16) + 1, bits.read(16) + 1


def _skip_render_size(bits: BitReader) -> None:
    if bits.flag():
        bits.skip(32)


def _skip_loop_filter(bits: BitReader) -> None:
    bits.skip(9)  # level, sharpness
    if bits.flag() and bits.flag():  # deltas enabled, and updated
        for _ in range(6):
            if bits.flag():
                bits.skip(7)


def _skip_quantization(bits: BitReader) -> None:
    bits.skip(8)  # base_q_idx
    for _ in range(3):
        if bits.flag():
            bits.skip(5)


def _skip_segmentation(bits: BitReader) -> None:
    if not bits.flag():
        return
    if bits.flag():  # update_map
        _skip_probabilities(bits, 7)
        if bits.flag():  # temporal_update
            _skip_probabilities(bits, 3)
    if bits.flag():  # update_data
        bits.skip(1)  # abs_or_delta_update
        for _ in range(8):
            for feature_bits in _SEGMENT_FEATURE_BITS:
                if bits.flag():
                    bits.skip(feature_bits)


def _skip_probabilities(bits: BitReader, count: int) -> None:
    for _ in range(count):
        if bits.flag():
            bits.skip(8)


def _skip_tiles(bits: BitReader, width: int) -> None:
    columns = (width + 63) // 64
    least = 0
    while 64 << least < columns:
        least += 1
    most = 1
    while columns >> most >= 4:
        most += 1
    for _ in range(most - 1 - least):
        if not bits.flag():
            break
    if bits.flag():
        bits.skip(1)
