"""VP9 (RFC 9628): every spatial layer of a picture is a frame, in pieces behind payload descriptors."""

from __future__ import annotations

from collections.abc import Sequence

from channel_recorder.codecs.vp9 import inspect, join_superframe
from channel_recorder.errors import MalformedError
from channel_recorder.rtc.receive.depacketize import is_next_number

_PICTURE_ID = 0x80
_INTER_PICTURE = 0x40
_LAYERS = 0x20
_FLEXIBLE = 0x10
_FRAME_START = 0x08
_START_AND_END = 0x0C
_STRUCTURE = 0x02
_SPATIAL_LAYER = 0x0E
_NEEDS_LOWER_LAYER = 0x01
_MAX_REFERENCES = 3


def starts_frame(payload: bytes) -> bool:
    """A picture begins here: the start of a layer frame that needs no layer below it in this picture.

    Not only of layer 0: where layers depend on each other in key pictures only (L3T3_KEY), a server
    forwards the top layer alone in between.
    """
    if not payload or not payload[0] & _FRAME_START:
        return False
    first = payload[0]
    if not first & _LAYERS:
        return True
    position = _after_picture_id(payload, first)
    if position >= len(payload):
        return False
    layer = payload[position]
    return not layer & _SPATIAL_LAYER or not layer & _NEEDS_LOWER_LAYER


def starts_key_frame(payload: bytes) -> bool:
    """Never raises. The lowest layer of a picture that is not predicted from others begins here."""
    if not payload or payload[0] & (_FRAME_START | _INTER_PICTURE) != _FRAME_START:
        return False
    first = payload[0]
    if not first & ~_START_AND_END:  # FFmpeg writes nothing else, so P says nothing either
        return inspect(payload[1:]).key_frame
    if not first & _LAYERS:
        return True
    position = _after_picture_id(payload, first)
    return position < len(payload) and not payload[position] & _SPATIAL_LAYER


def follows(before: bytes, payload: bytes) -> bool:
    """By picture id (section 4.2)."""
    bits = 15 if payload[1:2] >= b"\x80" else 7
    return is_next_number(_picture_id(before, bits), _picture_id(payload, bits), bits)


def assemble(payloads: Sequence[bytes]) -> bytes:
    """The frame, or the layers of the picture as one superframe. Raises `MalformedError`."""
    return join_superframe(split(payloads))


def split(payloads: Sequence[bytes]) -> list[bytes]:
    """The layers of the picture. Raises `MalformedError`."""
    first = payloads[0] if payloads else b""
    if not starts_frame(first):
        raise MalformedError("VP9 picture without its beginning")
    if len(payloads) == 1:
        return [_not_empty(first[_descriptor_bytes(first) :])]
    layers: list[list[bytes]] = []
    for payload in payloads:
        start = _descriptor_bytes(payload)
        if payload[0] & _FRAME_START:
            layers.append([])
        layers[-1].append(payload[start:])
    return [_not_empty(b"".join(layer)) for layer in layers]


def _not_empty(frame: bytes) -> bytes:
    if not frame:
        raise MalformedError("empty VP9 frame")
    return frame


def _picture_id(payload: bytes, bits: int) -> int | None:
    if len(payload) < 3 or not payload[0] & _PICTURE_ID:
        return None
    long = payload[1] >= 0x80
    if long != (bits == 15):
        return None
    return (payload[1] & 0x7F) << 8 | payload[2] if long else payload[1]


def _after_picture_id(payload: bytes, first: int) -> int:
    if not first & _PICTURE_ID:
        return 1
    return 3 if payload[1:2] >= b"\x80" else 2


def _descriptor_bytes(payload: bytes) -> int:
    try:
        first = payload[0]
        position = _after_picture_id(payload, first)
        if first & _LAYERS:
            position += 1 if first & _FLEXIBLE else 2  # TL0PICIDX in non-flexible mode only
        if first & _FLEXIBLE and first & _INTER_PICTURE:
            position = _after_references(payload, position)
        if first & _STRUCTURE:
            position = _after_structure(payload, position)
    except IndexError:
        raise MalformedError("VP9 payload descriptor ends early") from None
    return position


def _after_references(payload: bytes, position: int) -> int:
    for _ in range(_MAX_REFERENCES):
        position += 1
        if not payload[position - 1] & 1:  # N: another one follows
            return position
    raise MalformedError("VP9 frame with more than three references")


def _after_structure(payload: bytes, position: int) -> int:
    """Scalability structure (section 4.2.1): layer sizes and the pictures of a group."""
    flags = payload[position]
    position += 1
    if flags & 0x10:  # Y: sizes
        position += 4 * ((flags >> 5) + 1)
    if flags & 0x08:  # G: picture group
        pictures = payload[position]
        position += 1
        for _ in range(pictures):
            position += 1 + (payload[position] >> 2 & 3)
    return position
