"""Messages as a server makes them."""

from __future__ import annotations

from typing import Any

from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.channel.signal_events import SignalEvent
from channel_recorder.channel.signalling import Signalling

OWN_SID = "PA_self"
OWN_IDENTITY = "1001"


def audio(sid: str, **fields: Any) -> models.TrackInfo:
    return models.TrackInfo(sid=sid, type=models.TrackType.AUDIO, source=models.TrackSource.MICROPHONE, **fields)


def video(sid: str, **fields: Any) -> models.TrackInfo:
    return models.TrackInfo(sid=sid, type=models.TrackType.VIDEO, source=models.TrackSource.CAMERA, **fields)


def member(
    identity: str, *tracks: models.TrackInfo, sid: str = "", version: int = 1, **fields: Any
) -> models.ParticipantInfo:
    return models.ParticipantInfo(
        sid=sid or f"PA_{identity}",
        identity=identity,
        tracks=tracks,
        version=version,
        state=fields.pop("state", models.ParticipantInfo.ACTIVE),
        **fields,
    )


def gone(identity: str, *, sid: str = "", version: int = 99, **fields: Any) -> models.ParticipantInfo:
    return member(identity, sid=sid, version=version, state=models.ParticipantInfo.DISCONNECTED, **fields)


def join(*others: models.ParticipantInfo, **fields: Any) -> bytes:
    own = models.ParticipantInfo(sid=OWN_SID, identity=OWN_IDENTITY)
    settings: dict[str, Any] = {
        "room": models.Room(sid="RM_1", name="lesson-7", active_recording=True),
        "participant": own,
        "other_participants": others,
        "server_info": models.ServerInfo(version="1.13.5", region="eu"),
        "ping_interval": 5,
        "ping_timeout": 15,
    }
    return pb.SignalResponse(join=pb.JoinResponse(**settings | fields)).SerializeToString()


def update(*participants: models.ParticipantInfo) -> bytes:
    return pb.SignalResponse(update=pb.ParticipantUpdate(participants=participants)).SerializeToString()


def offer(*track_sids: str, offer_id: int = 1) -> bytes:
    lines = [f"a=msid:PA_x|camera {sid}\r\n" for sid in track_sids]
    description = pb.SessionDescription(type="offer", sdp="v=0\r\n" + "".join(lines), id=offer_id)
    return pb.SignalResponse(offer=description).SerializeToString()


def response(**message: Any) -> bytes:
    return pb.SignalResponse(**message).SerializeToString()


def leave(reason: models.DisconnectReason, action: Any = pb.LeaveRequest.Action.DISCONNECT) -> bytes:
    return response(leave=pb.LeaveRequest(reason=reason, action=action))


def events(signalling: Signalling) -> list[SignalEvent]:
    drained: list[SignalEvent] = []
    while (event := signalling.next_event()) is not None:
        drained.append(event)
    return drained


def sent(signalling: Signalling) -> list[pb.SignalRequest]:
    return [pb.SignalRequest.FromString(message) for message in signalling.messages_to_send()]


def joined(*others: models.ParticipantInfo, now_seconds: float = 0.0) -> Signalling:
    """After the join, its events drained."""
    signalling = Signalling()
    signalling.receive(join(*others), now_seconds)
    events(signalling)
    return signalling
