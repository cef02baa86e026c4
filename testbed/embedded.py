"""Our own channel server, `channel-recorder serve`, on loopback, on ports of its own."""

from __future__ import annotations

import os
import socket
import sys

from channel_recorder.sfu.settings import SERVER_VERSION
from testbed.server_process import API_KEY, API_SECRET, ServerProcess, free_port


class EmbeddedServer(ServerProcess):
    def __init__(self, *flags: str, tcp_only: bool = False, webhook_url: str = "") -> None:
        """`flags`: more of the command line."""
        super().__init__()
        self.version, self.name = SERVER_VERSION, "channel-recorder serve"
        webhook = ("--webhook-url", webhook_url) if webhook_url else ()
        self._flags = (*flags, *webhook)
        self._tcp_only = tcp_only
        self.udp_port, self.tcp_port = 0, 0
        """Of media; no UDP at all: 0."""
        self._chosen_for = 0

    def _command(self) -> list[str]:
        if self._chosen_for != self.port:
            self.udp_port = 0 if self._tcp_only else free_port(socket.SOCK_DGRAM)
            self.tcp_port = free_port(socket.SOCK_STREAM)
            self._chosen_for = self.port
        return [
            *(sys.executable, "-m", "channel_recorder.cli", "serve"),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--rtc-port", str(self.udp_port), "--rtc-tcp-port", str(self.tcp_port)),
            *("--recordings", str(self.folder / "recordings")),
            *self._flags,
        ]

    def _environment(self) -> dict[str, str]:
        return os.environ | {"CHANNEL_RECORDER_KEYS": f"{API_KEY}:{API_SECRET}"}
