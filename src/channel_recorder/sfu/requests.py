"""What clients ask of the server, by kind of SignalRequest. Whatever they ask, nothing raises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.errors import ProtocolError, StateError
from channel_recorder.sfu import responses
from channel_recorder.sfu.member import TooLargeError
from channel_recorder.sfu.publishing import TrackRefusedError
from channel_recorder.sfu.room import Leave, Reason, Room
from channel_recorder.sfu.seat import Seat
from channel_recorder.sfu.tracks import MAX_FEATURES

MAX_TRACKS_PER_REQUEST = 5000
MIN_PROTOCOL_OK_RESPONSE = 14
"""Older clients take any response to a request for a refusal."""
_LEAVE_REASONS = frozenset({Reason.USER_UNAVAILABLE, Reason.USER_REJECTED, Reason.AGENT_ERROR})
"""What clients may say of their leaving."""


class Requests:
    """Of one seat."""

    def __init__(self, room: Room, seat: Seat) -> None:
        self._room = room
        self._seat = seat

    def handle(self, request: pb.SignalRequest) -> None:
        handler = _HANDLERS.get(request.WhichOneof("message") or "")
        if handler is not None:
            handler(self, request)

    def offer(self, offer: pb.SessionDescription) -> None:
        try:
            self._seat.media.answer(offer)
        except ProtocolError:
            self._room.remove(self._seat, Reason.STATE_MISMATCH, Leave.DISCONNECT)
            return
        except StateError:
            self._room.remove(self._seat, Reason.CONNECTION_TIMEOUT, Leave.RECONNECT)
            return
        self._room.match_tracks(self._seat)
        self._room.news.renegotiate(self._seat)

    def answer(self, answer: pb.SessionDescription) -> None:
        try:
            self._seat.media.accept_answer(answer)
        except ProtocolError:
            self._room.remove(self._seat, Reason.STATE_MISMATCH, Leave.DISCONNECT)
            return
        self._room.news.renegotiate(self._seat)

    def trickle(self, trickle: pb.TrickleRequest) -> None:
        self._seat.media.add_candidate(trickle)

    def add_track(self, request: pb.AddTrackRequest) -> None:
        seat = self._seat
        try:
            info = seat.publishing.announce(request, seat.member.permission, self._room.surroundings.now())
        except TrackRefusedError as refusal:
            seat.member.send(responses.refused_track(request, refusal.reason, refusal.message))
            return
        seat.member.send(responses.track_published(request.cid, info))
        self._room.match_tracks(seat)

    def mute(self, request: pb.MuteTrackRequest) -> None:
        info = self._seat.publishing.description(request.sid)
        if info is not None:
            self._room.set_muted(self._seat, info, request.muted)

    def subscription(self, request: pb.UpdateSubscription) -> None:
        self.subscribe(request.track_sids, request.participant_tracks, request.subscribe)

    def subscribe(
        self, track_sids: Iterable[str], participant_tracks: Iterable[models.ParticipantTracks], wanted: bool
    ) -> None:
        sids = [*track_sids, *(sid for tracks in participant_tracks for sid in tracks.track_sids)]
        for sid in islice(dict.fromkeys(sids), MAX_TRACKS_PER_REQUEST):
            if wanted:
                self._subscribe(sid)
            else:
                self._room.unsubscribe(self._seat, sid)

    def track_setting(self, settings: pb.UpdateTrackSettings) -> None:
        self._seat.subscriptions.configure(settings)

    def subscription_permission(self, permission: pb.SubscriptionPermission) -> None:
        if self._seat.publishing.rules.set(permission):
            self._room.review_rules(self._seat)

    def leave(self, leave: pb.LeaveRequest) -> None:
        reason = leave.reason if leave.reason in _LEAVE_REASONS else Reason.CLIENT_INITIATED
        self._room.remove(self._seat, reason)

    def ping(self, _: int) -> None:
        self._seat.member.send(pb.SignalResponse(pong=self._wall_milliseconds()))

    def ping_req(self, ping: pb.Ping) -> None:
        pong = pb.Pong(last_ping_timestamp=ping.timestamp, timestamp=self._wall_milliseconds())
        self._seat.member.send(pb.SignalResponse(pong_resp=pong))

    def update_metadata(self, request: pb.UpdateParticipantMetadata) -> None:
        member = self._seat.member
        reason, message = self._try_metadata(request)
        if reason != pb.RequestResponse.OK or member.protocol >= MIN_PROTOCOL_OK_RESPONSE:
            member.send(responses.metadata_answer(request.request_id, reason, message))

    def update_audio_track(self, request: pb.UpdateLocalAudioTrack) -> None:
        info = self._seat.publishing.description(request.track_sid)
        if info is not None:
            del info.audio_features[:]
            info.audio_features.extend(request.features[:MAX_FEATURES])
            self._room.news.change(self._seat)

    def update_video_track(self, request: pb.UpdateLocalVideoTrack) -> None:
        info = self._seat.publishing.description(request.track_sid)
        if info is not None:
            info.width, info.height = request.width, request.height
            self._room.news.change(self._seat)

    def simulate(self, scenario: pb.SimulateScenario) -> None:
        """Clients test themselves: what ends in a reconnect does."""
        match scenario.WhichOneof("scenario"):
            case "server_leave":
                self._room.remove(self._seat, Reason.SERVER_SHUTDOWN, Leave.DISCONNECT)
            case "node_failure" | "migration" | "switch_candidate_protocol" | "leave_request_full_reconnect":
                self._room.remove(self._seat, Reason.STATE_MISMATCH, Leave.RECONNECT)
            case _:
                pass

    def unsupported(self, request_id: int) -> None:
        self._seat.member.send(responses.unsupported(request_id))

    def _subscribe(self, sid: str) -> None:
        track = self._room.tracks.get(sid)
        if track is None and self._room.is_announced(sid):
            self._seat.subscriptions.expect(sid)
        elif track is None or track.publisher_sid == self._seat.sid:
            error = models.SubscriptionError.SE_TRACK_NOTFOUND
            self._seat.member.send(responses.subscription_failed(sid, error))
        else:
            self._room.subscribe(self._seat, track)

    def _try_metadata(self, request: pb.UpdateParticipantMetadata) -> tuple[pb.RequestResponse.Reason, str]:
        member = self._seat.member
        if not member.permission.can_update_metadata:
            return pb.RequestResponse.NOT_ALLOWED, "does not have permission to update own metadata"
        try:
            limits = self._room.surroundings.settings.limits
            member.update(request.name, request.metadata, request.attributes, limits)
        except TooLargeError as error:
            return pb.RequestResponse.LIMIT_EXCEEDED, str(error)
        self._room.news.change(self._seat, to_self=True)
        return pb.RequestResponse.OK, ""

    def _wall_milliseconds(self) -> int:
        return int(self._room.surroundings.wall_seconds() * 1000)


_HANDLERS: Mapping[str, Callable[[Requests, pb.SignalRequest], None]] = {
    "offer": lambda desk, request: desk.offer(request.offer),
    "answer": lambda desk, request: desk.answer(request.answer),
    "trickle": lambda desk, request: desk.trickle(request.trickle),
    "add_track": lambda desk, request: desk.add_track(request.add_track),
    "mute": lambda desk, request: desk.mute(request.mute),
    "subscription": lambda desk, request: desk.subscription(request.subscription),
    "track_setting": lambda desk, request: desk.track_setting(request.track_setting),
    "subscription_permission": lambda desk, request: desk.subscription_permission(request.subscription_permission),
    "leave": lambda desk, request: desk.leave(request.leave),
    "ping": lambda desk, request: desk.ping(request.ping),
    "ping_req": lambda desk, request: desk.ping_req(request.ping_req),
    "update_metadata": lambda desk, request: desk.update_metadata(request.update_metadata),
    "update_audio_track": lambda desk, request: desk.update_audio_track(request.update_audio_track),
    "update_video_track": lambda desk, request: desk.update_video_track(request.update_video_track),
    "simulate": lambda desk, request: desk.simulate(request.simulate),
    "publish_data_track_request": lambda desk, _: desk.unsupported(0),
    "store_data_blob_request": lambda desk, request: desk.unsupported(request.store_data_blob_request.request_id),
    "get_data_blob_request": lambda desk, request: desk.unsupported(request.get_data_blob_request.request_id),
}
"""Others (update_layers, sync_state, ...) are accepted and change nothing here."""
