"""Drives a synthetic participant (`testbed.participant`) that runs the official Python SDK in a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from testbed import children
from testbed.person import Captured, Person, PersonError

__all__ = ["Captured", "Publisher"]

ANSWER_LIMIT_SECONDS = 30
MAX_LINE_BYTES = 1 << 24
ROOT = Path(__file__).resolve().parent.parent


class Publisher(Person):
    """Subscribes to nothing unless it is told to, which is what most scenes of the recorder want."""

    def __init__(self, *arguments: Any, subscribes: bool = False, **options: Any) -> None:
        super().__init__(*arguments, subscribes=subscribes, **options)
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    @property
    def is_there(self) -> bool:
        return self._process is not None

    @property
    def process_id(self) -> int:
        if self._process is None:
            raise PersonError(f"{self.identity} is not there")
        return self._process.pid

    async def _begin(self) -> None:
        command = (sys.executable, "-m", "testbed.participant")
        self._process = await children.start(*command, cwd=ROOT, limit=MAX_LINE_BYTES)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            # The SDK's own shutdown at interpreter exit may take a while or panic: everything was said.
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def resize(self, width: int, height: int, source: str = "camera") -> None:
        await self._do("resize", source=source, width=width, height=height)

    async def rotate(self, degrees: int, source: str = "camera") -> None:
        await self._do("rotate", source=source, degrees=degrees)

    async def use_key(self, key: str, key_index: int) -> None:
        """Encrypts with another passphrase from now on, under this index."""
        await self._do("use_key", key=key, key_index=key_index)

    async def ratchet_key(self) -> None:
        """Encrypts with the key that follows from the one in use."""
        await self._do("ratchet_key")

    async def flood_data(self, count: int, size: int) -> None:
        await self._do("flood_data", count=count, size=size)

    async def _do(self, method: str, **arguments: Any) -> Any:
        async with self._lock:
            process = self._process
            if process is None or process.stdin is None or process.stdout is None:
                raise PersonError(f"{self.identity} is not there")
            process.stdin.write(json.dumps({"do": method, **arguments}).encode() + b"\n")
            line = await asyncio.wait_for(process.stdout.readline(), ANSWER_LIMIT_SECONDS)
            if not line:
                noise = await process.stderr.read() if process.stderr else b""
                raise PersonError(f"{self.identity} died at {method}: {noise.decode(errors='replace')[-2000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise PersonError(f"{self.identity}: {method}: {answer['error']}")
        return answer["result"]
