from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from livekit.protocol import models, room
from livekit.protocol import rtc as pb
from starlette.routing import Router

from channel_recorder.clock import monotonic_seconds, unix_seconds
from channel_recorder.protocol.tokens import Grants, make_access_token
from channel_recorder.sfu.access import Access, Keys
from channel_recorder.sfu.contract import AdminError, JoinRefusedError, JoinRequest, SignalSink
from channel_recorder.sfu.doors.limits import DoorLimits
from channel_recorder.sfu.doors.routes import OneSlash, door_routes
from channel_recorder.sfu.doors.server import DoorServer, listen

KEY, SECRET = "devkey", "a-secret-of-at-least-32-characters-xx"
PATIENCE_SECONDS = 20.0
OPEN = "0061b33970ca35de60c44645bbae8a21"


def token(grants: Grants | None = None, *, identity: str = "7", room: str = "lesson", key: str = KEY) -> str:
    return make_access_token(
        key,
        SECRET,
        identity=identity,
        room=room,
        now_seconds=unix_seconds(),
        valid_for_seconds=3600,
        grants=grants,
    )


@dataclass
class FakeSession:
    """Answers pings, says what it received."""

    request: JoinRequest
    sink: SignalSink
    received: list[pb.SignalRequest] = field(default_factory=list[pb.SignalRequest])
    disconnections: int = 0
    on_receive: Callable[[pb.SignalRequest], None] | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait_arrived(self) -> pb.SignalRequest:
        """The first request."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.arrived.wait()
        return self.received[0]

    async def wait_ended(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.ended.wait()

    def receive(self, request: pb.SignalRequest) -> None:
        self.received.append(request)
        self.arrived.set()
        if self.on_receive is not None:
            self.on_receive(request)
        elif request.HasField("ping"):
            self.sink.send(pb.SignalResponse(pong=request.ping))

    def disconnected(self) -> None:
        self.disconnections += 1
        self.ended.set()


class FakeRooms:
    """Lets everybody in, unless `refusal` says no."""

    def __init__(self) -> None:
        self.sessions: list[FakeSession] = []
        self.refusal: JoinRefusedError | None = None
        self.first = pb.SignalResponse(join=pb.JoinResponse(server_version="1.9.12"))

    def join(self, request: JoinRequest, sink: SignalSink) -> FakeSession:
        if self.refusal is not None:
            raise self.refusal
        session = FakeSession(request, sink)
        self.sessions.append(session)
        sink.send(self.first)
        return session


class FakeAdmin:
    """Knows one room with one member."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def create_room(self, request: room.CreateRoomRequest) -> models.Room:
        self.asked.append(request)
        return models.Room(name=request.name, sid="RM_1", metadata=request.metadata)

    def list_rooms(self, request: room.ListRoomsRequest) -> room.ListRoomsResponse:
        self.asked.append(request)
        return room.ListRoomsResponse(rooms=[models.Room(name="lesson", sid="RM_1", creation_time=12)])

    def delete_room(self, request: room.DeleteRoomRequest) -> room.DeleteRoomResponse:
        self._known(request)
        return room.DeleteRoomResponse()

    def list_participants(self, request: room.ListParticipantsRequest) -> room.ListParticipantsResponse:
        self._known(request)
        return room.ListParticipantsResponse(participants=[models.ParticipantInfo(identity="7", sid="PA_1")])

    def get_participant(self, request: room.RoomParticipantIdentity) -> models.ParticipantInfo:
        self._known(request)
        return models.ParticipantInfo(identity=request.identity, sid="PA_1")

    def remove_participant(self, request: room.RoomParticipantIdentity) -> room.RemoveParticipantResponse:
        self._known(request)
        return room.RemoveParticipantResponse()

    def mute_published_track(self, request: room.MuteRoomTrackRequest) -> room.MuteRoomTrackResponse:
        self._known(request)
        return room.MuteRoomTrackResponse(track=models.TrackInfo(sid=request.track_sid, muted=request.muted))

    def update_participant(self, request: room.UpdateParticipantRequest) -> models.ParticipantInfo:
        self._known(request)
        return models.ParticipantInfo(identity=request.identity, metadata=request.metadata)

    def update_subscriptions(self, request: room.UpdateSubscriptionsRequest) -> room.UpdateSubscriptionsResponse:
        self._known(request)
        return room.UpdateSubscriptionsResponse()

    def send_data(self, request: room.SendDataRequest) -> room.SendDataResponse:
        self._known(request)
        return room.SendDataResponse()

    def update_room_metadata(self, request: room.UpdateRoomMetadataRequest) -> models.Room:
        self._known(request)
        return models.Room(name=request.room, metadata=request.metadata)

    def _known(self, request: Any) -> None:
        self.asked.append(request)
        if request.room != "lesson":
            raise AdminError("not_found", "requested room does not exist")


@dataclass(frozen=True)
class Doors:
    server: DoorServer
    rooms: FakeRooms
    admin: FakeAdmin

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.server.port}"


OpenDoors = Callable[..., Coroutine[None, None, Doors]]


@pytest.fixture
async def open_doors() -> AsyncGenerator[OpenDoors, None]:
    async with AsyncExitStack() as stack:

        async def open_with(limits: DoorLimits | None = None) -> Doors:
            limits = limits or DoorLimits()
            rooms, admin = FakeRooms(), FakeAdmin()
            access = Access(Keys({KEY: SECRET, OPEN: None}), unix_seconds)
            routes = door_routes(rooms, admin, access, limits=limits, now=monotonic_seconds)
            server = await DoorServer.open(OneSlash(Router(routes)), await listen("127.0.0.1", 0), limits=limits)
            stack.push_async_callback(server.close)
            return Doors(server, rooms, admin)

        yield open_with


@pytest.fixture
async def doors(open_doors: OpenDoors) -> Doors:
    return await open_doors()
