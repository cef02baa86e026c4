"""What AccessToken 006 and 007 allow their bearer, in terms of LiveKit's grants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum

from channel_recorder.protocol.tokens import LEEWAY_SECONDS, RECORDER_GRANTS, Grants

MAX_VALID_SECONDS = 24 * 3600
"""No token lives longer, whatever it says; 0 means this much."""
_MICROPHONE = ("microphone", "screen_share_audio")
_CAMERA = ("camera", "screen_share")


class Privilege(IntEnum):
    JOIN = 1
    PUBLISH_AUDIO = 2
    PUBLISH_VIDEO = 3
    PUBLISH_DATA = 4


PUBLISHER = (Privilege.JOIN, Privilege.PUBLISH_AUDIO, Privilege.PUBLISH_VIDEO, Privilege.PUBLISH_DATA)
SUBSCRIBER = (Privilege.JOIN,)
"""All that a recorder needs."""


def alive(ends: Mapping[int, float], now_seconds: float) -> frozenset[int]:
    """The privileges that have not ended yet."""
    return frozenset(privilege for privilege, end in ends.items() if now_seconds < end + LEEWAY_SECONDS)


def grants_of(privileges: Iterable[int], *, recorder: bool = False) -> Grants:
    """`recorder`: the bearer joins as a recorder. Any classic token that lets in lets a recorder in, as it always did:
    it is unseen, but the channel is marked as being recorded."""
    held = frozenset(privileges)
    if recorder:
        return RECORDER_GRANTS
    sound, pictures = Privilege.PUBLISH_AUDIO in held, Privilege.PUBLISH_VIDEO in held
    sources = (*(_CAMERA if pictures else ()), *(_MICROPHONE if sound else ()))
    return Grants(
        can_publish=sound or pictures,
        can_publish_data=Privilege.PUBLISH_DATA in held,
        can_publish_sources=() if sound and pictures else sources,
    )
