"""Debian's Chromium, headless, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    # Of several pages all but one are in the background, where timers tick once a second.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
)


class ProgramMissingError(Exception):
    """A player or a browser is not installed."""


def program(*names: str) -> str:
    """The path of the first that is installed. Raises ProgramMissingError."""
    for name in names:
        if path := shutil.which(name):
            return path
    raise ProgramMissingError(f"{names[0]} is missing: install the Debian package, or run `make test`, which does")


@asynccontextmanager
async def chromium(*flags: str) -> AsyncGenerator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program(*CHROMIUM_NAMES), args=[*CHROMIUM_FLAGS, *flags], chromium_sandbox=False
        )
        try:
            yield browser
        finally:
            await browser.close()
