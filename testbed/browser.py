"""Synthetic participants in Chromium: the official JavaScript SDK, of several versions, each in a page of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from playwright.async_api import Browser, ConsoleMessage, Page

from testbed.chromium import chromium
from testbed.person import Person, PersonError
from testbed.server_process import ServerProcess

CLIENT_VERSIONS = ("2.15.16", "2.18.10", "2.23.0")
"""Of livekit-client. 2.15 takes the older signalling path unless told otherwise, the others the newer one."""
ANSWER_LIMIT_SECONDS = 30
PAGE = Path(__file__).resolve().parent / "page"


class ClientMissingError(Exception):
    """A version of livekit-client is not there."""


def client_folder(version: str) -> Path:
    """Where scripts/setup_tools.py puts livekit-client. Raises ClientMissingError."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "channel-recorder" / "livekit-client" / version
    if not (folder / "livekit-client.umd.js").exists():
        raise ClientMissingError(f"livekit-client {version} is missing: run `python3 scripts/setup_tools.py test`")
    return folder


class Browsers:
    """`async with browsers() as people:` one Chromium, in which `people.person(...)` makes participants."""

    def __init__(self, chromium: Browser, page_url: str) -> None:
        self._chromium, self._page_url = chromium, page_url

    def person(
        self, server: ServerProcess, channel: str, identity: str, version: str = CLIENT_VERSIONS[-1], **options: Any
    ) -> BrowserPerson:
        url = f"{self._page_url}/?version={version}"
        return BrowserPerson(self._chromium, url, server, channel, identity, **options)


class BrowserPerson(Person):
    def __init__(self, chromium: Browser, url: str, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._chromium, self._url = chromium, url
        self._page: Page | None = None
        self.complaints: list[str] = []
        """Warnings and errors on the page's console."""

    @property
    def is_there(self) -> bool:
        return self._page is not None

    async def _begin(self) -> None:
        self._page = await self._chromium.new_page()
        self._page.set_default_timeout(ANSWER_LIMIT_SECONDS * 1000)
        self._page.on("console", self._on_console)
        self._page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        await self._page.goto(self._url)
        await self._page.wait_for_function("window.participant !== undefined")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("warning", "error"):
            self.complaints.append(f"{message.type}: {message.text}")

    async def _end(self) -> None:
        page, self._page = self._page, None
        if page is not None:
            await page.close()

    async def set_enabled(self, identity: str, source: str, enabled: bool) -> None:
        """Whether a subscribed picture is sent to it at all."""
        await self._do("set_enabled", identity=identity, source=source, enabled=enabled)

    async def evaluate(self, script: str, argument: Any = None) -> Any:
        """Anything else that the page can do."""
        if self._page is None:
            raise PersonError(f"{self.identity} is not there")
        return await self._page.evaluate(script, argument)

    async def _do(self, method: str, **arguments: Any) -> Any:
        script = """async ({ method, argument, limit }) => Promise.race([
            participant.do(method, argument).then((result) => ({ result }), (error) => ({ error: `${error}` })),
            new Promise((resolve) => setTimeout(() => resolve({ error: `no answer in ${limit} s` }), limit * 1000)),
        ])"""
        asked = {"method": method, "argument": arguments, "limit": ANSWER_LIMIT_SECONDS}
        answer = await self.evaluate(script, asked)
        if "error" in answer:
            raise PersonError(f"{self.identity}: {method}: {answer['error']} {self.complaints[-5:]}")
        return answer["result"]


@asynccontextmanager
async def browsers(*flags: str) -> AsyncGenerator[Browsers]:
    runner = web.AppRunner(_application())
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with chromium(*flags) as browser:
            yield Browsers(browser, f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


def _application() -> web.Application:
    async def index(request: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "index.html")

    application = web.Application()
    application.add_routes([web.get("/", index), web.static("/page", PAGE)])
    application.add_routes([web.static(f"/client/{version}", client_folder(version)) for version in CLIENT_VERSIONS])
    return application
