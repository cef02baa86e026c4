"""What the channel servers that tests run have in common: a process on loopback, on ports of its own."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from livekit import api

API_KEY = "devkey"
API_SECRET = "a-secret-of-at-least-32-characters-xx"
START_LIMIT_SECONDS = 20
START_ATTEMPTS = 3


class ServerError(Exception):
    """A server is missing or does not start."""


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerProcess(ABC):
    """`with ...Server() as server:` runs one until the block ends; its log is kept at `log_path`."""

    name: str
    """For people: which server, which version."""
    version: str
    """As it tells it to its clients."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="channel-server-")
        self.log_path = self.folder / "server.log"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> list[str]:
        """Starts the server on `port`, and on the same other ports each time for one `port`."""

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)

    @property
    def folder(self) -> Path:
        return Path(self._folder.name)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def process_id(self) -> int:
        if self._process is None:
            raise ServerError(f"{self.name} does not run")
        return self._process.pid

    def __enter__(self) -> Self:
        for _ in range(START_ATTEMPTS):
            # A free port may be taken by somebody else before the server has it.
            self.port = free_port(socket.SOCK_STREAM)
            self._run()
            if self._wait_until_up():
                return self
            self.kill()
        log = self.log_path.read_text()
        self._folder.cleanup()
        raise ServerError(f"{self.name} does not start:\n{log[-2000:]}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._folder.cleanup()

    def terminate(self) -> None:
        """Asks it to end now, and lets it tell everybody. `kill` at the end of the block does the rest."""
        os.kill(self.process_id, signal.SIGTERM)

    def kill(self) -> None:
        """No good-bye to anybody: a polite stop may wait for the rooms to empty."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def revive(self) -> None:
        """After `kill`: the same ports, no rooms. Raises ServerError."""
        self._run()
        if not self._wait_until_up():
            raise ServerError(f"{self.name} does not start again")

    def _run(self) -> None:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(self._command(), env=self._environment(), stdout=log, stderr=log)

    def _wait_until_up(self) -> bool:
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            if self._answers():
                return True
            time.sleep(0.05)
        return False

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()

    def token(
        self,
        channel: str,
        identity: str,
        *,
        name: str = "",
        metadata: str = "",
        can_publish: bool = True,
        valid_for: timedelta = timedelta(hours=1),
    ) -> str:
        grants = api.VideoGrants(
            room_join=True, room=channel, can_publish=can_publish, can_subscribe=True, can_update_own_metadata=True
        )
        token = api.AccessToken(API_KEY, API_SECRET).with_identity(identity).with_name(name or identity)
        return token.with_metadata(metadata).with_grants(grants).with_ttl(valid_for).to_jwt()

    def admin(self) -> api.LiveKitAPI:
        """RoomService and the rest, to be used as an async context manager."""
        return api.LiveKitAPI(f"http://127.0.0.1:{self.port}", API_KEY, API_SECRET)
