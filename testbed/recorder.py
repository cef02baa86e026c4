"""Runs the command line `channel-recorder record`, as an operator or a program would."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from testbed import children
from testbed.server_process import API_KEY, API_SECRET

JOIN_LIMIT_SECONDS = 20
EXIT_LIMIT_SECONDS = 20
MAX_LINE_BYTES = 1 << 20


class Reachable(Protocol):
    """A server, or a way to it."""

    @property
    def url(self) -> str: ...


class RecorderFailedError(Exception):
    """It did not join, or did not end in time."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a recorder left behind."""

    directory: Path
    exit_code: int
    events: tuple[dict[str, Any], ...]
    log: str

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.directory / "manifest.json").read_text())

    @property
    def journal(self) -> list[dict[str, Any]]:
        """Whole lines only: a kill may have cut the last."""
        lines = (self.directory / "journal.jsonl").read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    @property
    def files(self) -> list[dict[str, Any]]:
        return self.manifest["files"]

    def files_of(self, account: str, *, screen: bool = False) -> list[dict[str, Any]]:
        """The manifest's entries of one user, in order of their start."""
        found = [file for file in self.files if file["account"] == account and ("screen" in file["source"]) is screen]
        return sorted(found, key=lambda file: file["start"])

    def paths_of(self, account: str, *, screen: bool = False) -> list[Path]:
        return [self.directory / file["name"] for file in self.files_of(account, screen=screen)]

    def media_files(self) -> list[Path]:
        """By their endings: what lies there, manifest or not."""
        endings = {".webm", ".mp4", ".ogg", ".m4a", ".aac", ".mkv"}
        return sorted(path for path in self.directory.iterdir() if path.suffix in endings)


class Recorder:
    """One process. `await Recorder.start(...)` returns when it has joined."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._output = asyncio.create_task(self._read_events())
        self._log = asyncio.create_task(_read_all(process.stderr))
        self._joined = asyncio.Event()
        self.events: list[dict[str, Any]] = []

    @classmethod
    async def start(
        cls, server: Reachable, channel: str, root: Path, *flags: str, uid: int = 900, idle_limit_sec: int = 60
    ) -> Self:
        process = await children.start(
            *(sys.executable, "-m", "channel_recorder.cli", "record", channel, "--json"),
            *("--uid", str(uid), "--record-file-root-dir", str(root), "--idle-limit-sec", str(idle_limit_sec)),
            *flags,
            env=os.environ | environment(server),
            stdin=asyncio.subprocess.DEVNULL,
            limit=MAX_LINE_BYTES,
        )
        recorder = cls(process)
        await recorder._wait_joined()
        return recorder

    async def _wait_joined(self) -> None:
        waiters = [asyncio.create_task(self._joined.wait()), self._output]
        try:
            await asyncio.wait(waiters, timeout=JOIN_LIMIT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiters[0].cancel()
        if not self._joined.is_set():
            self.kill()
            await self._process.wait()
            raise RecorderFailedError(f"did not join: {self.events} {await self._log}")

    async def _read_events(self) -> None:
        stdout = self._process.stdout
        while stdout is not None and (line := await stdout.readline()):
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == "joined":
                self._joined.set()

    @property
    def storage_dir(self) -> Path:
        return Path(next(event["storage_dir"] for event in self.events if event["event"] == "joined"))

    @property
    def process_id(self) -> int:
        return self._process.pid

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()

    async def stop(self, number: signal.Signals = signal.SIGINT) -> Recording:
        """Asks it to leave, and waits until it has finished its files."""
        self.send_signal(number)
        return await self.ended()

    async def ended(self, limit_seconds: float = EXIT_LIMIT_SECONDS) -> Recording:
        """Waits until it ends by itself."""
        try:
            exit_code = await asyncio.wait_for(self._process.wait(), limit_seconds)
        except TimeoutError:
            self.kill()
            raise RecorderFailedError(f"still runs after {limit_seconds} s: {self.events[-5:]}") from None
        await self._output
        return Recording(self.storage_dir, exit_code, tuple(self.events), await self._log)


def environment(server: Reachable) -> dict[str, str]:
    """Server and secret for the command line, out of sight of process lists."""
    return {
        "CHANNEL_RECORDER_SERVER_URL": server.url,
        "CHANNEL_RECORDER_APP_ID": API_KEY,
        "CHANNEL_RECORDER_APP_CERTIFICATE": API_SECRET,
    }


async def _read_all(stream: asyncio.StreamReader | None) -> str:
    return (await stream.read()).decode(errors="replace") if stream else ""
