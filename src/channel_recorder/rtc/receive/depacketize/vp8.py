"""VP8 (RFC 7741): the frame in pieces, each behind a payload descriptor."""

from __future__ import annotations

from collections.abc import Sequence

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.receive.depacketize import is_next_number

_EXTENDED = 0x80
_START_AND_PARTITION = 0x17
_FRAME_START = 0x10
"""S set, partition index 0 (section 4.2)."""

_LONG_PICTURE_ID = 0x80


def _descriptor_bytes(extension: int) -> int:
    """Descriptor length by its second byte, with a one-byte picture id."""
    picture_id, tl0, tid_or_key = extension & 0x80, extension & 0x40, extension & 0x30
    return 2 + bool(picture_id) + bool(tl0) + bool(tid_or_key)


_DESCRIPTOR_BYTES = tuple(_descriptor_bytes(extension) for extension in range(256))


def starts_frame(payload: bytes) -> bool:
    return bool(payload) and payload[0] & _START_AND_PARTITION == _FRAME_START


def starts_key_frame(payload: bytes) -> bool:
    """Never raises. The frame begins with an inverse key frame flag (RFC 7741 section 4.3)."""
    if not starts_frame(payload):
        return False
    try:
        frame = _strip(payload)
    except MalformedError:
        return False
    return bool(frame) and not frame[0] & 1


def follows(before: bytes, payload: bytes) -> bool:
    """By picture id, which counts the frames (RFC 7741 section 4.2)."""
    bits = 15 if payload[2:3] >= b"\x80" else 7
    return is_next_number(_picture_id(before, bits), _picture_id(payload, bits), bits)


def assemble(payloads: Sequence[bytes]) -> bytes:
    """The frame without descriptors. Raises `MalformedError`."""
    frame = _strip(payloads[0]) if len(payloads) == 1 else b"".join([_strip(payload) for payload in payloads])
    if not frame or not starts_frame(payloads[0]):
        raise MalformedError("VP8 frame without its beginning")
    return frame


def _strip(payload: bytes) -> bytes:
    try:
        if payload[0] < _EXTENDED:
            return payload[1:]
        extension = payload[1]
        start = _DESCRIPTOR_BYTES[extension]
        if extension & 0x80 and payload[2] & _LONG_PICTURE_ID:
            start += 1
    except IndexError:
        raise MalformedError("VP8 payload descriptor ends early") from None
    return payload[start:]


def _picture_id(payload: bytes, bits: int) -> int | None:
    if len(payload) < 4 or payload[0] < _EXTENDED or not payload[1] & 0x80:
        return None
    long = payload[2] >= _LONG_PICTURE_ID
    if long != (bits == 15):
        return None
    return (payload[2] & 0x7F) << 8 | payload[3] if long else payload[2]
