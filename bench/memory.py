"""Memory of each further recording in one process: the growth of the resident set from 5 recordings to 25.

livekit-server and one official client that publishes camera and microphone, on loopback. Every recording is an engine
of its own (asyncio face) with its own connection, files and books; all record the same channel, which is no
difference to them: hidden members do not see each other.

python -m bench.memory
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import tempfile
from pathlib import Path

import uvloop

from bench import report
from bench.channels import rss_bytes
from channel_recorder.aio import RecordingEngine
from channel_recorder.config import RecordingConfig
from testbed.publisher import Publisher
from testbed.server import LiveKitServer
from testbed.server_process import API_KEY, API_SECRET, ServerProcess

GOAL_MB = 5.0
FEW, MANY = 5, 25
SETTLE_SECONDS = 10.0


class Recordings:
    def __init__(self, server: ServerProcess, root: Path) -> None:
        self._server = server
        self._config = RecordingConfig(record_file_root_dir=root)
        self._engines: list[RecordingEngine] = []

    async def grow(self, count: int) -> float:
        """Bytes of memory with so many recordings, after they ran for a while."""
        while len(self._engines) < count:
            engine = RecordingEngine(API_KEY, server_url=self._server.url, app_certificate=API_SECRET)
            self._engines.append(engine)
            await engine.join_channel(None, "bench", 900 + len(self._engines), self._config)
        await asyncio.sleep(SETTLE_SECONDS)
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        return rss_bytes()

    async def release(self) -> list[Path]:
        """Where they recorded."""
        for engine in self._engines:
            await engine.release()
        return [engine.get_properties().storage_dir for engine in self._engines]


async def compare() -> tuple[float, float, float]:
    """Bytes with a few recordings, with many, and with many a while later."""
    with LiveKitServer() as server, tempfile.TemporaryDirectory() as folder:
        async with Publisher(server, "bench", "7") as publisher:
            await publisher.publish_camera("vp8")
            await publisher.publish_microphone()
            recordings = Recordings(server, Path(folder))
            few = await recordings.grow(FEW)
            many = await recordings.grow(MANY)
            later = await recordings.grow(MANY)
            for directory in await recordings.release():
                if not list(directory.glob("*.webm")):
                    raise RuntimeError(f"nothing was recorded in {directory}")
    return few, many, later


def measure() -> list[report.Figure]:
    few, many, later = uvloop.run(compare())
    note = f"{few / 2**20:.0f} MB with {FEW}, {many / 2**20:.0f} MB with {MANY}, {later / 2**20:.0f} MB 10 s later"
    each = (later - few) / (MANY - FEW) / 2**20
    return [report.Figure(what="memory of each further recording", value=each, unit="MB", at_most=GOAL_MB, note=note)]


if __name__ == "__main__":
    report.run("Memory", measure)
