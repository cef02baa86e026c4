"""Our own channel server, `channel-recorder serve`, on loopback, on ports of its own."""

from __future__ import annotations

import os
import socket
import sys

from channel_recorder import __version__
from testbed.server_process import API_KEY, API_SECRET, ServerProcess, free_port


class EmbeddedServer(ServerProcess):
    def __init__(self, *flags: str, tcp_only: bool = False, webhook_url: str = "") -> None:
        """`flags`: more of the command line."""
        super().__init__()
        self.version, self.name = __version__, "channel-recorder serve"
        webhook = ("--webhook-url", webhook_url) if webhook_url else ()
        self._flags = (*flags, *webhook)
        self._tcp_only = tcp_only
        self._media_ports: tuple[int, tuple[str, ...]] = (0, ())
        """Chosen for one `port`."""

    def _command(self) -> list[str]:
        if self._media_ports[0] != self.port:
            udp = 0 if self._tcp_only else free_port(socket.SOCK_DGRAM)
            tcp = free_port(socket.SOCK_STREAM)
            self._media_ports = self.port, ("--rtc-port", str(udp), "--rtc-tcp-port", str(tcp))
        address = ("--host", "127.0.0.1", "--port", str(self.port))
        recordings = ("--recordings", str(self.folder / "recordings"))
        command = (sys.executable, "-m", "channel_recorder.cli", "serve")
        return [*command, *address, *self._media_ports[1], *recordings, *self._flags]

    def _environment(self) -> dict[str, str]:
        return os.environ | {"CHANNEL_RECORDER_KEYS": f"{API_KEY}:{API_SECRET}"}
