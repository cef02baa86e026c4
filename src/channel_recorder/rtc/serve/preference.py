"""Which payload types come first in a description: the order is what the far side chooses by."""

from __future__ import annotations

from collections.abc import Sequence

from channel_recorder.model import Codec
from channel_recorder.rtc.description import PayloadType


def in_order(payload_types: Sequence[PayloadType], codecs: Sequence[Codec]) -> list[PayloadType]:
    """The codecs named first, then the others as they come; each with its retransmissions behind it."""
    media = [each for each in payload_types if each.codec is not None]
    places = {codec: place for place, codec in enumerate(dict.fromkeys([*codecs, *(each.codec for each in media)]))}
    media.sort(key=lambda each: (places[each.codec], _h264_rank(each)))
    repeats = {each.retransmits: each for each in payload_types if each.codec is None}
    return [each for one in media for each in (one, repeats.get(one.number)) if each is not None]


def _h264_rank(payload_type: PayloadType) -> int:
    """Fragments first, for pictures larger than a packet; then the profiles that most subscribers can play:
    constrained baseline, as everybody writes it, then baseline."""
    if payload_type.codec is not Codec.H264:
        return 0
    has_fragments = payload_type.parameters.get("packetization-mode", "0") == "1"
    profile = payload_type.parameters.get("profile-level-id", "42").lower()
    return (0 if has_fragments else 3) + (0 if profile.startswith("42e") else 1 if profile.startswith("42") else 2)
