"""What a room does from time to time: who speaks, how well, who is gone without a word."""

from __future__ import annotations

from livekit.protocol import rtc as pb

from channel_recorder.sfu import quality, responses, speakers
from channel_recorder.sfu.room import Reason, Room
from channel_recorder.sfu.seat import Seat

Leave = pb.LeaveRequest
ROOM_UPDATE_SECONDS = 1.0
MEDIA_CLOSED_GRACE_SECONDS = 1.0
"""A client that leaves closes its connections too, and that may be seen first."""


class Upkeep:
    def __init__(self, room: Room, now_seconds: float) -> None:
        self._room = room
        self._settings = room.surroundings.settings
        self._next_speakers_seconds = now_seconds
        self._next_quality_seconds = now_seconds + quality.UPDATE_SECONDS
        self._next_room_seconds = now_seconds
        self._told_counts = (0, 0)

    def tick(self, now_seconds: float) -> None:
        for seat in tuple(self._room.seats.values()):
            self._look_after(seat, now_seconds)
        if now_seconds >= self._next_speakers_seconds:
            self._next_speakers_seconds = now_seconds + speakers.UPDATE_SECONDS
            self._tell_speakers()
        if now_seconds >= self._next_quality_seconds:
            self._next_quality_seconds = now_seconds + quality.UPDATE_SECONDS
            self._tell_qualities()
        if now_seconds >= self._next_room_seconds:
            self._next_room_seconds = now_seconds + ROOM_UPDATE_SECONDS
            self._tell_counts()
        self._room.news.flush()

    def _look_after(self, seat: Seat, now_seconds: float) -> None:
        why = self._why_to_remove(seat, now_seconds)
        if why is not None:
            self._room.remove(seat, *why)
            return
        if now_seconds - seat.token_seconds >= self._settings.token_refresh_seconds:
            self._room.send_token(seat)
        for sid in seat.publishing.expire(now_seconds):
            seat.member.send(responses.track_unpublished(sid))
        self._room.match_tracks(seat)
        for track in seat.publishing.tracks.values():
            if track.notice_subscriber():
                seat.member.send(responses.track_subscribed(track.sid))
        if sum(track.notice_codec() for track in seat.publishing.tracks.values()):
            self._room.news.change(seat, to_self=True)
        if seat.media.waits_for_offer:
            self._room.news.renegotiate(seat)

    def _why_to_remove(self, seat: Seat, now_seconds: float) -> tuple[Reason, Leave.Action | None] | None:
        settings = self._settings
        if _is_over(seat.signal_lost_seconds, now_seconds, settings.signal_grace_seconds):
            return Reason.SIGNAL_CLOSE, None
        if seat.member.has_signal and now_seconds - seat.heard_seconds > settings.ping_timeout_seconds:
            return Reason.SIGNAL_CLOSE, Leave.RECONNECT
        if _is_over(seat.media_closed_seconds, now_seconds, MEDIA_CLOSED_GRACE_SECONDS):
            return Reason.CONNECTION_TIMEOUT, Leave.RECONNECT
        if seat.media.is_answer_overdue(now_seconds, settings.answer_timeout_seconds):
            return Reason.CONNECTION_TIMEOUT, Leave.RECONNECT
        if not seat.is_active and now_seconds - seat.joined_seconds > settings.connect_timeout_seconds:
            return Reason.JOIN_FAILURE, Leave.DISCONNECT
        return None

    def _tell_speakers(self) -> None:
        levels = {seat.sid: seat.level() for seat in self._room.seats.values()}
        changes = self._room.speakers.update({sid: level for sid, level in levels.items() if level is not None})
        if changes:
            self._room.news.broadcast(responses.speakers(changes))

    def _tell_qualities(self) -> None:
        seats = [seat for seat in self._room.seats.values() if seat.is_active]
        ranks = {seat.sid: quality.rank_of(seat.media.figures()) for seat in seats if not seat.member.is_hidden}
        changes = self._room.qualities.update(ranks)
        if changes:
            self._room.news.broadcast(responses.qualities(changes))

    def _tell_counts(self) -> None:
        room = self._room.describe()
        counts = (room.num_participants, room.num_publishers)
        if counts != self._told_counts:
            self._told_counts = counts
            self._room.news.announce_room()


def _is_over(since_seconds: float | None, now_seconds: float, patience_seconds: float) -> bool:
    return since_seconds is not None and now_seconds - since_seconds > patience_seconds
