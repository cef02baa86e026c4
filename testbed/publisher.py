"""Drives a synthetic participant (`testbed.participant`) that runs in a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from testbed.server import LiveKitServer

ANSWER_LIMIT_SECONDS = 30
ROOT = Path(__file__).resolve().parent.parent


class PublisherError(Exception):
    """The participant could not do what it was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What one track's device captured: picture n of a camera carries the counter n."""

    captured: int
    """Pictures, or frames of 10 ms of sound."""
    encoded: int
    """Pictures that the encoder made of them; 0 for sound."""
    started_at_unix: float
    started_at_seconds: float
    late_seconds: float
    sizes: tuple[tuple[int, int], ...]

    @property
    def dropped_by_encoder(self) -> int:
        """Pictures that the publisher itself never sent."""
        return self.captured - self.encoded


def _captured(report: dict[str, Any]) -> Captured:
    sizes = tuple((int(width), int(height)) for width, height in report.pop("sizes"))
    return Captured(**report, sizes=sizes)


class Publisher:
    """`async with Publisher(server, "room", "alice") as alice:` joins, and leaves at the end of the block."""

    def __init__(
        self,
        server: LiveKitServer,
        channel: str,
        identity: str,
        *,
        name: str = "",
        metadata: str = "",
        can_publish: bool = True,
    ) -> None:
        self.identity = identity
        self._url = server.url
        self._token = server.token(channel, identity, name=name, metadata=metadata, can_publish=can_publish)
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.join()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        if error is None:
            await self.leave()
        else:
            await self.vanish()

    async def join(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "testbed.participant"),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await self._do("join", url=self._url, token=self._token)
        except BaseException:
            await self.vanish()
            raise

    async def leave(self) -> dict[str, Captured]:
        """Says good-bye. What every track still published had captured, by source."""
        reports = await self._do("leave")
        await self._end()
        return {source: _captured(report) for source, report in reports.items()}

    async def vanish(self) -> None:
        """Killed: no good-bye."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            # The SDK's own shutdown at interpreter exit may take a while or panic: everything was said.
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def publish_camera(
        self,
        codec: str = "vp8",
        *,
        source: str = "camera",
        width: int = 320,
        height: int = 240,
        fps: int = 15,
        simulcast: bool = False,
        max_bitrate: int = 400_000,
        look: str = "plain",
        scalability_mode: str = "",
        rotation: int = 0,
    ) -> str:
        """The sid of the track."""
        return await self._do(
            "publish_video",
            source=source,
            codec=codec,
            width=width,
            height=height,
            fps=fps,
            simulcast=simulcast,
            max_bitrate=max_bitrate,
            look=look,
            scalability_mode=scalability_mode,
            rotation=rotation,
        )

    async def publish_microphone(
        self,
        hz: float = 440,
        *,
        source: str = "microphone",
        has_voice: bool = False,
        dtx: bool = True,
        red: bool = True,
    ) -> str:
        """A steady tone (or a voice of that pitch) and the beeps. The sid of the track."""
        return await self._do("publish_audio", source=source, hz=hz, has_voice=has_voice, dtx=dtx, red=red)

    async def mute(self, source: str) -> None:
        await self._do("mute", source=source)

    async def unmute(self, source: str) -> None:
        await self._do("unmute", source=source)

    async def resize(self, width: int, height: int, source: str = "camera") -> None:
        await self._do("resize", source=source, width=width, height=height)

    async def rotate(self, degrees: int, source: str = "camera") -> None:
        await self._do("rotate", source=source, degrees=degrees)

    async def unpublish(self, source: str) -> Captured:
        return _captured(await self._do("unpublish", source=source))

    async def report(self, source: str) -> Captured:
        return _captured(await self._do("report", source=source))

    async def send_data(self, payload: str, *, topic: str = "", reliable: bool = True) -> None:
        await self._do("send_data", payload=payload, topic=topic, reliable=reliable)

    async def send_text(self, text: str, *, topic: str = "") -> None:
        """A text stream, which is what chats are made of."""
        await self._do("send_text", text=text, topic=topic)

    async def set_metadata(self, metadata: str) -> None:
        await self._do("set_metadata", metadata=metadata)

    async def _do(self, method: str, **arguments: Any) -> Any:
        async with self._lock:
            process = self._process
            if process is None or process.stdin is None or process.stdout is None:
                raise PublisherError(f"{self.identity} is not there")
            process.stdin.write(json.dumps({"do": method, **arguments}).encode() + b"\n")
            line = await asyncio.wait_for(process.stdout.readline(), ANSWER_LIMIT_SECONDS)
            if not line:
                noise = await process.stderr.read() if process.stderr else b""
                raise PublisherError(f"{self.identity} died at {method}: {noise.decode(errors='replace')[-2000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise PublisherError(f"{self.identity}: {method}: {answer['error']}")
        return answer["result"]
