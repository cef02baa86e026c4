"""The channel server without its doors and its media: rooms by name, and who comes in."""

from __future__ import annotations

from collections.abc import Callable

from livekit.protocol import models
from livekit.protocol import rtc as pb
from livekit.protocol.webhook import WebhookEvent

from channel_recorder.sfu import responses
from channel_recorder.sfu.admin import RoomAdmin
from channel_recorder.sfu.contract import (
    Credentials,
    JoinRefusedError,
    JoinRequest,
    PeerFactory,
    SignalSession,
    SignalSink,
)
from channel_recorder.sfu.farewells import Farewells
from channel_recorder.sfu.happenings import Happenings
from channel_recorder.sfu.member import Member, TooLargeError, check_texts
from channel_recorder.sfu.room import Leave, Reason, Room
from channel_recorder.sfu.session import Session
from channel_recorder.sfu.settings import ServerSettings
from channel_recorder.sfu.sids import node_id
from channel_recorder.sfu.surroundings import Surroundings
from channel_recorder.sfu.upkeep import Upkeep

TICK_SECONDS = 0.25


class ChannelServer:
    """Synchronous and for one thread. The driver calls `tick` every `TICK_SECONDS`."""

    def __init__(
        self,
        peers: PeerFactory,
        settings: ServerSettings,
        now: Callable[[], float],
        wall_seconds: Callable[[], float],
        on_event: Callable[[WebhookEvent], None],
        make_token: Callable[[Credentials], str],
    ) -> None:
        """`now`: monotonic seconds; `wall_seconds`: seconds since 1970; `on_event`: a webhook event, unsigned;
        `make_token`: a fresh token for a member, empty for none.
        """
        self._settings = settings
        self._surroundings = Surroundings(
            settings=settings,
            peers=peers,
            happenings=Happenings(on_event, wall_seconds),
            farewells=Farewells(),
            now=now,
            wall_seconds=wall_seconds,
            make_token=make_token,
            node_id=node_id(),
        )
        self._rooms: dict[str, Room] = {}
        self._upkeep: dict[str, Upkeep] = {}
        self._is_closed = False
        self.admin = RoomAdmin(self._rooms, settings, self._open_room, self._delete_room)

    def join(self, request: JoinRequest, sink: SignalSink) -> SignalSession:
        """The JoinResponse is sent before this returns. Raises JoinRefusedError: nothing was sent then."""
        self._check(request)
        if request.reconnect:
            return _turn_back(sink)
        credentials = request.credentials
        room = self._rooms.get(credentials.room)
        if room is None:
            if not (self._settings.auto_create or credentials.grants.room_create):
                raise JoinRefusedError(404, "requested room does not exist")
            room = self._open_room(credentials.room, models.Room())
        member = Member(request, sink, self._surroundings.wall_seconds())
        room.check_space(member)
        session = Session(room, member, request)
        session.enter(request)
        return session

    def tick(self) -> None:
        now = self._surroundings.now()
        self._surroundings.farewells.tick(now)
        for name, room in tuple(self._rooms.items()):
            self._upkeep[name].tick(now)
            if room.is_over(now):
                self._close_room(room, Reason.ROOM_CLOSED, models.RoomEndReason.ROOM_END_IDLE_TIMEOUT)

    def close(self) -> None:
        self._is_closed = True
        for room in tuple(self._rooms.values()):
            self._close_room(room, Reason.SERVER_SHUTDOWN, models.RoomEndReason.ROOM_END_SERVER_SHUTDOWN)
        self._surroundings.farewells.close()

    def _check(self, request: JoinRequest) -> None:
        credentials, limits = request.credentials, self._settings.limits
        if self._is_closed:
            raise JoinRefusedError(503, "the server is shutting down")
        if not credentials.grants.room_join:
            raise JoinRefusedError(401, "the token does not allow to join a room")
        if not 0 < len(credentials.room) <= limits.name_characters:
            raise JoinRefusedError(400, "the room name is missing or too long")
        if not 0 < len(credentials.identity) <= limits.name_characters:
            raise JoinRefusedError(400, "the identity is missing or too long")
        try:
            check_texts(credentials.name, credentials.metadata, credentials.attributes, limits)
        except TooLargeError as error:
            raise JoinRefusedError(400, str(error)) from None

    def _open_room(self, name: str, configuration: models.Room) -> Room:
        if len(self._rooms) >= self._settings.limits.rooms:
            raise JoinRefusedError(503, "the server has no space for another room")
        room = self._rooms[name] = Room(name, self._surroundings, configuration)
        self._upkeep[name] = Upkeep(room, self._surroundings.now())
        return room

    def _delete_room(self, room: Room) -> None:
        self._close_room(room, Reason.ROOM_DELETED, models.RoomEndReason.ROOM_END_API_DELETE)

    def _close_room(self, room: Room, reason: Reason, end_reason: models.RoomEndReason) -> None:
        if self._rooms.get(room.name) is room:
            del self._rooms[room.name], self._upkeep[room.name]
        room.close(reason, end_reason)


class _TurnedBack:
    """A client that wanted to go on where it was. It joins anew, which takes it a few hundred milliseconds."""

    def receive(self, request: pb.SignalRequest) -> None:
        pass

    def disconnected(self) -> None:
        pass


def _turn_back(sink: SignalSink) -> SignalSession:
    sink.send(responses.leave(Reason.STATE_MISMATCH, Leave.RECONNECT))
    sink.close()
    return _TurnedBack()
