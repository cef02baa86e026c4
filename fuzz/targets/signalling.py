"""What comes through WebSockets and doors: both ends of signalling, joins, calls of RoomService."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

from livekit.protocol import room

from channel_recorder.channel.signalling import Signalling
from channel_recorder.errors import MalformedError
from channel_recorder.protocol.tokens import Grants
from channel_recorder.sfu.contract import Credentials, JoinRefusedError
from channel_recorder.sfu.doors.asked import read_asked
from channel_recorder.sfu.doors.frames import read_binary, read_frame, read_json
from channel_recorder.sfu.join_request import MAX_ATTRIBUTES_BYTES, read_join_request
from fuzz.records import unpack
from tests.channel.server_side import join
from tests.sfu.stage import Stage

CREDENTIALS = Credentials(
    api_key="key", identity="alice", room="call", grants=Grants(room_join=True, can_update_own_metadata=True)
)
ROOM_REQUESTS = (
    room.CreateRoomRequest,
    room.ListRoomsRequest,
    room.RoomParticipantIdentity,
    room.MuteRoomTrackRequest,
    room.UpdateParticipantRequest,
    room.UpdateSubscriptionsRequest,
    room.SendDataRequest,
)


def client(data: bytes) -> None:
    """A server's messages to a recorder, before and after the join."""
    signalling = Signalling()
    now = 0.0
    for number, message in enumerate(unpack(data)):
        if number == 1:
            signalling.receive(join(), now)
        now += 0.5
        signalling.receive(message, now)
        timer = signalling.next_timer()
        if timer is not None and timer <= now:
            signalling.handle_timer(now)
        while signalling.next_event() is not None:
            pass
        signalling.messages_to_send()
        assert signalling.round_trip_seconds >= 0


def server(data: bytes) -> None:
    """A client's messages to a room with somebody in it. An odd number of them: over one peer connection."""
    frames = unpack(data)
    stage = Stage()
    alice = stage.join("alice")
    alice.publish("mic")
    bob = stage.join("bob", v1=len(frames) % 2 == 1, grants=CREDENTIALS.grants, connect=False)
    assert bob.session is not None
    for frame in frames:
        with contextlib.suppress(MalformedError):
            bob.session.receive(read_frame(frame))
    stage.wait(1)
    assert alice.left is None
    assert ("bob" in alice.sees()) == (bob.left is None and not bob.sink.is_closed)


def json_frame(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        read_frame(data.decode("utf-8", "replace"))


def room_service(data: bytes) -> None:
    """The body of a call, in either form."""
    kind, body = ROOM_REQUESTS[(data[:1] or b"\0")[0] % len(ROOM_REQUESTS)], data[1:]
    with contextlib.suppress(MalformedError):
        read_json(kind, body)
    with contextlib.suppress(MalformedError):
        read_binary(kind, body).SerializeToString()


def join_query(data: bytes) -> None:
    """The query of a join, as the door hands it on, on both paths."""
    scope: dict[str, Any] = {"type": "websocket", "query_string": data, "headers": [], "client": ("192.0.2.7", 4711)}
    for packed in (False, True):
        with contextlib.suppress(JoinRefusedError):
            query = read_asked(scope).query
            request = read_join_request(query, CREDENTIALS, packed=packed, address="192.0.2.7")
            for text in (request.credentials.metadata, *request.credentials.attributes.values()):
                assert len(text.encode()) <= MAX_ATTRIBUTES_BYTES


def join_request(data: bytes) -> None:
    """The packed request itself, which the query carries in base64."""
    query = {"join_request": base64.urlsafe_b64encode(data).decode()}
    with contextlib.suppress(JoinRefusedError):
        read_join_request(query, CREDENTIALS, packed=True, address="192.0.2.7")
