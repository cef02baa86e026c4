"""Webhooks as a web server sees them: signed, in order, once, again after a failure, and never in anybody's way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from livekit import api
from livekit.protocol import models
from livekit.protocol.webhook import WebhookEvent
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from channel_recorder.clock import unix_seconds
from channel_recorder.errors import ConfigError
from channel_recorder.sfu.doors.server import DoorServer, listen
from channel_recorder.sfu.doors.webhooks import WebhookLimits, WebhookPoster
from tests.sfu.doors.conftest import KEY, SECRET

LIMITS = WebhookLimits(retry_seconds=(1.0, 2.0))


class Receiver:
    """A web server that checks what it gets with the official SDK. `answers`: statuses, then 200 for ever."""

    def __init__(self) -> None:
        self.events: list[WebhookEvent] = []
        self.refused: list[WebhookEvent] = []
        self.answers: list[int] = []
        self.gate: asyncio.Event | None = None
        self.kinds: set[str] = set()
        self.server: DoorServer
        self._sdk = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/hook?secret=path"

    async def receive(self, request: Request) -> Response:
        self.kinds.add(request.headers["content-type"])
        event = self._sdk.receive((await request.body()).decode(), request.headers["authorization"])
        if self.gate is not None:
            await self.gate.wait()
        status = self.answers.pop(0) if self.answers else 200
        (self.events if status == 200 else self.refused).append(event)
        return Response(status_code=status)

    def got(self) -> list[str]:
        return [event.id for event in self.events]


class Stage:
    """Receivers and a poster that does not wait between attempts, but notes how long it would have."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.waits: list[float] = []

    async def receiver(self) -> Receiver:
        receiver = Receiver()
        receiver.server = await DoorServer.open(
            Router([Route("/hook", receiver.receive, methods=["POST"])]), await listen("127.0.0.1", 0)
        )
        self._stack.push_async_callback(receiver.server.close)
        return receiver

    def poster(self, *urls: str, limits: WebhookLimits = LIMITS) -> WebhookPoster:
        poster = WebhookPoster(urls, KEY, SECRET, wall_seconds=unix_seconds, limits=limits, sleep=self._sleep)
        self._stack.push_async_callback(poster.close, 0)
        return poster

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture
async def stage() -> AsyncGenerator[Stage]:
    async with AsyncExitStack() as stack:
        yield Stage(stack)


def event(number: int, room: str = "lesson") -> WebhookEvent:
    return WebhookEvent(
        event="participant_joined",
        id=str(number),
        created_at=1_800_000_000,
        room=models.Room(name=room, sid="RM_1"),
        participant=models.ParticipantInfo(identity="Ä\n7"),
    )


async def test_the_official_receiver_takes_every_event_in_order(stage: Stage) -> None:
    receiver = await stage.receiver()
    poster = stage.poster(receiver.url)
    for number in range(20):
        poster.post(event(number))
    await poster.close(20)
    assert receiver.events == [event(number) for number in range(20)]
    assert receiver.kinds == {"application/webhook+json"}


async def test_every_url_is_told(stage: Stage) -> None:
    receivers = [await stage.receiver(), await stage.receiver()]
    poster = stage.poster(*(receiver.url for receiver in receivers))
    poster.post(event(1))
    await poster.close(20)
    assert [receiver.got() for receiver in receivers] == [["1"], ["1"]]


async def test_a_failure_is_tried_again_and_later_events_wait(stage: Stage) -> None:
    receiver = await stage.receiver()
    receiver.answers = [500, 429]
    poster = stage.poster(receiver.url)
    for number in range(3):
        poster.post(event(number))
    await poster.close(20)
    assert receiver.got() == ["0", "1", "2"]
    assert [refused.id for refused in receiver.refused] == ["0", "0"]
    assert stage.waits == [1.0, 2.0]


async def test_one_rooms_trouble_does_not_hold_up_another(stage: Stage) -> None:
    slow, quick = asyncio.Event(), await stage.receiver()
    poster = WebhookPoster([quick.url], KEY, SECRET, wall_seconds=unix_seconds, limits=LIMITS, sleep=_until(slow))
    quick.answers = [503]
    poster.post(event(1, "lesson"))
    poster.post(event(2, "lesson"))
    async with asyncio.timeout(20):
        while not quick.refused:
            await _turn()
    poster.post(event(3, "other"))
    async with asyncio.timeout(20):
        while not quick.events:
            await _turn()
    assert quick.got() == ["3"]
    slow.set()
    await poster.close(20)
    assert quick.got() == ["3", "1", "2"]


async def _turn() -> None:
    await asyncio.sleep(0)


def _until(happened: asyncio.Event) -> Any:
    async def sleep(_seconds: float) -> None:
        await happened.wait()

    return sleep


@pytest.mark.parametrize(("answers", "attempts"), [([500] * 3, 3), ([400], 1), ([404], 1), ([301], 1)])
async def test_what_is_lost_is_counted_in_the_next_event(
    stage: Stage, answers: list[int], attempts: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = await stage.receiver()
    receiver.answers = list(answers)
    poster = stage.poster(receiver.url)
    for number in range(3):
        poster.post(event(number))
    await poster.close(20)
    assert len(receiver.refused) == attempts
    assert receiver.got() == ["1", "2"]
    assert [told.num_dropped for told in receiver.events] == [1, 0]
    assert caplog.messages == [f"webhook events for 127.0.0.1 are lost: status {answers[0]}"]


async def test_a_server_that_is_away_costs_nothing_but_its_events(stage: Stage) -> None:
    receiver = await stage.receiver()
    url = receiver.url
    await receiver.server.close()
    poster = stage.poster(url)
    poster.post(event(1))
    await poster.close(20)
    assert stage.waits == [1.0, 2.0]


async def test_only_so_much_waits_and_the_rest_is_counted(stage: Stage) -> None:
    receiver = await stage.receiver()
    receiver.gate = asyncio.Event()
    poster = stage.poster(receiver.url, limits=WebhookLimits(waiting_events=3, retry_seconds=()))
    for number in range(10):
        poster.post(event(number))
    receiver.gate.set()
    async with asyncio.timeout(20):
        while len(receiver.events) < 3:
            await _turn()
    await _drained(poster)
    poster.post(event(10))
    await poster.close(20)
    assert receiver.got() == ["0", "1", "2", "10"]
    assert sum(told.num_dropped for told in receiver.events) == 7


async def _drained(poster: WebhookPoster) -> None:
    for destination in poster._destinations:
        await asyncio.gather(*destination.tasks)


async def test_closing_waits_for_nobody_for_ever(stage: Stage) -> None:
    receiver = await stage.receiver()
    receiver.gate = asyncio.Event()
    poster = stage.poster(receiver.url)
    poster.post(event(1))
    await poster.close(0)
    receiver.gate.set()
    assert receiver.got() == []


async def test_no_secret_reaches_the_log(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    receiver = await stage.receiver()
    receiver.answers = [200, 400]
    poster = stage.poster(receiver.url)
    poster.post(event(1))
    poster.post(event(2))
    await poster.close(20)
    for secret in (SECRET, "secret=path", "eyJ"):
        assert secret not in caplog.text


@pytest.mark.parametrize("url", ["", "ftp://a/b", "http://", "a.example/hook", "http://a:0/x", "http://a:port/"])
async def test_a_url_that_is_none_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ConfigError, match="webhook URL") as caught:
        WebhookPoster([url], KEY, SECRET, wall_seconds=unix_seconds)
    assert not url or url not in str(caught.value).replace("http://HOST", "")
