"""What LiveKit's RoomService asks of the rooms. Who may ask is for the doors to check."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from livekit.protocol import models
from livekit.protocol import room as pb

from channel_recorder.sfu import responses
from channel_recorder.sfu.contract import AdminError, JoinRefusedError
from channel_recorder.sfu.data import LABELS, sign
from channel_recorder.sfu.member import TooLargeError, check_texts
from channel_recorder.sfu.permissions import changed_permission
from channel_recorder.sfu.requests import Requests
from channel_recorder.sfu.room import Leave, Reason, Room
from channel_recorder.sfu.seat import Seat
from channel_recorder.sfu.settings import ServerSettings


class RoomAdmin:
    """Methods are named and typed as RoomService's. All raise AdminError."""

    def __init__(
        self,
        rooms: Mapping[str, Room],
        settings: ServerSettings,
        open_room: Callable[[str, models.Room], Room],
        close_room: Callable[[Room], None],
    ) -> None:
        self._rooms = rooms
        self._settings = settings
        self._open_room = open_room
        """Raises JoinRefusedError."""
        self._close_room = close_room

    def create_room(self, request: pb.CreateRoomRequest) -> models.Room:
        """An existing one gets the new configuration."""
        self._check_texts("", request.metadata, {})
        if not request.name or len(request.name) > self._settings.limits.name_characters:
            raise AdminError("invalid_argument", "the room name is empty or too long")
        configuration = models.Room(
            empty_timeout=request.empty_timeout,
            departure_timeout=request.departure_timeout,
            max_participants=request.max_participants,
            metadata=request.metadata,
        )
        room = self._rooms.get(request.name)
        if room is None:
            room = self._open(request.name, configuration)
        else:
            room.configure(configuration)
            room.news.flush()
        return room.describe()

    def list_rooms(self, request: pb.ListRoomsRequest) -> pb.ListRoomsResponse:
        names = set(request.names)
        rooms = [room.describe() for room in self._rooms.values() if not names or room.name in names]
        return pb.ListRoomsResponse(rooms=rooms)

    def delete_room(self, request: pb.DeleteRoomRequest) -> pb.DeleteRoomResponse:
        self._close_room(self._room(request.room))
        return pb.DeleteRoomResponse()

    def list_participants(self, request: pb.ListParticipantsRequest) -> pb.ListParticipantsResponse:
        """Hidden ones too: whoever may ask may know."""
        return pb.ListParticipantsResponse(
            participants=[seat.info() for seat in self._room(request.room).seats.values()]
        )

    def get_participant(self, request: pb.RoomParticipantIdentity) -> models.ParticipantInfo:
        return self._seat(request.room, request.identity)[1].info()

    def remove_participant(self, request: pb.RoomParticipantIdentity) -> pb.RemoveParticipantResponse:
        room, seat = self._seat(request.room, request.identity)
        room.remove(seat, Reason.PARTICIPANT_REMOVED, Leave.DISCONNECT)
        room.news.flush()
        return pb.RemoveParticipantResponse()

    def mute_published_track(self, request: pb.MuteRoomTrackRequest) -> pb.MuteRoomTrackResponse:
        room, seat = self._seat(request.room, request.identity)
        info = seat.publishing.description(request.track_sid)
        if info is None:
            raise AdminError("not_found", "track is not found")
        if not request.muted and info.muted and not self._settings.remote_unmute:
            raise AdminError("failed_precondition", "remote unmute not enabled")
        if info.muted != request.muted:
            seat.member.send(responses.mute(info.sid, request.muted))
        room.set_muted(seat, info, request.muted)
        room.news.flush()
        return pb.MuteRoomTrackResponse(track=info)

    def update_participant(self, request: pb.UpdateParticipantRequest) -> models.ParticipantInfo:
        room, seat = self._seat(request.room, request.identity)
        try:
            seat.member.update(request.name, request.metadata, request.attributes, self._settings.limits)
        except TooLargeError as error:
            raise AdminError("invalid_argument", str(error)) from None
        room.news.change(seat, to_self=True)
        if request.HasField("permission"):
            room.set_permission(seat, changed_permission(seat.member.permission, request.permission))
            room.send_token(seat)
        room.news.flush()
        return seat.info()

    def update_subscriptions(self, request: pb.UpdateSubscriptionsRequest) -> pb.UpdateSubscriptionsResponse:
        room, seat = self._seat(request.room, request.identity)
        Requests(room, seat).subscribe(request.track_sids, request.participant_tracks, request.subscribe)
        room.news.flush()
        return pb.UpdateSubscriptionsResponse()

    def send_data(self, request: pb.SendDataRequest) -> pb.SendDataResponse:
        room = self._room(request.room)
        if request.kind not in LABELS:
            raise AdminError("invalid_argument", "data is sent RELIABLE or LOSSY")
        if len(request.data) > self._settings.limits.data_packet_bytes:
            raise AdminError("invalid_argument", "the data is too long for one packet")
        user = models.UserPacket(payload=request.data, destination_sids=request.destination_sids)
        if request.HasField("topic"):
            user.topic = request.topic
        packet = models.DataPacket(kind=request.kind, destination_identities=request.destination_identities, user=user)
        sign(packet, "", "")
        room.send_data(packet, None)
        return pb.SendDataResponse()

    def update_room_metadata(self, request: pb.UpdateRoomMetadataRequest) -> models.Room:
        room = self._room(request.room)
        self._check_texts("", request.metadata, {})
        room.set_metadata(request.metadata)
        room.news.flush()
        return room.describe()

    def _room(self, name: str) -> Room:
        room = self._rooms.get(name)
        if room is None:
            raise AdminError("not_found", "requested room does not exist")
        return room

    def _seat(self, room_name: str, identity: str) -> tuple[Room, Seat]:
        room = self._room(room_name)
        seat = room.seats.get(identity)
        if seat is None:
            raise AdminError("not_found", "participant does not exist")
        return room, seat

    def _open(self, name: str, configuration: models.Room) -> Room:
        try:
            return self._open_room(name, configuration)
        except JoinRefusedError as error:
            raise AdminError("resource_exhausted", str(error)) from None

    def _check_texts(self, name: str, metadata: str, attributes: Mapping[str, str]) -> None:
        try:
            check_texts(name, metadata, attributes, self._settings.limits)
        except TooLargeError as error:
            raise AdminError("invalid_argument", str(error)) from None
