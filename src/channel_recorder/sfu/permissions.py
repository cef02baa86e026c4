"""What a member may do: token grants as LiveKit's ParticipantPermission and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from livekit.protocol import models as pb

from channel_recorder.model import Source
from channel_recorder.protocol.tokens import Grants

_SOURCES: dict[str, pb.TrackSource] = {
    Source.CAMERA: pb.TrackSource.CAMERA,
    Source.MICROPHONE: pb.TrackSource.MICROPHONE,
    Source.SCREEN_SHARE: pb.TrackSource.SCREEN_SHARE,
    Source.SCREEN_SHARE_AUDIO: pb.TrackSource.SCREEN_SHARE_AUDIO,
}
_SOURCE_NAMES: dict[int, str] = {number: name for name, number in _SOURCES.items()}
_KINDS: dict[str, pb.ParticipantInfo.Kind] = {
    "ingress": pb.ParticipantInfo.INGRESS,
    "egress": pb.ParticipantInfo.EGRESS,
    "sip": pb.ParticipantInfo.SIP,
    "agent": pb.ParticipantInfo.AGENT,
    "connector": pb.ParticipantInfo.CONNECTOR,
    "bridge": pb.ParticipantInfo.BRIDGE,
}


def kind_from(name: str) -> pb.ParticipantInfo.Kind:
    return _KINDS.get(name, pb.ParticipantInfo.STANDARD)


def permission_from(grants: Grants, kind: str) -> pb.ParticipantPermission:
    """Hidden members publish nothing: the others could not tell whose it is."""
    sources = _sources(grants.can_publish_sources)
    only_unknown_sources = bool(grants.can_publish_sources) and not sources
    return pb.ParticipantPermission(
        can_subscribe=grants.can_subscribe,
        can_publish=grants.can_publish and not grants.hidden and not only_unknown_sources,
        can_publish_data=grants.can_publish_data,
        can_publish_sources=sources,
        hidden=grants.hidden,
        recorder=grants.recorder,
        can_update_metadata=grants.can_update_own_metadata,
        agent=grants.agent or kind == "agent",
    )


def changed_permission(present: pb.ParticipantPermission, wish: pb.ParticipantPermission) -> pb.ParticipantPermission:
    """As RoomService wishes. Who is hidden, a recorder or an agent stays so: only a token makes one that."""
    return pb.ParticipantPermission(
        can_subscribe=wish.can_subscribe,
        can_publish=wish.can_publish and not present.hidden,
        can_publish_data=wish.can_publish_data,
        can_publish_sources=[number for number in wish.can_publish_sources if number in _SOURCE_NAMES],
        hidden=present.hidden,
        recorder=present.recorder,
        can_update_metadata=wish.can_update_metadata,
        agent=present.agent,
    )


def changed_grants(grants: Grants, permission: pb.ParticipantPermission) -> Grants:
    """What the member's next token must say."""
    sources = tuple(_SOURCE_NAMES[number] for number in permission.can_publish_sources)
    return replace(
        grants,
        can_subscribe=permission.can_subscribe,
        can_publish=permission.can_publish,
        can_publish_data=permission.can_publish_data,
        can_publish_sources=sources,
        can_update_own_metadata=permission.can_update_metadata,
    )


def may_publish(permission: pb.ParticipantPermission, source: int) -> bool:
    if not permission.can_publish:
        return False
    return not permission.can_publish_sources or source in permission.can_publish_sources


def _sources(names: Iterable[str]) -> list[pb.TrackSource]:
    return [_SOURCES[name.lower()] for name in names if name.lower() in _SOURCES]
