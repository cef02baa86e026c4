"""Signalling messages made and read: protobuf on one side, our values on the other. No state."""

from __future__ import annotations

import json
from enum import Enum
from typing import cast

from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.channel.signal_events import CandidateReceived, IceServersReceived
from channel_recorder.events import Disconnected, Joined, RoomUpdated
from channel_recorder.model import IceServer
from channel_recorder.protocol.messages import leave_reason_from, leave_reason_name


class VideoLayer(Enum):
    """Which layer of a simulcast the server sends."""

    LOW = models.VideoQuality.LOW
    MEDIUM = models.VideoQuality.MEDIUM
    HIGH = models.VideoQuality.HIGH


def answer_request(sdp: str, offer_id: int) -> pb.SignalRequest:
    return pb.SignalRequest(answer=pb.SessionDescription(type="answer", sdp=sdp, id=offer_id))


def candidate_request(candidate: str, mid: str, m_line_index: int) -> pb.SignalRequest:
    init = json.dumps({"candidate": candidate, "sdpMid": mid, "sdpMLineIndex": m_line_index})
    return pb.SignalRequest(trickle=pb.TrickleRequest(candidateInit=init, target=pb.SignalTarget.SUBSCRIBER))


def subscription_request(track_sids: list[str], wanted: bool) -> pb.SignalRequest:
    return pb.SignalRequest(subscription=pb.UpdateSubscription(track_sids=track_sids, subscribe=wanted))


def settings_request(track_sids: list[str], layer: VideoLayer, disabled: bool) -> pb.SignalRequest:
    """The layer is always said: protobuf takes none for LOW."""
    settings = pb.UpdateTrackSettings(track_sids=track_sids, quality=layer.value, disabled=disabled)
    return pb.SignalRequest(track_setting=settings)


def leave_request() -> pb.SignalRequest:
    reason = models.DisconnectReason.CLIENT_INITIATED
    return pb.SignalRequest(leave=pb.LeaveRequest(reason=reason, action=pb.LeaveRequest.Action.DISCONNECT))


def joined_from(join: pb.JoinResponse) -> Joined:
    return Joined(
        room_sid=join.room.sid,
        room_name=join.room.name,
        identity=join.participant.identity,
        participant_sid=join.participant.sid,
        server_version=join.server_info.version or join.server_version,
        server_region=join.server_info.region or join.server_region,
        server_trailer=join.sif_trailer,
    )


def ice_servers_from(join: pb.JoinResponse) -> IceServersReceived:
    servers = (
        IceServer(urls=tuple(server.urls), username=server.username, credential=server.credential)
        for server in join.ice_servers
    )
    return IceServersReceived(servers=tuple(servers))


def room_from(room: models.Room) -> RoomUpdated:
    return RoomUpdated(
        metadata=room.metadata, active_recording=room.active_recording, participant_count=room.num_participants
    )


def candidate_from(trickle: pb.TrickleRequest) -> CandidateReceived | None:
    """None for one of the publishing connection, an end-of-candidates, or nonsense."""
    if trickle.target != pb.SignalTarget.SUBSCRIBER:
        return None
    try:
        init: object = json.loads(trickle.candidateInit)
    except (ValueError, RecursionError):
        return None
    if not isinstance(init, dict):
        return None
    fields = cast("dict[str, object]", init)
    candidate, mid, index = fields.get("candidate"), fields.get("sdpMid"), fields.get("sdpMLineIndex")
    if not isinstance(candidate, str) or not candidate:
        return None
    return CandidateReceived(
        candidate=candidate,
        mid=mid if isinstance(mid, str) else "",
        m_line_index=index if isinstance(index, int) else 0,
    )


def disconnected_from(leave: pb.LeaveRequest) -> Disconnected:
    """The detail holds the server's own words: reason and action."""
    actions = pb.LeaveRequest.Action.DESCRIPTOR.values_by_number
    action = actions[leave.action].name if leave.action in actions else f"action {leave.action}"
    return Disconnected(
        reason=leave_reason_from(leave.reason),
        detail=f"{leave_reason_name(leave.reason)}, {action}",
        wanted_back=leave.can_reconnect or leave.action != pb.LeaveRequest.Action.DISCONNECT,
    )


def subscription_error(error: int) -> str:
    texts: dict[int, str] = {
        models.SubscriptionError.SE_CODEC_UNSUPPORTED: "its codec is not supported",
        models.SubscriptionError.SE_TRACK_NOTFOUND: "there is no such track",
    }
    return texts.get(error, "the server gives no reason")
