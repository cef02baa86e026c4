"""What a kill leaves of bare AAC (ADTS, ISO/IEC 13818-7 section 6.2): frames that each say how long they are."""

from __future__ import annotations

from channel_recorder.media.containers.patching import Patched

_HEADER_BYTES = 7
_FRAME_MAX_BYTES = 1 << 13
_FRAMES_MIN = 5
_BLOCK_BYTES = 1 << 20


def repair(file: Patched) -> bool:
    """Cuts the half frame at the end. False: too few whole frames for a player to know the file by them."""
    end = frames = 0
    while block := file.read(end, _BLOCK_BYTES):
        count, whole_bytes = _whole_frames(block)
        if not count:
            break
        frames += count
        end += whole_bytes
    if frames < _FRAMES_MIN:
        return False
    file.cut(end, _FRAME_MAX_BYTES)
    return True


def _whole_frames(block: bytes) -> tuple[int, int]:
    count = position = 0
    while (length := _frame_bytes(block, position)) and position + length <= len(block):
        position += length
        count += 1
    return count, position


def _frame_bytes(data: bytes, position: int) -> int:
    """Length of the frame that begins there; 0: none does."""
    header = data[position : position + _HEADER_BYTES]
    if len(header) < _HEADER_BYTES or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length >= _HEADER_BYTES else 0
