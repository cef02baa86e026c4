"""A room: who is in it, what they publish, and who gets it.

What changed is noted in `news`. Whoever calls a room flushes them when all is done: the others read of a track before
they are offered it, and several changes make one offer. Each change costs one message per member.
"""

from __future__ import annotations

from collections.abc import Iterable

from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.rtc.serve.contract import RELIABLE_LABEL
from channel_recorder.sfu import responses
from channel_recorder.sfu.contract import JoinRefusedError
from channel_recorder.sfu.data import LABELS, Destinations
from channel_recorder.sfu.joining import codecs, join_response
from channel_recorder.sfu.member import Member
from channel_recorder.sfu.news import News
from channel_recorder.sfu.quality import Qualities
from channel_recorder.sfu.seat import Seat
from channel_recorder.sfu.sids import room_sid
from channel_recorder.sfu.speakers import Speakers
from channel_recorder.sfu.surroundings import Surroundings
from channel_recorder.sfu.tracks import PublishedTrack

Leave = pb.LeaveRequest
Reason = models.DisconnectReason


class Room:
    def __init__(self, name: str, surroundings: Surroundings, configuration: models.Room) -> None:
        """`configuration`: time-outs, max_participants and metadata; zero time-outs: as the settings say."""
        settings = surroundings.settings
        wall_seconds = surroundings.wall_seconds()
        self.name = name
        self.seats: dict[str, Seat] = {}
        """By identity."""
        self.tracks: dict[str, PublishedTrack] = {}
        """Of all members, by track sid."""
        self.surroundings = surroundings
        self.speakers = Speakers()
        self.qualities = Qualities()
        self.is_closed = False
        self._facts = models.Room(
            sid=room_sid(),
            name=name,
            creation_time=int(wall_seconds),
            creation_time_ms=int(wall_seconds * 1000),
            empty_timeout=configuration.empty_timeout or settings.empty_timeout_seconds,
            departure_timeout=configuration.departure_timeout or settings.departure_timeout_seconds,
            max_participants=configuration.max_participants or settings.max_participants,
            metadata=configuration.metadata,
            enabled_codecs=codecs(settings.codecs),
        )
        self._alone_since_seconds: float | None = surroundings.now()
        """Since when nobody is there whom a room is kept for."""
        self._had_members = False
        self.news = News(self.seats, self.describe, surroundings.now)
        surroundings.happenings.room_started(self.describe())

    # The room itself

    def describe(self) -> models.Room:
        room = models.Room()
        room.CopyFrom(self._facts)
        room.num_participants = sum(not seat.member.is_dependent for seat in self.seats.values())
        room.num_publishers = sum(bool(seat.publishing.tracks) for seat in self.seats.values())
        room.active_recording = self._is_recorded()
        return room

    def configure(self, configuration: models.Room) -> None:
        """What is given anew; zero and empty stay as they are."""
        facts = self._facts
        facts.empty_timeout = configuration.empty_timeout or facts.empty_timeout
        facts.departure_timeout = configuration.departure_timeout or facts.departure_timeout
        facts.max_participants = configuration.max_participants or facts.max_participants
        if configuration.metadata:
            self.set_metadata(configuration.metadata)

    def set_metadata(self, metadata: str) -> None:
        self._facts.metadata = metadata
        self.news.announce_room()

    def is_over(self, now_seconds: float) -> bool:
        """Nobody came, or everybody has left, long enough ago."""
        if self._alone_since_seconds is None:
            return False
        patience = self._facts.departure_timeout if self._had_members else self._facts.empty_timeout
        return now_seconds - self._alone_since_seconds >= patience

    def close(self, reason: Reason, end_reason: models.RoomEndReason) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        for seat in tuple(self.seats.values()):
            self.remove(seat, reason, Leave.DISCONNECT)
        self.news.forget()
        self.surroundings.happenings.room_finished(self.describe(), end_reason)

    # Coming and going

    def check_space(self, member: Member) -> None:
        """Raises JoinRefusedError. Who replaces an own older seat takes no further space."""
        others = [other for other in self.seats.values() if other.identity != member.identity]
        if len(others) >= self.surroundings.settings.limits.members_per_room:
            raise JoinRefusedError(503, "the room is full")
        limit = self._facts.max_participants
        people = sum(not other.member.is_dependent for other in others)
        if limit and people >= limit and not member.is_dependent:
            raise JoinRefusedError(503, "the room is full")

    def enter(self, seat: Seat, *, single_peer: bool) -> None:
        """The newcomer hears of the room, the others of the newcomer."""
        older = self.seats.get(seat.identity)
        was_recorded = self._is_recorded()
        if older is not None:
            self.remove(older, Reason.DUPLICATE_IDENTITY, Leave.DISCONNECT, was_replaced=True)
        self.news.tell_changes()
        others = [other.info() for other in self.seats.values() if not other.member.is_hidden]
        self.seats[seat.identity] = seat
        seat.member.state = models.ParticipantInfo.JOINED
        if not seat.member.is_dependent:
            self._alone_since_seconds = None
            self._had_members = True
        self._send_join(seat, others, single_peer=single_peer, was_recorded=was_recorded)
        self.news.change(seat)
        self._note_recording(was_recorded)
        if seat.auto_subscribe:
            for track in tuple(self.tracks.values()):
                self.subscribe(seat, track)
        self.news.renegotiate(seat)

    def activate(self, seat: Seat) -> None:
        """Media can flow."""
        if seat.has_left or seat.is_active:
            return
        seat.is_active = True
        seat.member.state = models.ParticipantInfo.ACTIVE
        self.news.change(seat)
        self.surroundings.happenings.participant_joined(self.describe(), seat.info())

    def remove(
        self, seat: Seat, reason: Reason, action: Leave.Action | None = None, *, was_replaced: bool = False
    ) -> None:
        """`action`: what the client is told to do; None: it knows."""
        if seat.has_left:
            return
        was_recorded = self._is_recorded()
        seat.has_left = True
        del self.seats[seat.identity]
        self.speakers.forget(seat.sid)
        for track in tuple(seat.publishing.tracks.values()):
            self._forget_track(seat, track)
        seat.publishing.clear()
        seat.subscriptions.clear()
        self._say_goodbye(seat, None if action is None else responses.leave(reason, action))
        self._tell_of_leave(seat, reason, was_replaced=was_replaced)
        self._note_recording(was_recorded)
        if not any(not other.member.is_dependent for other in self.seats.values()):
            self._be_alone()

    # What members publish

    def match_tracks(self, seat: Seat) -> None:
        """AddTrack and m-line may have met."""
        for track in seat.publishing.match(self.surroundings.now()):
            if seat.has_left:
                return
            self.tracks[track.sid] = track
            self.news.change(seat)
            self.surroundings.happenings.track_published(self.describe(), seat.info(), track.info)
            for other in tuple(self.seats.values()):
                if other is not seat and (other.auto_subscribe or other.subscriptions.expects(track.sid)):
                    self.subscribe(other, track)

    def is_announced(self, track_sid: str) -> bool:
        """Its publisher knows the track's sid already, and may have told others."""
        return any(seat.publishing.description(track_sid) is not None for seat in self.seats.values())

    def end_track(self, seat: Seat, track: PublishedTrack) -> None:
        """Published no more, as `seat.publishing` knows already."""
        self._forget_track(seat, track)
        self.news.change(seat)

    def set_muted(self, seat: Seat, info: models.TrackInfo, muted: bool) -> None:
        if info.muted == muted:
            return
        info.muted = muted
        for other in tuple(self.seats.values()):
            other.subscriptions.apply(info.sid)
        self.news.change(seat, to_self=True)

    def set_permission(self, seat: Seat, permission: models.ParticipantPermission) -> None:
        seat.member.permission = permission
        for track in seat.publishing.withdraw_forbidden(permission):
            seat.member.send(responses.track_unpublished(track.sid))
            self._forget_track(seat, track)
        seat.subscriptions.allow(permission.can_subscribe, tuple(self.tracks.values()))
        if permission.can_subscribe and seat.auto_subscribe:
            for track in tuple(self.tracks.values()):
                self.subscribe(seat, track)
        self.news.renegotiate(seat)
        self.news.change(seat, to_self=True)

    # Who gets it

    def subscribe(self, seat: Seat, track: PublishedTrack) -> None:
        if track.publisher_sid == seat.sid:
            return
        seat.subscriptions.add(track)
        self._begin(seat, track)

    def unsubscribe(self, seat: Seat, track_sid: str) -> None:
        if seat.subscriptions.drop(track_sid):
            self.news.renegotiate(seat)

    def review_rules(self, publisher: Seat) -> None:
        """`publisher` lets others have its tracks, or not any more."""
        for track in tuple(publisher.publishing.tracks.values()):
            for seat in tuple(self.seats.values()):
                if not seat.subscriptions.review(track):
                    continue
                allowed = track.sid in seat.subscriptions
                seat.member.send(responses.subscription_permission(publisher.sid, track.sid, allowed))
                self.news.renegotiate(seat)
                self._begin(seat, track)

    def send_data(self, packet: models.DataPacket, sender: Seat | None) -> None:
        """On the sender's kind of channel, to those it is for, never back."""
        label = LABELS.get(packet.kind, RELIABLE_LABEL)
        destinations = Destinations(packet)
        payload = packet.SerializeToString()
        for seat in tuple(self.seats.values()):
            if seat is not sender and destinations.include(seat.identity, seat.sid):
                seat.media.send_data(label, payload)

    # Telling

    def send_token(self, seat: Seat) -> None:
        """Clients come back with the newest one."""
        seat.token_seconds = self.surroundings.now()
        token = self.surroundings.make_token(seat.member.credentials)
        if token:
            seat.member.send(pb.SignalResponse(refresh_token=token))

    def _say_goodbye(self, seat: Seat, leave: pb.SignalResponse | None) -> None:
        is_told = leave is not None and seat.member.has_signal
        seat.member.close_signal(leave)
        if is_told:
            self.surroundings.farewells.add(seat.media, self.surroundings.now())
        else:
            seat.media.close()

    def _be_alone(self) -> None:
        if self._alone_since_seconds is None:
            self._alone_since_seconds = self.surroundings.now()

    def _send_join(
        self, seat: Seat, others: Iterable[models.ParticipantInfo], *, single_peer: bool, was_recorded: bool
    ) -> None:
        room = self.describe()
        # That it is recorded is news to everybody, to the recorder too: a RoomUpdate follows.
        room.active_recording = was_recorded
        response = join_response(
            room,
            seat.member,
            seat.info(),
            others,
            single_peer=single_peer,
            settings=self.surroundings.settings,
            node_id=self.surroundings.node_id,
        )
        seat.member.send(response)
        self.send_token(seat)
        speaking = self.speakers.current()
        if speaking:
            seat.member.send(responses.speakers(speaking))
        qualities = self.qualities.current()
        if qualities:
            seat.member.send(responses.qualities(qualities))

    def _tell_of_leave(self, seat: Seat, reason: Reason, *, was_replaced: bool) -> None:
        member = seat.member
        member.state = models.ParticipantInfo.DISCONNECTED
        member.leave_reason = reason
        self.news.change(seat, was_replaced=was_replaced)
        self.surroundings.happenings.participant_left(self.describe(), seat.info(), was_active=seat.is_active)

    def _begin(self, seat: Seat, track: PublishedTrack) -> None:
        if track.sid not in seat.subscriptions:
            return
        self.news.renegotiate(seat)
        if not seat.member.is_hidden:
            track.has_subscriber = True

    def _forget_track(self, seat: Seat, track: PublishedTrack) -> None:
        self.tracks.pop(track.sid, None)
        for other in tuple(self.seats.values()):
            if other.subscriptions.drop(track.sid):
                self.news.renegotiate(other)
        seat.publishing.tracks.pop(track.sid, None)
        seat.member.touch()
        self.surroundings.happenings.track_unpublished(self.describe(), seat.info(), track.info)

    def _note_recording(self, was_recorded: bool) -> None:
        """Everybody is told at once when a recording begins or ends."""
        if was_recorded != self._is_recorded():
            self.news.announce_room()

    def _is_recorded(self) -> bool:
        return any(seat.member.is_recorder for seat in self.seats.values())
