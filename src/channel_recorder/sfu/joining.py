"""The first message to a client: everything it must know to take part."""

from __future__ import annotations

from collections.abc import Iterable

from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.model import Codec
from channel_recorder.sfu.member import Member
from channel_recorder.sfu.settings import PROTOCOL_VERSION, SERVER_VERSION, ServerSettings
from channel_recorder.sfu.tracks import mime_type

MIN_PROTOCOL_SUBSCRIBER_PRIMARY = 3


def is_subscriber_primary(member: Member, *, single_peer: bool) -> bool:
    """Which of two connections the client waits for: the one it receives on, if it may receive."""
    can_subscribe = member.permission.can_subscribe
    return not single_peer and can_subscribe and member.protocol >= MIN_PROTOCOL_SUBSCRIBER_PRIMARY


def join_response(
    room: models.Room,
    member: Member,
    participant: models.ParticipantInfo,
    others: Iterable[models.ParticipantInfo],
    *,
    single_peer: bool,
    settings: ServerSettings,
    node_id: str,
) -> pb.SignalResponse:
    join = pb.JoinResponse(
        room=room,
        participant=participant,
        other_participants=others,
        server_version=SERVER_VERSION,
        server_info=models.ServerInfo(
            edition=models.ServerInfo.Standard,
            version=SERVER_VERSION,
            protocol=PROTOCOL_VERSION,
            region=settings.region,
            node_id=node_id,
        ),
        server_region=settings.region,
        ice_servers=settings.ice_servers,
        subscriber_primary=is_subscriber_primary(member, single_peer=single_peer),
        # A resume would be answered by a full reconnect anyway; so browsers need not try one first.
        client_configuration=models.ClientConfiguration(resume_connection=models.ClientConfigSetting.DISABLED),
        ping_interval=settings.ping_interval_seconds,
        ping_timeout=settings.ping_timeout_seconds,
        enabled_publish_codecs=codecs(settings.codecs),
        fast_publish=member.permission.can_publish,
    )
    return pb.SignalResponse(join=join)


def codecs(wanted: Iterable[Codec]) -> list[models.Codec]:
    return [models.Codec(mime=mime_type(codec)) for codec in wanted]
