"""Receives the webhooks of a channel server, and checks their signatures as the official library does."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from aiohttp import web
from livekit import api
from livekit.protocol.models import TrackSource
from livekit.protocol.webhook import WebhookEvent

from testbed.server_process import API_KEY, API_SECRET


class Webhooks:
    """`async with Webhooks() as hooks:` listens at `hooks.url`. A wrong signature is answered with 401 and counted."""

    def __init__(self) -> None:
        self.events: list[WebhookEvent] = []
        self.forged = 0
        self.url = ""
        self._receiver = api.WebhookReceiver(api.TokenVerifier(API_KEY, API_SECRET))
        application = web.Application()
        application.add_routes([web.post("/hook", self._receive)])
        self._runner = web.AppRunner(application)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = (await request.read()).decode()
        try:
            event = self._receiver.receive(body, request.headers.get("Authorization", ""))
        except Exception:  # noqa: BLE001 - the library raises whatever comes to its mind
            self.forged += 1
            return web.Response(status=401)
        self.events.append(event)
        return web.Response()

    def told(self, room: str) -> list[str]:
        """`event identity source`, in order, of one room."""
        return [_words(event) for event in self.events if event.room.name == room]


def _words(event: WebhookEvent) -> str:
    source = TrackSource.Name(event.track.source).lower() if event.HasField("track") else ""
    return " ".join(filter(None, (event.event, event.participant.identity, source)))
