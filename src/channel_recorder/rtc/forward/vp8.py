"""The counters of VP8's payload descriptor (RFC 7741 section 4.2), continued where streams are joined.

Every simulcast layer counts pictures from a start of its own. Decoders take a jump for a loss, or a step back for
an old picture.
"""

from __future__ import annotations

from typing import NamedTuple

_EXTENDED = 0x80
_PICTURE_ID, _TL0, _TID, _KEY = 0x80, 0x40, 0x20, 0x10
_LONG = 0x80


class Counters(NamedTuple):
    """Of one packet; None: not there."""

    picture_id: int | None = None
    tl0: int | None = None
    """TL0PICIDX: pictures of the lowest temporal layer."""
    key: int | None = None
    """KEYIDX: key frames."""


def counters_of(payload: bytes) -> Counters:
    """None of them in a payload that ends early."""
    try:
        if payload[0] < _EXTENDED:
            return Counters()
        return _read(payload)
    except IndexError:
        return Counters()


class Vp8Offsets:
    """What is added to the counters of every packet, each in the width it has."""

    __slots__ = ("_key", "_patched", "_picture_id", "_seen", "_size", "_tl0")

    def __init__(self, picture_id: int, tl0: int, key: int) -> None:
        self._picture_id = picture_id
        self._tl0 = tl0
        self._key = key
        # The packets of a picture have the same counters.
        self._seen = self._patched = b""
        self._size = 2

    def apply(self, payload: bytes) -> bytes:
        """A payload that ends early comes back as it is. Hot path."""
        if payload[:1] < b"\x80":
            return payload
        if payload[1 : self._size] != self._seen:
            try:
                self._prepare(payload)
            except IndexError:
                return payload
        return payload[:1] + self._patched + payload[self._size :]

    def _prepare(self, payload: bytes) -> None:
        flags = payload[1]
        head = bytearray((flags,))
        position = 2
        if flags & _PICTURE_ID:
            if payload[2] & _LONG:
                number = (payload[2] << 8 | payload[3]) + self._picture_id
                head += bytes((_LONG | number >> 8 & 0x7F, number & 0xFF))
                position = 4
            else:
                head.append(payload[2] + self._picture_id & 0x7F)
                position = 3
        if flags & _TL0:
            head.append(payload[position] + self._tl0 & 0xFF)
            position += 1
        if flags & (_TID | _KEY):
            layers = payload[position]
            if flags & _KEY:
                layers = layers & 0xE0 | layers + self._key & 0x1F
            head.append(layers)
            position += 1
        self._seen, self._patched, self._size = payload[1:position], bytes(head), position


def continued(last_sent: bytes, following: bytes) -> Vp8Offsets | None:
    """Offsets that make `following`, the beginning of a key frame, the next picture after `last_sent`.

    None if nothing has to be changed.
    """
    last, new = counters_of(last_sent), counters_of(following)
    picture_id = _offset(last.picture_id, new.picture_id, 0x7FFF)
    tl0 = _offset(last.tl0, new.tl0, 0xFF)
    key = _offset(last.key, new.key, 0x1F)
    return Vp8Offsets(picture_id, tl0, key) if picture_id or tl0 or key else None


def _offset(last: int | None, new: int | None, mask: int) -> int:
    return 0 if last is None or new is None else last + 1 - new & mask


def _read(payload: bytes) -> Counters:
    flags = payload[1]
    position = 2
    picture_id = tl0 = key = None
    if flags & _PICTURE_ID:
        picture_id = payload[2]
        position = 3
        if picture_id & _LONG:
            picture_id = (picture_id & 0x7F) << 8 | payload[3]
            position = 4
    if flags & _TL0:
        tl0 = payload[position]
        position += 1
    if flags & (_TID | _KEY):
        layers = payload[position]
        key = layers & 0x1F if flags & _KEY else None
    return Counters(picture_id, tl0, key)
