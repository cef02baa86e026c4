"""Tells web servers what happens in the rooms: signed posts, in order for each room, tried again while one is away.

Nobody waits for it: what a server does not take in time is dropped, counted, and told with the next event it takes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from google.protobuf.json_format import MessageToJson
from livekit.protocol.webhook import WebhookEvent

from channel_recorder.errors import ConfigError
from channel_recorder.protocol.tokens import make_webhook_token

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/webhook+json"
POST_SECONDS = 10.0
_TIMEOUT = httpx.Timeout(POST_SECONDS).as_dict()
_TRY_AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookLimits:
    waiting_events: int = 1000
    """For each URL."""
    posts_at_once: int = 8
    """To each URL, of different rooms."""
    retry_seconds: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    """Before the second attempt, the third, ... after the last the event is dropped."""


class WebhookPoster:
    """To be made and used on one running loop. Closes with `close`."""

    def __init__(
        self,
        urls: Sequence[str],
        api_key: str,
        api_secret: str,
        *,
        wall_seconds: Callable[[], float],
        limits: WebhookLimits | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Raises ConfigError for a URL that is none."""
        for url in urls:
            check_webhook_url(url)
        # Without a client around it, which would write the whole URL into its log.
        self._transport = httpx.AsyncHTTPTransport()
        self._destinations = [
            _Destination(
                url, _Letter(api_key, api_secret, wall_seconds), self._transport, limits or WebhookLimits(), sleep
            )
            for url in urls
        ]

    def post(self, event: WebhookEvent) -> None:
        """Never blocks."""
        for destination in self._destinations:
            destination.add(event)

    async def close(self, timeout_seconds: float) -> None:
        """Waits a little for what is on its way, then gives up."""
        tasks = [task for destination in self._destinations for task in destination.tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._transport.aclose()


def check_webhook_url(url: str) -> None:
    """Raises ConfigError."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        is_good = False
    if not is_good:
        raise ConfigError("the webhook URL is not acceptable: give http://HOST/PATH or https://HOST/PATH")


@dataclass(frozen=True, slots=True)
class _Letter:
    """An event as it is posted."""

    api_key: str
    api_secret: str
    wall_seconds: Callable[[], float]

    def request(self, url: str, event: WebhookEvent) -> httpx.Request:
        body = MessageToJson(event, indent=None).encode()
        token = make_webhook_token(self.api_key, self.api_secret, body, now_seconds=self.wall_seconds())
        headers = {"Content-Type": CONTENT_TYPE, "Authorization": token}
        return httpx.Request("POST", url, content=body, headers=headers, extensions={"timeout": _TIMEOUT})


class _Destination:
    """One URL: a lane of waiting events for each room, each emptied by a task of its own."""

    def __init__(
        self,
        url: str,
        letter: _Letter,
        transport: httpx.AsyncHTTPTransport,
        limits: WebhookLimits,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._url = url
        self._host = urlsplit(url).hostname or ""
        self._letter = letter
        self._transport = transport
        self._limits = limits
        self._sleep = sleep
        self._posting = asyncio.Semaphore(limits.posts_at_once)
        self._lanes: dict[str, deque[WebhookEvent]] = {}
        self._waiting = 0
        self._dropped = 0
        self.tasks: set[asyncio.Task[None]] = set()

    def add(self, event: WebhookEvent) -> None:
        if self._waiting >= self._limits.waiting_events:
            self._drop("too many wait")
            return
        # A copy: each URL is told of drops of its own.
        copy = WebhookEvent()
        copy.CopyFrom(event)
        self._waiting += 1
        lane = self._lanes.get(event.room.name)
        if lane is not None:
            lane.append(copy)
            return
        self._lanes[event.room.name] = deque((copy,))
        task = asyncio.get_running_loop().create_task(self._empty(event.room.name))
        self.tasks.add(task)
        task.add_done_callback(self._emptied)

    async def _empty(self, room: str) -> None:
        lane = self._lanes[room]
        while lane:
            event = lane.popleft()
            await self._deliver(event)
            self._waiting -= 1
        del self._lanes[room]

    async def _deliver(self, event: WebhookEvent) -> None:
        for delay_seconds in (*self._limits.retry_seconds, None):
            problem = await self._attempt(event)
            if problem is None:
                return
            if delay_seconds is None or not problem.is_passing:
                self._drop(problem.sentence)
                return
            await self._sleep(delay_seconds)

    async def _attempt(self, event: WebhookEvent) -> _Problem | None:
        async with self._posting:
            event.num_dropped, dropped = self._dropped, self._dropped
            try:
                response = await self._transport.handle_async_request(self._letter.request(self._url, event))
                await response.aclose()
            except httpx.HTTPError as error:
                return _Problem(True, type(error).__name__)
        if response.is_success:
            self._dropped -= dropped
            return None
        status = response.status_code
        return _Problem(status >= 500 or status in _TRY_AGAIN, f"status {status}")

    def _drop(self, why: str) -> None:
        self._dropped += 1
        if self._dropped == 1:
            logger.warning("webhook events for %s are lost: %s", self._host, why)

    def _emptied(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("posting webhooks failed", exc_info=error)


@dataclass(frozen=True, slots=True)
class _Problem:
    is_passing: bool
    sentence: str
