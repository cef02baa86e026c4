"""RoomService as the official server SDK and hand-made calls see it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livekit import api
from livekit.protocol import room

from channel_recorder.protocol.tokens import Grants
from channel_recorder.sfu.doors import twirp
from tests.sfu.doors.conftest import KEY, OPEN, SECRET, Doors, token
from tests.sfu.doors.wire import raw_connection

SERVICE = "/twirp/livekit.RoomService"
ADMIN = Grants(room_join=False, room_admin=True)
ALL = Grants(room_join=False, room_admin=True, room_create=True, room_list=True)


@pytest.fixture
async def sdk(doors: Doors) -> AsyncGenerator[api.LiveKitAPI]:
    async with api.LiveKitAPI(doors.http, KEY, SECRET) as client:
        yield client


async def call(
    doors: Doors, method: str, body: Any = None, *, grants: Grants = ALL, service: str = SERVICE, **how: Any
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token(grants)}", "Content-Type": "application/json"} | how.pop("headers", {})
    content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    async with httpx.AsyncClient() as client:
        return await client.request(
            how.pop("http_method", "POST"), f"{doors.http}{service}/{method}", content=content, headers=headers
        )


def error(response: httpx.Response) -> tuple[int, str]:
    """Status and Twirp code. The message is there too."""
    body = response.json()
    assert response.headers["content-type"] == "application/json"
    assert body["msg"]
    return response.status_code, body["code"]


Ask = Callable[[api.LiveKitAPI], Awaitable[Any]]


@pytest.mark.parametrize(
    ("ask", "answered"),
    [
        (lambda sdk: sdk.room.create_room(api.CreateRoomRequest(name="lesson", metadata="m")), 'sid: "RM_1"'),
        (lambda sdk: sdk.room.list_rooms(api.ListRoomsRequest(names=["lesson"])), 'name: "lesson"'),
        (lambda sdk: sdk.room.delete_room(api.DeleteRoomRequest(room="lesson")), ""),
        (lambda sdk: sdk.room.list_participants(api.ListParticipantsRequest(room="lesson")), 'identity: "7"'),
        (lambda sdk: sdk.room.get_participant(api.RoomParticipantIdentity(room="lesson", identity="7")), 'sid: "PA_1"'),
        (lambda sdk: sdk.room.remove_participant(api.RoomParticipantIdentity(room="lesson", identity="7")), ""),
        (
            lambda sdk: sdk.room.mute_published_track(
                api.MuteRoomTrackRequest(room="lesson", identity="7", track_sid="TR_1", muted=True)
            ),
            "muted: true",
        ),
        (
            lambda sdk: sdk.room.update_participant(
                api.UpdateParticipantRequest(room="lesson", identity="7", metadata="new")
            ),
            'metadata: "new"',
        ),
        (lambda sdk: sdk.room.update_subscriptions(api.UpdateSubscriptionsRequest(room="lesson", identity="7")), ""),
        (lambda sdk: sdk.room.send_data(api.SendDataRequest(room="lesson", data=b"\x00\xff")), ""),
        (lambda sdk: sdk.room.update_room_metadata(api.UpdateRoomMetadataRequest(room="lesson", metadata="n")), '"n"'),
    ],
)
async def test_the_official_sdk_gets_every_method_answered(
    doors: Doors, sdk: api.LiveKitAPI, ask: Ask, answered: str
) -> None:
    assert answered in str(await ask(sdk))
    assert len(doors.admin.asked) == 1


async def test_the_official_sdk_gets_errors_by_name(sdk: api.LiveKitAPI) -> None:
    with pytest.raises(api.TwirpError) as caught:
        await sdk.room.list_participants(api.ListParticipantsRequest(room="other"))
    assert (caught.value.code, caught.value.status) == ("not_found", 404)
    assert caught.value.message == "requested room does not exist"


async def test_the_official_sdk_is_told_what_this_server_does_not_do(sdk: api.LiveKitAPI) -> None:
    with pytest.raises(api.TwirpError) as caught:
        await sdk.room.move_participant(
            api.MoveParticipantRequest(room="lesson", identity="7", destination_room="other")
        )
    assert caught.value.code == "unimplemented"


async def test_json_is_answered_as_gos_twirp_does(doors: Doors) -> None:
    response = await call(doors, "ListRooms", {"names": ["lesson"], "somethingNew": 1})
    assert response.status_code == 200
    listed = response.json()["rooms"][0]
    assert (listed["name"], listed["creation_time"], listed["num_participants"]) == ("lesson", "12", 0)
    assert response.headers["access-control-allow-origin"] == "*"


async def test_json_may_spell_names_either_way(doors: Doors) -> None:
    for body in ({"room": "lesson", "trackSid": "TR_1"}, {"room": "lesson", "track_sid": "TR_1"}):
        assert (await call(doors, "MutePublishedTrack", body)).json()["track"]["sid"] == "TR_1"


@pytest.mark.parametrize(
    ("method", "grants", "is_allowed"),
    [
        ("CreateRoom", Grants(room_create=True), True),
        ("CreateRoom", Grants(room_admin=True, room_list=True), False),
        ("DeleteRoom", Grants(room_create=True), True),
        ("DeleteRoom", ADMIN, False),
        ("ListRooms", Grants(room_list=True), True),
        ("ListRooms", Grants(room_admin=True, room_create=True), False),
        ("ListParticipants", ADMIN, True),
        ("ListParticipants", Grants(), False),
        ("GetParticipant", Grants(room_create=True, room_list=True, room_record=True), False),
        ("RemoveParticipant", Grants(), False),
        ("MutePublishedTrack", Grants(), False),
        ("UpdateParticipant", Grants(), False),
        ("UpdateSubscriptions", Grants(), False),
        ("SendData", Grants(), False),
        ("UpdateRoomMetadata", Grants(), False),
    ],
)
async def test_each_method_needs_its_grant(doors: Doors, method: str, grants: Grants, is_allowed: bool) -> None:
    response = await call(doors, method, {"room": "lesson"}, grants=grants)
    if is_allowed:
        assert response.status_code == 200
    else:
        assert error(response) == (403, "permission_denied")
        assert doors.admin.asked == []


async def test_who_rules_one_room_does_not_rule_another(doors: Doors) -> None:
    assert error(await call(doors, "ListParticipants", {"room": "other"}, grants=ADMIN)) == (403, "permission_denied")


@pytest.mark.parametrize(
    "authorization", ["", "Basic abc", "Bearer garbage", f"Bearer {OPEN}", f"Bearer {token(ALL, key='other')}"]
)
async def test_who_shows_no_good_token_is_refused(doors: Doors, authorization: str) -> None:
    response = await call(doors, "ListRooms", headers={"Authorization": authorization})
    assert error(response) == (401, "unauthenticated")
    assert authorization not in response.text or not authorization


@pytest.mark.parametrize(
    ("service", "method", "expected"),
    [
        (SERVICE, "NoSuchMethod", (404, "bad_route")),
        (SERVICE, "ForwardParticipant", (501, "unimplemented")),
        (SERVICE, "PerformRpc", (501, "unimplemented")),
        ("/twirp/livekit.Egress", "ListEgress", (501, "unimplemented")),
        ("/twirp/livekit.Ingress", "CreateIngress", (501, "unimplemented")),
    ],
)
async def test_what_is_not_here_is_told_by_name(
    doors: Doors, service: str, method: str, expected: tuple[int, str]
) -> None:
    assert error(await call(doors, method, service=service)) == expected


@pytest.mark.parametrize("http_method", ["GET", "PUT", "DELETE"])
async def test_only_post_is_a_call(doors: Doors, http_method: str) -> None:
    assert error(await call(doors, "ListRooms", http_method=http_method)) == (404, "bad_route")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
async def test_only_protobuf_and_json_are_read(doors: Doors, kind: str) -> None:
    assert error(await call(doors, "ListRooms", headers={"Content-Type": kind})) == (404, "bad_route")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"no json"),
        ("application/json", b"[]"),
        ("application/json", b"[" * 100_000),
        ("application/json", b"\xff"),
        ("application/json; charset=utf-8", b'{"names": 5}'),
        ("application/protobuf", b"\xff\xff\xff"),
    ],
)
async def test_a_body_that_is_none_is_malformed(doors: Doors, kind: str, body: bytes) -> None:
    assert error(await call(doors, "ListRooms", body, headers={"Content-Type": kind})) == (400, "malformed")


async def test_a_body_too_long_is_refused(doors: Doors) -> None:
    body = {"names": ["x" * (twirp.MAX_BODY_BYTES + 1)]}
    assert error(await call(doors, "ListRooms", body)) == (429, "resource_exhausted")


async def test_a_body_that_never_ends_is_not_waited_for(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twirp, "BODY_SECONDS", 0.05)
    async with raw_connection(doors.server.port) as wire:
        await wire.send(
            f"POST {SERVICE}/ListRooms HTTP/1.1\r\nHost: l\r\nContent-Type: application/json\r\n"
            f"Content-Length: 100\r\nAuthorization: Bearer {token(ALL)}\r\n\r\n{{".encode()
        )
        assert (await wire.head()).startswith(b"HTTP/1.1 408")


@given(st.binary(max_size=200), st.sampled_from(["application/protobuf", "application/json"]))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_body_is_answered(doors: Doors, body: bytes, kind: str) -> None:
    response = await call(doors, "CreateRoom", body, headers={"Content-Type": kind})
    assert response.status_code in (200, 400)


def test_every_method_of_rooms_members_and_data_is_there() -> None:
    known = {method.name for method in room.DESCRIPTOR.services_by_name["RoomService"].methods}
    missing = known - set(twirp._METHODS)
    assert missing == {"ForwardParticipant", "MoveParticipant", "PerformRpc"}
