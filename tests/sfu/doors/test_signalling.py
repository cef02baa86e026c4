"""The WebSocket doors as clients see them: let in, refused with a status, answered in kind, closed with a code."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from livekit.protocol import models
from livekit.protocol import rtc as pb
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from channel_recorder.protocol.tokens import RECORDER_GRANTS, Grants
from channel_recorder.sfu.contract import JoinRefusedError
from channel_recorder.sfu.doors.limits import DoorLimits
from tests.sfu.doors.conftest import OPEN, SECRET, Doors, FakeSession, OpenDoors, token

PATHS = ["/rtc", "/rtc/v1"]


def v1_query(**fields: Any) -> str:
    wrapped = pb.WrappedJoinRequest(
        compression=pb.WrappedJoinRequest.GZIP,
        join_request=gzip.compress(pb.JoinRequest(**fields).SerializeToString()),
    )
    return "join_request=" + base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


@asynccontextmanager
async def joined(doors: Doors, path: str = "/rtc", **how: Any) -> AsyncGenerator[tuple[ClientConnection, FakeSession]]:
    separator = "&" if "?" in path else "?"
    async with connect(f"{doors.ws}{path}{separator}access_token={token()}", **how) as socket:
        await socket.recv()
        yield socket, doors.rooms.sessions[-1]


async def refused(url: str, **how: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught:
        await connect(url, **how)
    body = caught.value.response.body or b""
    return caught.value.response.status_code, body.decode()


async def test_a_client_is_let_in_and_gets_the_first_message_at_once(doors: Doors) -> None:
    query = "protocol=16&sdk=android&auto_subscribe=0"
    headers = {"Authorization": f"Bearer {token(identity='anna')}"}
    async with connect(f"{doors.ws}/rtc?{query}", additional_headers=headers) as socket:
        message = pb.SignalResponse.FromString(await socket.recv(decode=False))
        assert message.join.server_version == "1.9.12"
    request = doors.rooms.sessions[0].request
    assert (request.credentials.identity, request.credentials.room) == ("anna", "lesson")
    assert (request.client.sdk, request.client.protocol, request.client.address) == ("android", 16, "127.0.0.1")
    assert (request.single_peer, request.auto_subscribe) == (False, False)


async def test_a_v1_client_is_let_in_with_its_packed_request(doors: Doors) -> None:
    offer = pb.SessionDescription(type="offer", sdp="v=0\r\n" * 4000, id=1)
    query = v1_query(
        client_info=models.ClientInfo(sdk=models.ClientInfo.JS, protocol=17),
        connection_settings=pb.ConnectionSettings(auto_subscribe=True),
        publisher_offer=offer,
    )
    async with joined(doors, f"/rtc/v1?{query}") as (_socket, session):
        assert session.request.single_peer
        assert session.request.publisher_offer == offer


@pytest.mark.parametrize("path", ["//rtc", "///rtc"])
async def test_a_slash_too_many_does_no_harm(doors: Doors, path: str) -> None:
    async with joined(doors, path) as (_socket, session):
        assert session.request.credentials.identity == "7"


async def test_a_query_of_64_kilobytes_is_read(doors: Doors) -> None:
    attributes = base64.urlsafe_b64encode(json.dumps({"a": "x" * 60_000}).encode()).decode()
    grants = Grants(can_update_own_metadata=True)
    async with connect(f"{doors.ws}/rtc?attributes={attributes}&access_token={token(grants)}") as socket:
        await socket.recv()
    assert len(doors.rooms.sessions[0].request.credentials.attributes["a"]) == 60_000


async def test_an_app_id_alone_lets_members_and_recorders_in(doors: Doors) -> None:
    for query in ("channel=lesson&uid=7", "channel=lesson&user_account=rec&recorder=1"):
        async with connect(f"{doors.ws}/rtc?{query}", additional_headers={"Authorization": f"Bearer {OPEN}"}) as socket:
            await socket.recv()
    member, recorder = (session.request.credentials for session in doors.rooms.sessions)
    assert (member.identity, member.room, member.grants) == ("7", "lesson", Grants())
    assert (recorder.identity, recorder.grants) == ("rec", RECORDER_GRANTS)


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://127.0.0.1.elsewhere.example", "//["])
async def test_a_page_of_another_site_cannot_join_with_an_app_id_alone(doors: Doors, origin: Origin) -> None:
    url = f"{doors.ws}/rtc?access_token={OPEN}&channel=lesson&uid=7"
    status, reason = await refused(url, origin=Origin(origin))
    assert (status, doors.rooms.sessions) == (403, [])
    assert "join with a token" in reason
    async with connect(f"{doors.ws}/rtc?access_token={token()}", origin=Origin(origin)):
        pass


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:7880", "http://[::1]:8080"])
async def test_a_page_of_this_machine_can_join_with_an_app_id_alone(doors: Doors, origin: Origin) -> None:
    async with connect(f"{doors.ws}/rtc?access_token={OPEN}&channel=lesson&uid=7", origin=Origin(origin)) as socket:
        assert pb.SignalResponse.FromString(await socket.recv(decode=False)).HasField("join")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("", 401, "no access token"),
        ("access_token=garbage", 401, "invalid token"),
        (f"access_token={token(key='other')}", 401, "invalid API key"),
        (f"access_token={token(Grants(room_join=False))}", 401, "permission denied"),
        (f"access_token={token(identity='')}", 400, "identity"),
        (f"access_token={token(room='x' * 257)}", 400, "room"),
        (f"access_token={token()}&join_request=%21", 400, "join_request"),
        (f"access_token={token()}&" + "a=1&" * 200, 400, "too many parameters"),
    ],
)
async def test_refusals_have_a_status_on_the_socket_and_on_validate(
    doors: Doors, path: str, query: str, status: int, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    socket_status, body = await refused(f"{doors.ws}{path}?{query}")
    assert (socket_status, told in body) == (status, True)
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{doors.http}{path}/validate?{query}")
    assert (response.status_code, told in response.text) == (status, True)
    assert response.headers["access-control-allow-origin"] == "*"
    assert doors.rooms.sessions == []
    assert caplog.records == []


@pytest.mark.parametrize(("status", "message"), [(404, "requested room does not exist"), (503, "the room is full")])
async def test_a_room_that_takes_nobody_tells_why(doors: Doors, status: int, message: str) -> None:
    doors.rooms.refusal = JoinRefusedError(status, message)
    assert await refused(f"{doors.ws}/rtc?access_token={token()}") == (status, message)


@pytest.mark.parametrize(
    ("path", "query"), [("/rtc", ""), ("/rtc/v1", "&" + v1_query()), ("/rtc", "&protocol=16&auto_subscribe=1")]
)
async def test_validate_tells_a_browser_that_it_may_join(doors: Doors, path: str, query: str) -> None:
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{doors.http}{path}/validate?access_token={token()}{query}")
        assert (response.status_code, response.text) == (200, "success")
        assert response.headers["access-control-allow-origin"] == "*"
        preflight = await client.options(
            f"{doors.http}{path}/validate",
            headers={"Origin": "https://a.example", "Access-Control-Request-Headers": "authorization"},
        )
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert "Authorization" in preflight.headers["access-control-allow-headers"]
    assert doors.rooms.sessions == []


@pytest.mark.parametrize("path", [*PATHS, "/rtc/v2", "/rtc/v2/validate", "/rtc/"])
async def test_without_an_upgrade_or_elsewhere_there_is_nothing(doors: Doors, path: str) -> None:
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{doors.http}{path}?access_token={token()}")
    assert response.status_code == 404
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/", "/rtc/v2", "/agent", "/twirp/livekit.RoomService/ListRooms"])
async def test_there_is_no_other_socket(doors: Doors, path: str) -> None:
    assert (await refused(f"{doors.ws}{path}?access_token={token()}"))[0] == 404


async def test_the_signalling_of_a_client_reaches_its_session_in_order(doors: Doors) -> None:
    async with joined(doors) as (socket, session):
        for number in range(1, 51):
            await socket.send(pb.SignalRequest(ping=number).SerializeToString())
        answers = [pb.SignalResponse.FromString(await socket.recv(decode=False)).pong for _ in range(50)]
    assert answers == [request.ping for request in session.received] == list(range(1, 51))


async def test_text_is_answered_with_text_and_bytes_with_bytes(doors: Doors) -> None:
    async with joined(doors) as (socket, _session):
        await socket.send('{"ping": "5", "somethingNew": {}}')
        assert json.loads(await socket.recv()) == {"pong": "5"}
        await socket.send(pb.SignalRequest(ping=6).SerializeToString())
        assert pb.SignalResponse.FromString(await socket.recv(decode=False)).pong == 6


async def test_messages_are_compressed(doors: Doors) -> None:
    doors.rooms.first = pb.SignalResponse(join=pb.JoinResponse(server_version="1" * 100_000))
    async with connect(f"{doors.ws}/rtc?access_token={token()}") as socket:
        assert [extension.name for extension in socket.protocol.extensions] == ["permessage-deflate"]
        assert len(await socket.recv()) > 100_000


async def test_who_closes_is_forgotten_once(doors: Doors) -> None:
    async with joined(doors) as (socket, session):
        await socket.close()
        await session.wait_ended()
    assert session.disconnections == 1


async def test_who_is_cut_off_is_forgotten_once(doors: Doors) -> None:
    async with joined(doors) as (socket, session):
        socket.transport.abort()
        await session.wait_ended()
    assert session.disconnections == 1


async def test_what_was_sent_before_the_server_closes_still_arrives(doors: Doors) -> None:
    async with joined(doors) as (socket, session):
        for number in range(100):
            session.sink.send(pb.SignalResponse(pong=number))
        session.sink.send(pb.SignalResponse(leave=pb.LeaveRequest(reason=models.DisconnectReason.ROOM_DELETED)))
        session.sink.close()
        session.sink.send(pb.SignalResponse(pong=999))
        messages = [pb.SignalResponse.FromString(message) async for message in _bytes(socket)]
        assert socket.close_code == 1000
    assert [message.pong for message in messages[:-1]] == list(range(100))
    assert messages[-1].leave.reason == models.DisconnectReason.ROOM_DELETED
    await session.wait_ended()


async def _bytes(socket: ClientConnection) -> AsyncGenerator[bytes]:
    async for message in socket:
        assert isinstance(message, bytes)
        yield message


async def test_what_comes_after_the_server_closed_is_nobodys(doors: Doors) -> None:
    async with joined(doors) as (socket, session):
        session.on_receive = lambda _request: session.sink.close()
        for _ in range(5):
            await socket.send(pb.SignalRequest(ping=1).SerializeToString())
        await socket.wait_closed()
    await session.wait_ended()
    assert len(session.received) == 1


async def test_a_server_that_ends_closes_its_sockets(doors: Doors) -> None:
    async with joined(doors) as (socket, session):
        await doors.server.close()
        await socket.wait_closed()
        assert socket.close_code == 1012
    assert session.disconnections == 1


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\xff\xff\xff", 1007),
        ("no json", 1007),
        ("[]", 1007),
        ('"ping"', 1007),
        ("[" * 100_000, 1007),
        ('{"ping": "many"}', 1007),
        (bytes(2 * 1024 * 1024 + 1), 1009),
    ],
    ids=["bytes", "text", "list", "word", "deep", "type", "too big"],
)
async def test_a_message_that_is_none_closes_this_socket_only(doors: Doors, message: bytes | str, code: int) -> None:
    async with joined(doors) as (other, _), joined(doors, max_size=None) as (socket, session):
        with pytest.raises(ConnectionClosed):
            await socket.send(message)
            await socket.recv()
        assert socket.close_code == code
        await session.wait_ended()
        await other.send(pb.SignalRequest(ping=5).SerializeToString())
        assert pb.SignalResponse.FromString(await other.recv(decode=False)).pong == 5


async def test_a_message_of_two_megabytes_is_taken(doors: Doors) -> None:
    async with joined(doors) as (socket, session):
        request = pb.SignalRequest(offer=pb.SessionDescription(sdp="x" * (2 * 1024 * 1024 - 100)))
        await socket.send(request.SerializeToString())
        assert await session.wait_arrived() == request


async def test_a_flood_of_large_messages_that_compress_well_is_ended(open_doors: OpenDoors) -> None:
    doors = await open_doors(DoorLimits(message_burst_bytes=4_000_000, message_bytes_per_second=1000))
    async with joined(doors) as (socket, session):
        message = pb.SignalRequest(offer=pb.SessionDescription(sdp="x" * 1_000_000)).SerializeToString()
        with pytest.raises(ConnectionClosed):
            for _ in range(5):
                await socket.send(message)
            await socket.recv()
        assert socket.close_code == 1008
        await session.wait_ended()
    assert len(session.received) == 3


async def test_nothing_secret_reaches_the_log(doors: Doors, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    # Whatever level a command line that ran before has set.
    caplog.set_level(1, logger="channel_recorder")
    good, bad, bearer = token(), token(key="other"), token(identity="bearer")
    async with connect(f"{doors.ws}/rtc?access_token={good}&private=query") as socket:
        await socket.recv()
        await socket.send("no json")
        await socket.wait_closed()
    async with connect(f"{doors.ws}/rtc", additional_headers={"Authorization": f"Bearer {bearer}"}):
        pass
    for path in ("/rtc", "/nowhere"):
        await refused(f"{doors.ws}{path}?access_token={bad}&private=query")
    async with httpx.AsyncClient() as client:
        for given in (good, bad):
            await client.get(f"{doors.http}/rtc/validate?access_token={given}&private=query")
            await client.post(
                f"{doors.http}/twirp/livekit.RoomService/ListRooms?private=query",
                headers={"Authorization": f"Bearer {given}"},
            )
    ours = [record for record in caplog.records if not record.name.startswith(("websockets", "http", "asyncio"))]
    text = "\n".join(record.getMessage() for record in ours)
    assert "was refused" in text
    for secret in (good, bad, bearer, SECRET, "private", "access_token="):
        assert secret not in text
