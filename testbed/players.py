"""Players that people use: FFmpeg's own tools, and Chromium's <video> and <audio>."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from playwright.async_api import Page

from testbed.chromium import chromium, program

PLAY_LIMIT_SECONDS = 60
PLAYBACK_RATE = 4
KEEP_TIME_STAMPS = ("-fps_mode", "passthrough", "-enc_time_base", "-1")
"""Else ffmpeg rounds them to the frame rate that it guesses, and complains of two in one place."""
PLAY = """async ({ url, rate }) => {
  const media = document.createElement('video');
  media.src = url;
  media.playbackRate = rate;
  document.body.append(media);
  const stopped = new Promise((resolve) => {
    for (const event of ['ended', 'error']) media.addEventListener(event, resolve, { once: true });
  });
  media.play().catch(() => {});
  await stopped;
  const quality = media.getVideoPlaybackQuality();
  return {
    ended: media.ended, error: media.error ? `${media.error.code} ${media.error.message}` : '',
    duration_seconds: media.duration, current_seconds: media.currentTime,
    width: media.videoWidth, height: media.videoHeight, frames: quality.totalVideoFrames,
    audio_bytes: media.webkitAudioDecodedByteCount,
  };
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserPlayback:
    ended: bool
    error: str
    duration_seconds: float
    current_seconds: float
    """Where it stood when it ended."""
    width: int
    height: int
    frames: int
    """Decoded, whether shown or not."""
    audio_bytes: int
    """Of encoded sound that was decoded."""


def ffmpeg_complaints(path: Path) -> list[str]:
    """Plays the file to its end with the system's ffmpeg; every line it says at error level. Empty: all is well."""
    command = [program("ffmpeg"), "-v", "error", "-i", path, *KEEP_TIME_STAMPS, "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PLAY_LIMIT_SECONDS, check=False)
    failed = [f"ffmpeg ended with status {done.returncode}"] if done.returncode else []
    return done.stderr.splitlines() + failed


def ffprobe(path: Path) -> dict[str, Any]:
    """Format and streams as the system's ffprobe sees them."""
    command = [program("ffprobe"), "-v", "error", "-of", "json", "-show_format", "-show_streams", path]
    return json.loads(subprocess.run(command, capture_output=True, timeout=PLAY_LIMIT_SECONDS, check=True).stdout)


async def play_in_chromium(paths: list[Path], rate: float = PLAYBACK_RATE) -> dict[Path, BrowserPlayback]:
    """Plays each file from its start to its end, over HTTP, faster than life."""
    server, base_url = await _serve(paths)
    try:
        async with chromium() as browser:
            page = await browser.new_page()
            page.set_default_timeout(PLAY_LIMIT_SECONDS * 1000)
            await page.goto(f"{base_url}/")
            return {
                path: await _play(page, f"{base_url}/{number}/{quote(path.name)}", rate)
                for number, path in enumerate(paths)
            }
    finally:
        await server.cleanup()


async def _play(page: Page, url: str, rate: float) -> BrowserPlayback:
    return BrowserPlayback(**await page.evaluate(PLAY, {"url": url, "rate": rate}))


async def _serve(paths: list[Path]) -> tuple[web.AppRunner, str]:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><body></body>", content_type="text/html")

    async def media(request: web.Request) -> web.FileResponse:
        # Knows ranges, which players need to find the index at a file's end.
        return web.FileResponse(paths[int(request.match_info["number"])])

    app = web.Application()
    app.add_routes([web.get("/", page), web.get("/{number}/{name}", media)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"
