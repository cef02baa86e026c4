"""Listens for HTTP and WebSockets: uvicorn, quiet and with the limits of `connections`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Generator
from pathlib import Path
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from channel_recorder.errors import ConfigError
from channel_recorder.sfu.doors.connections import DoorWebSocket, door_protocol
from channel_recorder.sfu.doors.limits import Crowd, DoorLimits

PING_SECONDS = 10.0
PONG_SECONDS = 20.0
GRACE_SECONDS = 3
"""For what is still being answered when the server closes."""
BACKLOG = 1024


class DoorServer:
    """Made by `open`, with sockets that `listen` made."""

    def __init__(self, server: _Server, sockets: list[socket.socket], crowd: Crowd) -> None:
        self.port: int = sockets[0].getsockname()[1]
        self.crowd = crowd
        self._server = server
        self._serving = asyncio.create_task(server.serve(sockets), name="channel-recorder-doors")

    @classmethod
    async def open(
        cls,
        app: ASGIApp,
        sockets: list[socket.socket],
        *,
        limits: DoorLimits | None = None,
        tls_certificate: Path | None = None,
        tls_key: Path | None = None,
    ) -> Self:
        """Closes the sockets, also where it fails. Raises ConfigError for TLS files that can't be used."""
        limits = limits or DoorLimits()
        crowd = Crowd(limits)
        try:
            server = _Server(_config(app, crowd, limits, tls_certificate, tls_key))
        except ConfigError:
            close_all(sockets)
            raise
        doors = cls(server, sockets, crowd)
        await asyncio.wait(
            {doors._serving, ready := asyncio.ensure_future(server.ready.wait())}, return_when="FIRST_COMPLETED"
        )
        ready.cancel()
        if doors._serving.done():
            doors._serving.result()
        return doors

    async def close(self) -> None:
        """Open WebSockets are closed with 1012. No effect the second time."""
        self._server.should_exit = True
        await self._serving


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs the process, and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


async def listen(host: str, port: int) -> list[socket.socket]:
    """One socket for each address of the host. Port 0: any free one. Raises ConfigError."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ConfigError(f"there is no address of the name {host!r} to listen at") from None
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            # Port 0 is chosen once, for all addresses.
            chosen = sockets[0].getsockname()[1] if sockets else port
            sockets.append(_bound(family, (address[0], chosen, *address[2:])))
    except OSError as error:
        close_all(sockets)
        raise ConfigError(_why(error, host, port)) from None
    return sockets


def close_all(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


def _bound(family: int, address: tuple[object, ...]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening


def _why(error: OSError, host: str, port: int) -> str:
    if isinstance(error, PermissionError):
        return f"port {port} is not ours to listen at: give one from 1024 on"
    return f"can't listen at {host} port {port}: {(error.strerror or type(error).__name__).lower()}"


def _config(
    app: ASGIApp, crowd: Crowd, limits: DoorLimits, tls_certificate: Path | None, tls_key: Path | None
) -> uvicorn.Config:
    """Its log would show queries, and a warning for every malformed request of a stranger: only faults are left."""
    config = uvicorn.Config(
        app,
        http=door_protocol(crowd, limits),
        ws=DoorWebSocket,
        ws_max_size=limits.message_bytes,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PONG_SECONDS,
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=logging.ERROR,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=tls_certificate,
        ssl_keyfile=tls_key,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror if isinstance(error, FileNotFoundError | PermissionError) else "they do not fit"
        raise ConfigError(f"the TLS certificate and key can't be used: {reason}") from None
    return config
