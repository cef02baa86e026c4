"""What the server says, as LiveKit messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.model import MediaKind


def leave(reason: models.DisconnectReason, action: pb.LeaveRequest.Action) -> pb.SignalResponse:
    can_reconnect = action != pb.LeaveRequest.DISCONNECT
    return pb.SignalResponse(leave=pb.LeaveRequest(reason=reason, action=action, can_reconnect=can_reconnect))


def participants(infos: Iterable[models.ParticipantInfo]) -> pb.SignalResponse:
    return pb.SignalResponse(update=pb.ParticipantUpdate(participants=infos))


def room_update(room: models.Room) -> pb.SignalResponse:
    return pb.SignalResponse(room_update=pb.RoomUpdate(room=room))


def offer(sdp: str, number: int) -> pb.SignalResponse:
    return pb.SignalResponse(offer=pb.SessionDescription(type="offer", sdp=sdp, id=number))


def answer(sdp: str, number: int, track_ids: Mapping[str, str]) -> pb.SignalResponse:
    description = pb.SessionDescription(type="answer", sdp=sdp, id=number, mid_to_track_id=track_ids)
    return pb.SignalResponse(answer=description)


def sections_required(missing: Mapping[MediaKind, int]) -> pb.SignalResponse:
    requirement = pb.MediaSectionsRequirement(
        num_audios=missing.get(MediaKind.AUDIO, 0), num_videos=missing.get(MediaKind.VIDEO, 0)
    )
    return pb.SignalResponse(media_sections_requirement=requirement)


def track_published(cid: str, info: models.TrackInfo) -> pb.SignalResponse:
    return pb.SignalResponse(track_published=pb.TrackPublishedResponse(cid=cid, track=info))


def track_unpublished(sid: str) -> pb.SignalResponse:
    return pb.SignalResponse(track_unpublished=pb.TrackUnpublishedResponse(track_sid=sid))


def track_subscribed(sid: str) -> pb.SignalResponse:
    return pb.SignalResponse(track_subscribed=pb.TrackSubscribed(track_sid=sid))


def mute(sid: str, muted: bool) -> pb.SignalResponse:
    return pb.SignalResponse(mute=pb.MuteTrackRequest(sid=sid, muted=muted))


def subscription_failed(sid: str, error: models.SubscriptionError) -> pb.SignalResponse:
    return pb.SignalResponse(subscription_response=pb.SubscriptionResponse(track_sid=sid, err=error))


def subscription_permission(publisher_sid: str, sid: str, allowed: bool) -> pb.SignalResponse:
    update = pb.SubscriptionPermissionUpdate(participant_sid=publisher_sid, track_sid=sid, allowed=allowed)
    return pb.SignalResponse(subscription_permission_update=update)


def speakers(infos: Iterable[models.SpeakerInfo]) -> pb.SignalResponse:
    return pb.SignalResponse(speakers_changed=pb.SpeakersChanged(speakers=infos))


def qualities(infos: Iterable[pb.ConnectionQualityInfo]) -> pb.SignalResponse:
    return pb.SignalResponse(connection_quality=pb.ConnectionQualityUpdate(updates=infos))


def refused_track(request: pb.AddTrackRequest, reason: pb.RequestResponse.Reason, message: str) -> pb.SignalResponse:
    """Clients find the publication that failed by `cid`; the rest of what may be a large request stays here."""
    echo = pb.AddTrackRequest(cid=request.cid, type=request.type, source=request.source)
    return pb.SignalResponse(request_response=pb.RequestResponse(reason=reason, message=message, add_track=echo))


def metadata_answer(request_id: int, reason: pb.RequestResponse.Reason, message: str) -> pb.SignalResponse:
    response = pb.RequestResponse(
        request_id=request_id,
        reason=reason,
        message=message,
        update_metadata=pb.UpdateParticipantMetadata(request_id=request_id),
    )
    return pb.SignalResponse(request_response=response)


def unsupported(request_id: int = 0) -> pb.SignalResponse:
    response = pb.RequestResponse(
        request_id=request_id,
        reason=pb.RequestResponse.UNSUPPORTED_TYPE,
        message="this server has no data tracks and no data blobs",
    )
    return pb.SignalResponse(request_response=response)
