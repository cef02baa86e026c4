"""Bad people at the doors: who is slow, endless, too many or rude is sent away, and nobody else notices."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livekit.protocol import rtc as pb
from websockets.asyncio.client import connect

from channel_recorder.errors import MalformedError
from channel_recorder.sfu.contract import SignalSink
from channel_recorder.sfu.doors.connections import MAX_FRAMES_AT_ONCE
from channel_recorder.sfu.doors.frames import read_frame
from channel_recorder.sfu.doors.limits import Crowd, DoorLimits, Refusals
from channel_recorder.sfu.doors.outbox import Outbox
from tests.sfu.doors.conftest import Doors, OpenDoors, token
from tests.sfu.doors.wire import frame, raw_connection, raw_websocket, upgrade

BINARY, TEXT, PING = 2, 1, 9


async def assert_others_get_in(doors: Doors) -> None:
    async with connect(f"{doors.ws}/rtc?access_token={token()}") as socket:
        await socket.recv()
        await socket.send(pb.SignalRequest(ping=5).SerializeToString())
        assert pb.SignalResponse.FromString(await socket.recv(decode=False)).pong == 5


@pytest.mark.parametrize("sent", [b"", b"GET /rtc HTTP/1.1\r\nHost: l", b"GET /rtc"], ids=["nothing", "half", "a word"])
async def test_who_never_finishes_asking_is_sent_away(open_doors: OpenDoors, sent: bytes) -> None:
    doors = await open_doors(DoorLimits(head_seconds=0.05))
    async with raw_connection(doors.server.port) as wire:
        await wire.send(sent)
        assert (await wire.until_end()).startswith(b"HTTP/1.1 408" if sent else b"")
    await assert_others_get_in(doors)


async def test_who_asks_slowly_a_second_time_is_sent_away(open_doors: OpenDoors) -> None:
    doors = await open_doors(DoorLimits(head_seconds=0.2))
    async with raw_connection(doors.server.port) as wire:
        await wire.send(b"GET /rtc HTTP/1.1\r\nHost: l\r\n\r\nGET /rtc HTTP/1.1\r\n")
        answer = await wire.until_end()
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"HTTP/1.1 408" in answer


@pytest.mark.parametrize(
    "endless",
    [b"GET /" + b"x" * 10_000, b"GET / HTTP/1.1\r\na: " + b"x" * 10_000, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 2000],
)
async def test_a_head_without_end_is_cut(open_doors: OpenDoors, endless: bytes) -> None:
    doors = await open_doors(DoorLimits(head_bytes=9000))
    async with raw_connection(doors.server.port) as wire:
        await wire.send(endless)
        assert (await wire.until_end()).startswith(b"HTTP/1.1 431")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"\x00" * 100,
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: l\r\n\r\n",
        b"BREW / HTTP/1.1\r\n\r\n",
    ],
)
async def test_garbage_is_a_bad_request(doors: Doors, garbage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with raw_connection(doors.server.port) as wire:
        await wire.send(garbage)
        wire.writer.write_eof()
        assert (await wire.until_end()).startswith((b"HTTP/1.1 400", b"HTTP/1.1 404"))
    await assert_others_get_in(doors)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (upgrade("/rtc\xff".encode("latin-1").decode("latin-1")), b"400"),
        (upgrade("/rtc", headers="X: \xff\r\n"), b"401"),
        (upgrade("/rtc").replace(b"13", b"12"), b"400"),
        (upgrade("/rtc").replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"x"), b"400"),
        (upgrade("/rtc").replace(b"GET", b"POST"), b"404"),
        (upgrade("/rtc").replace(b"Upgrade: websocket", b"Upgrade: h2c"), b"404"),
    ],
)
async def test_an_upgrade_that_is_none_is_refused(
    doors: Doors, request_bytes: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with raw_connection(doors.server.port) as wire:
        await wire.send(request_bytes)
        assert (await wire.head()).startswith(b"HTTP/1.1 " + status)
    await assert_others_get_in(doors)
    assert caplog.records == []


async def test_text_that_is_no_text_is_closed_with_1007(doors: Doors, caplog: pytest.LogCaptureFixture) -> None:
    async with raw_websocket(doors.server.port, token()) as wire:
        await wire.send(frame(TEXT, b"\xff\xfe"))
        assert await wire.close_code() == 1007
    assert caplog.records == []


async def test_an_inflation_bomb_is_closed_with_1009(doors: Doors) -> None:
    squeezer = zlib.compressobj(9, wbits=-15)
    bomb = (squeezer.compress(bytes(64 * 1024 * 1024)) + squeezer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    async with raw_websocket(doors.server.port, token(), extensions="permessage-deflate") as wire:
        await wire.send(frame(BINARY, bomb, compressed=True))
        assert await wire.close_code() == 1009
    await assert_others_get_in(doors)


async def test_fragments_without_end_are_closed_with_1009(doors: Doors) -> None:
    async with raw_websocket(doors.server.port, token()) as wire:
        await wire.send(frame(BINARY, final=False))
        for _ in range(20):
            await wire.send(frame(0, final=False) * 100)
        assert await wire.close_code() == 1009


@pytest.mark.parametrize("flood", [frame(PING), frame(BINARY, pb.SignalRequest(ping=1).SerializeToString())])
async def test_a_flood_of_frames_is_ended(doors: Doors, flood: bytes) -> None:
    async with raw_websocket(doors.server.port, token()) as wire:
        wire.writer.write(flood * 100_000)
        await wire.until_end()
        await doors.rooms.sessions[0].wait_ended()
        assert len(doors.rooms.sessions[0].received) <= MAX_FRAMES_AT_ONCE
    await assert_others_get_in(doors)


async def test_who_does_not_read_is_cut_off(open_doors: OpenDoors) -> None:
    doors = await open_doors(DoorLimits(waiting_bytes=200_000))
    async with raw_websocket(doors.server.port, token()) as wire:
        session = doors.rooms.sessions[0]
        wire.reader._limit = 1  # type: ignore[attr-defined]
        update = pb.SignalResponse(answer=pb.SessionDescription(sdp="x" * 100_000))
        for _ in range(1000):
            session.sink.send(update)
            await asyncio.sleep(0)
        await session.wait_ended()
    await assert_others_get_in(doors)


async def test_who_stops_reading_is_cut_off_after_a_while(open_doors: OpenDoors) -> None:
    doors = await open_doors(DoorLimits(stall_seconds=0.05, waiting_bytes=100_000_000))
    async with raw_websocket(doors.server.port, token()) as wire:
        session = doors.rooms.sessions[0]
        wire.reader._limit = 1  # type: ignore[attr-defined]
        for _ in range(200):
            session.sink.send(pb.SignalResponse(answer=pb.SessionDescription(sdp="x" * 100_000)))
        await session.wait_ended()
    await assert_others_get_in(doors)


async def test_strangers_beyond_the_limit_are_told_to_wait_and_members_get_in_later(open_doors: OpenDoors) -> None:
    doors = await open_doors(DoorLimits(strangers=5))
    async with AsyncExitStack() as stack:
        for _ in range(5):
            wire = await stack.enter_async_context(raw_connection(doors.server.port))
            await wire.send(b"GET /rtc")
        late = await stack.enter_async_context(raw_connection(doors.server.port))
        assert (await late.until_end()).startswith(b"HTTP/1.1 503")
    await settle(doors)
    await assert_others_get_in(doors)


async def test_members_are_no_strangers_any_more(open_doors: OpenDoors) -> None:
    doors = await open_doors(DoorLimits(strangers=2))
    async with AsyncExitStack() as stack:
        for _ in range(10):
            await stack.enter_async_context(raw_websocket(doors.server.port, token()))
        assert doors.server.crowd.connections == 10
    await doors.server.close()
    assert doors.server.crowd.connections == 0


async def test_five_hundred_joins_with_bad_tokens_leave_nothing_behind(doors: Doors) -> None:
    async def attempt() -> bytes:
        async with raw_connection(doors.server.port) as wire:
            await wire.send(upgrade("/rtc?access_token=" + token(key="other")))
            return await wire.until_end()

    for _ in range(5):
        answers = await asyncio.gather(*(attempt() for _ in range(100)))
        assert all(answer.startswith(b"HTTP/1.1 401") for answer in answers)
    await assert_others_get_in(doors)
    await doors.server.close()
    assert doors.server.crowd.connections == 0


async def settle(doors: Doors) -> None:
    """Until the server has seen that nobody is there any more."""
    for _ in range(10_000):
        if doors.server.crowd.connections == 0:
            return
        await asyncio.sleep(0)


def test_one_address_cannot_take_all_places() -> None:
    crowd = Crowd(DoorLimits(connections=10, strangers=8, strangers_per_address=2))
    first = [crowd.enter("192.0.2.1") for _ in range(3)]
    assert [visit is not None for visit in first] == [True, True, False]
    assert crowd.enter("192.0.2.2") is not None
    assert first[0] is not None
    first[0].is_known()
    first[0].is_known()
    again = crowd.enter("192.0.2.1")
    assert again is not None, "a member takes no stranger's place"
    first[0].end()
    first[0].end()
    again.end()
    assert crowd.connections == 2


@pytest.mark.parametrize(
    ("addresses", "let_in"),
    [
        (["2001:db8::1", "2001:db8::2", "2001:db8::3"], 2),
        (["2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1"], 3),
        (["192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.1"], 2),
        (["127.0.0.1"] * 5, 5),
        (["::1"] * 5, 5),
        (["::ffff:127.0.0.1"] * 5, 5),
        ([""] * 5, 5),
    ],
)
def test_neighbours_of_ipv6_count_as_one_and_loopback_as_many(addresses: list[str], let_in: int) -> None:
    crowd = Crowd(DoorLimits(strangers_per_address=2))
    assert sum(crowd.enter(address) is not None for address in addresses) == let_in


def test_who_is_refused_too_often_waits_and_addresses_are_forgotten() -> None:
    refusals = Refusals(DoorLimits(refusals_per_second=1, refusal_burst=3, addresses=2))
    assert [refusals.count("192.0.2.1", 100.0) for _ in range(4)] == [True, True, True, False]
    assert refusals.count("192.0.2.2", 100.0)
    assert refusals.count("192.0.2.1", 101.5)
    assert not refusals.count("192.0.2.1", 101.5)
    assert all(refusals.count("127.0.0.1", 100.0) for _ in range(100))
    for address in ("192.0.2.3", "192.0.2.4"):
        refusals.count(address, 101.5)
    assert refusals.count("192.0.2.1", 101.5), "it was forgotten"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["enter", "known", "end"])), max_size=60))
@settings(deadline=None)
def test_however_they_come_and_go_the_crowd_is_empty_in_the_end(steps: list[tuple[str, str]]) -> None:
    crowd = Crowd(DoorLimits(connections=6, strangers=4, strangers_per_address=3))
    visits: list[Any] = []
    for address, step in steps:
        if step == "enter":
            visits.append(crowd.enter(address))
        for visit in [visit for visit in visits if visit is not None][-1:]:
            if step == "known":
                visit.is_known()
            elif step == "end":
                visit.end()
        assert crowd.connections <= 6
    for visit in visits:
        if visit is not None:
            visit.end()
    assert crowd.connections == 0
    assert all(crowd.enter("x") for _ in range(3)), "all places are free again"


async def test_a_full_outbox_gives_up_once_and_takes_nothing_more() -> None:
    given_up: list[None] = []
    outbox: SignalSink = Outbox(1000, lambda: given_up.append(None))
    for _ in range(100):
        outbox.send(pb.SignalResponse(answer=pb.SessionDescription(sdp="x" * 400)))
    assert len(given_up) == 1
    assert isinstance(outbox, Outbox)
    assert await outbox.next() is None


async def test_one_message_may_be_larger_than_the_outbox() -> None:
    outbox = Outbox(1000, lambda: pytest.fail("given up"))
    outbox.send(pb.SignalResponse(answer=pb.SessionDescription(sdp="x" * 100_000)))
    assert len(await outbox.next() or b"") > 100_000


@given(st.binary() | st.text())
@settings(deadline=None)
def test_any_frame_is_a_request_or_malformed(data: bytes | str) -> None:
    with suppress(MalformedError):
        assert isinstance(read_frame(data), pb.SignalRequest)


@given(st.lists(st.binary(max_size=300), max_size=5))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_bytes_on_an_open_socket_harm_nobody(doors: Doors, pieces: list[bytes]) -> None:
    async with raw_websocket(doors.server.port, token()) as wire:
        for piece in pieces:
            wire.writer.write(piece)
            await asyncio.sleep(0)
    await assert_others_get_in(doors)
