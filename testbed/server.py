"""A real livekit-server on loopback, on ports of its own."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

from testbed.server_process import API_KEY, API_SECRET, ServerError, ServerProcess, free_port

CURRENT_VERSION = "1.13.5"
OLD_VERSION = "1.8.4"
"""Knows the v0 signalling path only."""
TERMINATE_LIMIT_SECONDS = 10
CODECS = ("audio/opus", "audio/red", "video/VP8", "video/VP9", "video/H264", "video/AV1", "video/H265", "video/rtx")


def binary(version: str) -> Path:
    """Where scripts/setup_tools.py puts livekit-server. Raises ServerError."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "channel-recorder" / "livekit-server" / version / "livekit-server"
    if not path.exists():
        raise ServerError(f"livekit-server {version} is missing: run `python3 scripts/setup_tools.py test`")
    return path


class LiveKitServer(ServerProcess):
    def __init__(
        self,
        version: str = CURRENT_VERSION,
        *,
        auto_create: bool = True,
        tcp_only: bool = False,
        webhook_url: str = "",
    ) -> None:
        """`auto_create`: rooms are made when somebody joins. `tcp_only`: media goes over ICE/TCP alone."""
        super().__init__()
        self.version, self.name = version, f"livekit-server {version}"
        self._auto_create, self._tcp_only, self._webhook_url = auto_create, tcp_only, webhook_url
        self._binary = binary(version)
        self._written_for = 0

    def terminate(self) -> None:
        """The first signal asks it to wait for the rooms to empty, the second to go at once."""
        super().terminate()
        deadline = time.monotonic() + TERMINATE_LIMIT_SECONDS
        while "exit requested" not in self.log_path.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        super().terminate()

    def _command(self) -> list[str]:
        config = self.folder / "server.yaml"
        if self._written_for != self.port:
            config.write_text(json.dumps(self._settings()))
            self._written_for = self.port
        return [str(self._binary), "--config", str(config)]

    def _settings(self) -> dict[str, object]:
        return {
            "port": self.port,
            "bind_addresses": ["127.0.0.1"],
            "keys": {API_KEY: API_SECRET},
            "rtc": {
                "tcp_port": free_port(socket.SOCK_STREAM),
                "udp_port": free_port(socket.SOCK_DGRAM),
                "force_tcp": self._tcp_only,
                "node_ip": "127.0.0.1",
                "use_external_ip": False,
                "enable_loopback_candidate": True,
                "interfaces": {"includes": ["lo"]},
                "ips": {"includes": ["127.0.0.1/32"]},
                # Without one the server names public STUN servers to its clients.
                "stun_servers": [f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}"],
            },
            "room": {
                "auto_create": self._auto_create,
                "empty_timeout": 60,
                "departure_timeout": 20,
                "enabled_codecs": [{"mime": mime} for mime in CODECS],
            },
            "webhook": {"api_key": API_KEY, "urls": [self._webhook_url]} if self._webhook_url else {},
            "logging": {"level": "info"},
        }
