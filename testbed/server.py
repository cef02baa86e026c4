"""A real livekit-server on loopback, on ports of its own."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from livekit import api

CURRENT_VERSION = "1.13.5"
OLD_VERSION = "1.8.4"
"""Knows the v0 signalling path only."""
API_KEY = "devkey"
API_SECRET = "a-secret-of-at-least-32-characters-xx"
CODECS = ("audio/opus", "audio/red", "video/VP8", "video/VP9", "video/H264", "video/AV1", "video/H265", "video/rtx")
START_LIMIT_SECONDS = 20
START_ATTEMPTS = 3


class ServerError(Exception):
    """livekit-server is missing or does not start."""


def binary(version: str) -> Path:
    """Where scripts/setup_tools.py puts livekit-server. Raises ServerError."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "channel-recorder" / "livekit-server" / version / "livekit-server"
    if not path.exists():
        raise ServerError(f"livekit-server {version} is missing: run `python3 scripts/setup_tools.py demo`")
    return path


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _settings(http_port: int, *, auto_create: bool) -> dict[str, object]:
    return {
        "port": http_port,
        "bind_addresses": ["127.0.0.1"],
        "keys": {API_KEY: API_SECRET},
        "rtc": {
            "tcp_port": _free_port(socket.SOCK_STREAM),
            "udp_port": _free_port(socket.SOCK_DGRAM),
            "node_ip": "127.0.0.1",
            "use_external_ip": False,
            "enable_loopback_candidate": True,
            "interfaces": {"includes": ["lo"]},
            "ips": {"includes": ["127.0.0.1/32"]},
            # Without one the server names public STUN servers to its clients.
            "stun_servers": [f"127.0.0.1:{_free_port(socket.SOCK_DGRAM)}"],
        },
        "room": {
            "auto_create": auto_create,
            "empty_timeout": 60,
            "departure_timeout": 20,
            "enabled_codecs": [{"mime": mime} for mime in CODECS],
        },
        "logging": {"level": "info"},
    }


class LiveKitServer:
    """`with LiveKitServer() as server:` runs one until the block ends; its log is kept at `log_path`."""

    def __init__(self, version: str = CURRENT_VERSION, *, auto_create: bool = True) -> None:
        """`auto_create`: rooms are made when somebody joins."""
        self.version = version
        self._auto_create = auto_create
        self._binary = binary(version)
        self._folder = tempfile.TemporaryDirectory(prefix="livekit-server-")
        self.log_path = Path(self._folder.name) / "server.log"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        for _ in range(START_ATTEMPTS):
            # A free port may be taken by somebody else before the server has it.
            self._launch()
            if self._wait_until_up():
                return self
            self._stop()
        log = self.log_path.read_text()
        self._folder.cleanup()
        raise ServerError(f"livekit-server {self.version} does not start:\n{log[-2000:]}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._folder.cleanup()

    def kill(self) -> None:
        """No good-bye to anybody."""
        self._stop()

    def revive(self) -> None:
        """After `kill`: the same ports, no rooms. Raises ServerError."""
        self._run()
        if not self._wait_until_up():
            raise ServerError(f"livekit-server {self.version} does not start again")

    def _launch(self) -> None:
        self.port = _free_port(socket.SOCK_STREAM)
        self._config.write_text(json.dumps(_settings(self.port, auto_create=self._auto_create)))
        self._run()

    @property
    def _config(self) -> Path:
        return Path(self._folder.name) / "server.yaml"

    def _run(self) -> None:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen([self._binary, "--config", self._config], stdout=log, stderr=log)

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

    def _stop(self) -> None:
        if self._process is not None:
            # A polite stop waits for the rooms to empty.
            self._process.kill()
            self._process.wait()
            self._process = None

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
