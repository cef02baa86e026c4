"""One client's connection to its seat: what comes by its WebSocket and its peer connections."""

from __future__ import annotations

from livekit.protocol import rtc as pb

from channel_recorder.model import MediaKind
from channel_recorder.rtc.serve.contract import IncomingTrack, PublishOptions
from channel_recorder.sfu.contract import JoinRequest
from channel_recorder.sfu.data import sign
from channel_recorder.sfu.joining import is_subscriber_primary
from channel_recorder.sfu.media import MediaLink
from channel_recorder.sfu.member import Member
from channel_recorder.sfu.requests import Requests
from channel_recorder.sfu.room import Leave, Reason, Room
from channel_recorder.sfu.seat import Seat


class Session:
    """Implements `contract.SignalSession` and `media.MediaOwner`."""

    def __init__(self, room: Room, member: Member, request: JoinRequest) -> None:
        surroundings = room.surroundings
        media = MediaLink(
            surroundings.peers,
            self,
            member.send,
            single_peer=request.single_peer,
            subscriber_primary=is_subscriber_primary(member, single_peer=request.single_peer),
        )
        self.seat = Seat(
            member,
            media,
            auto_subscribe=request.auto_subscribe,
            limits=surroundings.settings.limits,
            now_seconds=surroundings.now(),
        )
        self._room = room
        self._now = surroundings.now
        self._requests = Requests(room, self.seat)
        self._is_busy = False

    def enter(self, request: JoinRequest) -> None:
        """Joined, announced and answered, in this order."""
        self._is_busy = True
        self._room.enter(self.seat, single_peer=request.single_peer)
        for track in request.add_tracks:
            self._requests.add_track(track)
        if request.publisher_offer is not None and not self.seat.has_left:
            self._requests.offer(request.publisher_offer)
        self._is_busy = False
        self._room.news.flush()

    # SignalSession

    def receive(self, request: pb.SignalRequest) -> None:
        seat = self.seat
        if seat.has_left:
            return
        now = seat.heard_seconds = self._now()
        self._is_busy = True
        if seat.requests.allows(1, now):
            self._requests.handle(request)
        else:
            self._room.remove(seat, Reason.PARTICIPANT_REMOVED, Leave.DISCONNECT)
        self._is_busy = False
        self._room.news.flush()

    def disconnected(self) -> None:
        seat = self.seat
        if seat.has_left or not seat.member.has_signal:
            return
        seat.member.drop_signal()
        seat.signal_lost_seconds = self._now()
        if not seat.is_active or seat.media_closed_seconds is not None:
            self._room.remove(seat, Reason.SIGNAL_CLOSE)
            self._flush()

    # MediaOwner

    def publish_options(self, kind: MediaKind, track_id: str) -> PublishOptions:
        return self.seat.publishing.options(kind, track_id, self.seat.member.permission)

    def on_incoming_track(self, track: IncomingTrack) -> None:
        """Published when the answer is out, so that nothing is asked of the peer connection in the middle of it."""
        if not self.seat.has_left:
            self.seat.publishing.offer(track, self._now())

    def on_incoming_track_ended(self, track: IncomingTrack) -> None:
        ended = self.seat.publishing.end(track)
        if ended is not None:
            self._room.end_track(self.seat, ended)
            self._flush()

    def on_data(self, label: str, payload: bytes) -> None:
        seat = self.seat
        member = seat.member
        if seat.has_left:
            return
        packet = seat.data.read(label, payload, self._now())
        if seat.data.is_flooding:
            self._room.remove(seat, Reason.PARTICIPANT_REMOVED, Leave.DISCONNECT)
            self._flush()
        elif packet is not None and member.permission.can_publish_data:
            sign(packet, *(("", "") if member.is_hidden else (member.identity, member.sid)))
            self._room.send_data(packet, seat)

    def on_media_connected(self) -> None:
        self._room.activate(self.seat)
        self._flush()

    def on_media_failed(self, detail: str) -> None:
        self._room.remove(self.seat, Reason.CONNECTION_TIMEOUT, Leave.RECONNECT)
        self._flush()

    def on_media_closed(self) -> None:
        if self.seat.member.has_signal:
            self.seat.media_closed_seconds = self._now()
        else:
            self._room.remove(self.seat, Reason.SIGNAL_CLOSE)
            self._flush()

    def _flush(self) -> None:
        """Unless the client is being heard: what it said is answered first."""
        if not self._is_busy:
            self._room.news.flush()
