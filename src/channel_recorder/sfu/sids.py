"""Server-made identifiers. Native clients panic at ones without the prefix they expect."""

from __future__ import annotations

import secrets
import string

from livekit.protocol import models as pb

_LETTERS = string.ascii_letters + string.digits
_KINDS: dict[int, str] = {pb.TrackType.AUDIO: "A", pb.TrackType.VIDEO: "V"}
_SOURCES: dict[int, str] = {
    pb.TrackSource.CAMERA: "C",
    pb.TrackSource.MICROPHONE: "M",
    pb.TrackSource.SCREEN_SHARE: "S",
    pb.TrackSource.SCREEN_SHARE_AUDIO: "s",
}


def room_sid() -> str:
    return "RM_" + _random()


def participant_sid() -> str:
    return "PA_" + _random()


def event_id() -> str:
    return "EV_" + _random()


def node_id() -> str:
    return "ND_" + _random()


def track_sid(track_type: int, source: int) -> str:
    return "TR_" + _KINDS.get(track_type, "") + _SOURCES.get(source, "") + _random()


def _random() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(12))
