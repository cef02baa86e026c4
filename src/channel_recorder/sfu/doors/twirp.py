"""RoomService over Twirp (protocol version 7): POST, protobuf or JSON, errors as JSON."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from livekit.protocol import models, room
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from channel_recorder.errors import MalformedError
from channel_recorder.protocol.tokens import AccessToken
from channel_recorder.sfu.access import Access
from channel_recorder.sfu.contract import AdminError, JoinRefusedError
from channel_recorder.sfu.doors.asked import read_asked
from channel_recorder.sfu.doors.frames import read_binary, read_json
from channel_recorder.sfu.doors.limits import Refusals

logger = logging.getLogger(__name__)

SERVICE = "livekit.RoomService"
MAX_BODY_BYTES = 1024 * 1024
BODY_SECONDS = 10.0
PROTOBUF, JSON = "application/protobuf", "application/json"
CORS = {"access-control-allow-origin": "*"}
STATUS = {
    "canceled": 408,
    "unknown": 500,
    "invalid_argument": 400,
    "malformed": 400,
    "deadline_exceeded": 408,
    "not_found": 404,
    "bad_route": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "unauthenticated": 401,
    "resource_exhausted": 429,
    "failed_precondition": 412,
    "aborted": 409,
    "out_of_range": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "dataloss": 500,
}


class RoomAdmin(Protocol):
    """What the door needs of `sfu.admin.RoomAdmin`. Methods raise AdminError."""

    def create_room(self, request: room.CreateRoomRequest) -> models.Room: ...
    def list_rooms(self, request: room.ListRoomsRequest) -> room.ListRoomsResponse: ...
    def delete_room(self, request: room.DeleteRoomRequest) -> room.DeleteRoomResponse: ...
    def list_participants(self, request: room.ListParticipantsRequest) -> room.ListParticipantsResponse: ...
    def get_participant(self, request: room.RoomParticipantIdentity) -> models.ParticipantInfo: ...
    def remove_participant(self, request: room.RoomParticipantIdentity) -> room.RemoveParticipantResponse: ...
    def mute_published_track(self, request: room.MuteRoomTrackRequest) -> room.MuteRoomTrackResponse: ...
    def update_participant(self, request: room.UpdateParticipantRequest) -> models.ParticipantInfo: ...
    def update_subscriptions(self, request: room.UpdateSubscriptionsRequest) -> room.UpdateSubscriptionsResponse: ...
    def send_data(self, request: room.SendDataRequest) -> room.SendDataResponse: ...
    def update_room_metadata(self, request: room.UpdateRoomMetadataRequest) -> models.Room: ...


def _may_create(bearer: AccessToken, _room: str) -> bool:
    return bearer.grants.room_create


def _may_list(bearer: AccessToken, _room: str) -> bool:
    return bearer.grants.room_list


def _may_rule(bearer: AccessToken, room_name: str) -> bool:
    return bearer.grants.room_admin and bearer.room == room_name


@dataclass(frozen=True, slots=True)
class _Method:
    request: type[Message]
    is_allowed: Callable[[AccessToken, str], bool]
    call: Callable[[RoomAdmin, Any], Message]


_METHODS: Mapping[str, _Method] = {
    "CreateRoom": _Method(room.CreateRoomRequest, _may_create, lambda admin, asked: admin.create_room(asked)),
    "ListRooms": _Method(room.ListRoomsRequest, _may_list, lambda admin, asked: admin.list_rooms(asked)),
    "DeleteRoom": _Method(room.DeleteRoomRequest, _may_create, lambda admin, asked: admin.delete_room(asked)),
    "ListParticipants": _Method(
        room.ListParticipantsRequest, _may_rule, lambda admin, asked: admin.list_participants(asked)
    ),
    "GetParticipant": _Method(
        room.RoomParticipantIdentity, _may_rule, lambda admin, asked: admin.get_participant(asked)
    ),
    "RemoveParticipant": _Method(
        room.RoomParticipantIdentity, _may_rule, lambda admin, asked: admin.remove_participant(asked)
    ),
    "MutePublishedTrack": _Method(
        room.MuteRoomTrackRequest, _may_rule, lambda admin, asked: admin.mute_published_track(asked)
    ),
    "UpdateParticipant": _Method(
        room.UpdateParticipantRequest, _may_rule, lambda admin, asked: admin.update_participant(asked)
    ),
    "UpdateSubscriptions": _Method(
        room.UpdateSubscriptionsRequest, _may_rule, lambda admin, asked: admin.update_subscriptions(asked)
    ),
    "SendData": _Method(room.SendDataRequest, _may_rule, lambda admin, asked: admin.send_data(asked)),
    "UpdateRoomMetadata": _Method(
        room.UpdateRoomMetadataRequest, _may_rule, lambda admin, asked: admin.update_room_metadata(asked)
    ),
}


@dataclass(frozen=True, slots=True)
class TwirpDoor:
    admin: RoomAdmin
    access: Access
    refusals: Refusals
    now: Callable[[], float]
    """Monotonic seconds."""

    async def serve(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except AdminError as error:
            return _error(error)

    async def _answer(self, request: Request) -> Response:
        method = _method(request)
        kind = _content_kind(request)
        bearer = self._bearer(request)
        asked = _parsed(method.request, await _body(request), kind)
        room_name: str = getattr(asked, "room", "")
        if not method.is_allowed(bearer, room_name):
            raise AdminError("permission_denied", "permission denied: the access token does not allow this")
        return _encoded(method.call(self.admin, asked), kind)

    def _bearer(self, request: Request) -> AccessToken:
        try:
            asked = read_asked(request.scope)
            return self.access.rights(asked.token)
        except JoinRefusedError as error:
            address = request.client.host if request.client else ""
            logger.info("a call of RoomService from %s was refused: %s", address, error)
            if self.refusals.count(address, self.now()):
                raise AdminError("unauthenticated", str(error)) from None
            raise AdminError("resource_exhausted", "too many attempts: wait a little") from None


def _method(request: Request) -> _Method:
    if request.method != "POST":
        raise AdminError("bad_route", "only POST is known here")
    service, name = request.path_params["service"], request.path_params["method"]
    method = _METHODS.get(name) if service == SERVICE else None
    if method is not None:
        return method
    if service == SERVICE and name not in room.DESCRIPTOR.services_by_name["RoomService"].methods_by_name:
        raise AdminError("bad_route", f"RoomService has no method {name[:80]!r}")
    raise AdminError("unimplemented", "this server has the methods of RoomService for rooms, members and data only")


def _content_kind(request: Request) -> str:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (PROTOBUF, JSON):
        raise AdminError("bad_route", f"the Content-Type must be {PROTOBUF} or {JSON}")
    return kind


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise AdminError("resource_exhausted", f"the body is longer than {MAX_BODY_BYTES} bytes")
    except TimeoutError:
        raise AdminError("deadline_exceeded", "the body did not come in time") from None
    except ClientDisconnect:
        raise AdminError("canceled", "the connection broke off") from None
    return bytes(body)


def _parsed(kind: type[Message], body: bytes, content_kind: str) -> Message:
    try:
        return read_binary(kind, body) if content_kind == PROTOBUF else read_json(kind, body)
    except MalformedError as error:
        raise AdminError("malformed", f"the body is malformed: {error}") from None


def _encoded(message: Message, kind: str) -> Response:
    if kind == PROTOBUF:
        return Response(message.SerializeToString(), media_type=PROTOBUF, headers=CORS)
    # As Go's Twirp writes it: the names of the .proto file, and what is empty too.
    text = MessageToJson(
        message, indent=None, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return Response(text, media_type=JSON, headers=CORS)


def _error(error: AdminError) -> Response:
    body = json.dumps({"code": error.code, "msg": str(error)})
    return Response(body, STATUS.get(error.code, 500), media_type=JSON, headers=CORS)
