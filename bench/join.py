"""From `join_channel` to the first key frame on disk, where somebody is publishing already: livekit-server and an
official client on loopback. The recorder is the asyncio engine in this process.

The steps are taken by listening in on the product's own calls. "On disk": the cluster with the key frame was written.

python -m bench.join
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import uvloop

from bench import report
from channel_recorder.aio import RecordingEngine
from channel_recorder.config import RecordingConfig
from channel_recorder.handler import RecordingHandler
from channel_recorder.media.containers.webm import WebmFile
from channel_recorder.model import User
from channel_recorder.rtc.peer.connection import SubscriberPeer
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.wiring.attempt import Attempt
from testbed.publisher import Publisher
from testbed.server import LiveKitServer
from testbed.server_process import API_KEY, API_SECRET, ServerProcess

JOINS = 10
GOAL_MS = 500.0
LIMIT_SECONDS = 10.0
STEPS = {
    "joined": "checks, WebSocket, join",
    "media offered": "subscription, media offer",
    "answered": "answer",
    "connected": "ICE and DTLS",
    "key frame": "first key frame received",
    "file created": "file created",
    "on disk": "key frame on disk",
}


class Stopwatch(RecordingHandler):
    """When each step was first reached, in ms since the start."""

    def __init__(self) -> None:
        self.reached: dict[str, float] = {}
        self.done = asyncio.Event()
        self._start = time.monotonic()
        self._loop = asyncio.get_running_loop()

    def reach(self, step: str) -> None:
        self.reached.setdefault(step, (time.monotonic() - self._start) * 1e3)
        if step == "on disk":
            self._loop.call_soon_threadsafe(self.done.set)

    def on_join_channel_success(self, channel_id: str, uid: int) -> None:
        self.reach("joined")

    def on_first_remote_video_frame(self, uid: int, width: int, height: int, elapsed_ms: int) -> None:
        self.reach("key frame")

    def on_file_created(self, path: Path, user: User) -> None:
        self.reach("file created")

    def listen(self) -> list[Any]:
        """Patches that tell of what no callback tells."""
        return [
            patch.object(Attempt, "on_media_added", self._before("media offered", Attempt.on_media_added)),
            patch.object(Attempt, "on_state", self._on_state(Attempt.on_state)),
            patch.object(SubscriberPeer, "answer", self._answer(SubscriberPeer.answer)),
            patch.object(WebmFile, "_write_cluster", self._cluster(WebmFile._write_cluster)),
        ]

    def _before(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.reach(step)
            return function(*arguments)

        return call

    def _cluster(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: WebmFile) -> None:
            function(file)
            if file._cues:  # a key frame was among what was written
                self.reach("on disk")

        return call

    def _on_state(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(attempt: Attempt, state: PeerState, detail: str) -> None:
            if state is PeerState.CONNECTED:
                self.reach("connected")
            function(attempt, state, detail)

        return call

    def _answer(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(peer: SubscriberPeer, offer: str) -> str:
            answer = await function(peer, offer)
            if "m=video" in offer:
                self.reach("answered")
            return answer

        return call


async def join_once(server: ServerProcess, root: Path, number: int) -> dict[str, float]:
    stopwatch = Stopwatch()
    patches = stopwatch.listen()
    for each in patches:
        each.start()
    engine = RecordingEngine(API_KEY, stopwatch, server_url=server.url, app_certificate=API_SECRET)
    try:
        await engine.join_channel(None, "bench", 900 + number, RecordingConfig(record_file_root_dir=root))
        async with asyncio.timeout(LIMIT_SECONDS):
            await stopwatch.done.wait()
    finally:
        for each in patches:
            each.stop()
        await engine.release()
    return stopwatch.reached


async def join_often() -> list[dict[str, float]]:
    with LiveKitServer() as server, tempfile.TemporaryDirectory() as folder:
        async with Publisher(server, "bench", "7") as publisher:
            await publisher.publish_camera("vp8")
            await publisher.publish_microphone()
            await asyncio.sleep(2.0)
            joins: list[dict[str, float]] = []
            for number in range(JOINS + 1):
                joins.append(await join_once(server, Path(folder), number))
                await asyncio.sleep(0.5)
            return joins[1:]  # the first loads modules and makes the certificate


def measure() -> list[report.Figure]:
    joins = uvloop.run(join_often())
    totals = [join["on disk"] for join in joins]
    return [
        report.Figure(
            what=f"join to first key frame on disk, median of {JOINS}",
            value=report.median(totals),
            unit="ms",
            at_most=GOAL_MS,
            note=_breakdown(joins),
        ),
        report.Figure(what="the slowest of them", value=max(totals), unit="ms"),
        report.Figure(
            what="join to file created, median", value=report.median(join["file created"] for join in joins), unit="ms"
        ),
    ]


def _breakdown(joins: list[dict[str, float]]) -> str:
    """The medians of the steps; some overlap, so each is told as the time since `join_channel`."""
    return ", ".join(f"{words} {report.median(join[step] for join in joins):.0f}" for step, words in STEPS.items())


if __name__ == "__main__":
    report.run("Join", measure)
