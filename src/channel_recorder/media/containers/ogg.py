"""The smallest Ogg Opus stream: what FFmpeg needs to see to know what Opus is.

RFC 3533 (Ogg pages), RFC 7845 (Opus in Ogg).
"""

from __future__ import annotations

import struct
import zlib

from channel_recorder.codecs import opus

CHANNELS = 2
"""Always stereo: decoders make two channels of mono packets, so a stream may change from one to the other."""

_PAGE = struct.Struct("<4sBBqIIIB")
_CRC_OFFSET = 22
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_BEGIN, _END = 2, 4


def opus_stream() -> bytes:
    """A whole Ogg Opus file with 20 ms of silence.

    Pre-skip is 0: a recording starts in the middle of a stream, there is no sound to throw away.
    """
    head = opus.opus_head(CHANNELS, pre_skip_ticks=0)
    tags = b"OpusTags" + bytes(8)
    pages = ((head, _BEGIN, 0), (tags, 0, 0), (opus.SILENCE_20MS, _END, opus.SILENCE_20MS_TICKS))
    return b"".join(_page(payload, flags, granule, number) for number, (payload, flags, granule) in enumerate(pages))


def _page(payload: bytes, flags: int, granule: int, number: int) -> bytes:
    """One packet on one page, which holds for less than 255 bytes."""
    page = _PAGE.pack(b"OggS", 0, flags, granule, 1, number, 0, 1) + bytes((len(payload),)) + payload
    crc = struct.pack("<I", checksum(page))
    return page[:_CRC_OFFSET] + crc + page[_CRC_OFFSET + 4 :]


def checksum(data: bytes) -> int:
    """CRC-32 without reflection and inversion, RFC 3533 section 6, by way of zlib's, which has both."""
    reflected = zlib.crc32(data.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(reflected.to_bytes(4, "little").translate(_MIRRORED), "big")
