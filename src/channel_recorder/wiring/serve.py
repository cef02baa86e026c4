"""The channel server as a whole: media port, rooms, doors, webhooks, recordings over HTTP and the page."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from livekit.protocol.webhook import WebhookEvent
from starlette.routing import Mount, Router
from starlette.types import ASGIApp

from channel_recorder import clock
from channel_recorder.errors import ConfigError
from channel_recorder.garbage import collect_less_often
from channel_recorder.rtc.peer.sockets import WILDCARDS, host_addresses
from channel_recorder.rtc.serve.contract import PeerRole, ServingListener, ServingPeer
from channel_recorder.rtc.serve.peer import ServingPeerConnection
from channel_recorder.rtc.serve.port import MediaPort
from channel_recorder.service.app import Service, make_service
from channel_recorder.service.settings import MAX_RECORDINGS, ServiceSettings
from channel_recorder.sfu.access import Access, Keys
from channel_recorder.sfu.doors.limits import DoorLimits
from channel_recorder.sfu.doors.routes import OneSlash, door_routes
from channel_recorder.sfu.doors.server import DoorServer, close_all, listen
from channel_recorder.sfu.doors.webhooks import WebhookPoster
from channel_recorder.sfu.server import TICK_SECONDS, ChannelServer
from channel_recorder.sfu.settings import ServerSettings

OnEvent = Callable[[WebhookEvent], None]
LOOPBACK = "127.0.0.1"
WEBHOOKS_SECONDS = 3.0
"""For the last webhooks, at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    keys: Keys
    host: str = LOOPBACK
    port: int = 7880
    """0: any free one; then the others too, unless they are given."""
    rtc_port: int | None = None
    """UDP of media. None: two above `port`. 0: no UDP, TCP only."""
    rtc_tcp_port: int | None = None
    """TCP of media, where networks let no UDP through. None: one above `port`. 0: none."""
    advertise: tuple[str, ...] = ()
    """Addresses under which clients reach this machine beside its own: a public one in front of NAT."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    webhook_urls: tuple[str, ...] = ()
    recordings: Path = field(default_factory=lambda: Path("recordings"))
    max_recordings: int = MAX_RECORDINGS
    page_password: str | None = field(default=None, repr=False)
    anyone_may_join: bool = False
    """App IDs without a certificate may be served to other machines too."""
    rooms: ServerSettings = field(default_factory=ServerSettings)
    doors: DoorLimits = field(default_factory=DoorLimits)


class ServingProcess:
    """A server that runs. Made by `open`, on a running loop."""

    def __init__(self, stack: AsyncExitStack, settings: ServeSettings, address: Address, media: MediaPort) -> None:
        self.settings = settings
        self.address = address
        self.media = media
        self._stack = stack

    @classmethod
    async def open(cls, settings: ServeSettings) -> Self:
        """Raises ConfigError, and StorageError if nothing can be recorded. Nothing is left open then."""
        collect_less_often()
        async with AsyncExitStack() as stack:
            address = await _listen(stack, settings)
            media = await _open_media(stack, settings, address.port)
            rooms, access = await _open_rooms(stack, settings, media)
            service = await _start_service(stack, settings, address)
            app = _app(rooms, access, settings, service)
            await _open_doors(stack, app, settings, address)
            # First in, last out: recorders leave while the server still serves, clients hear why it ends.
            stack.callback(rooms.close)
            stack.push_async_callback(service.close)
            return cls(stack.pop_all(), settings, address, media)
        raise AssertionError("the stack swallows nothing")

    @property
    def url(self) -> str:
        """For clients on this machine."""
        return f"{'wss' if self.settings.tls_certificate else 'ws'}://{self.address.authority}"

    @property
    def page_url(self) -> str:
        return f"{'https' if self.settings.tls_certificate else 'http'}://{self.address.authority}"

    async def close(self) -> None:
        """Recordings end and are whole, clients are told. No effect the second time."""
        await self._stack.aclose()


@asynccontextmanager
async def serve(settings: ServeSettings) -> AsyncGenerator[ServingProcess, None]:
    process = await ServingProcess.open(settings)
    try:
        yield process
    finally:
        await process.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the doors are."""

    host: str
    """To reach them from this machine."""
    port: int
    is_loopback: bool
    """Only this machine can reach them."""
    sockets: list[socket.socket] = field(repr=False)
    inner: list[socket.socket] = field(repr=False)
    """Plain HTTP on loopback for our own recorders, where the doors speak TLS in a name that is not loopback's."""

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def recorder_url(self) -> str:
        return f"ws://{LOOPBACK}:{self.inner[0].getsockname()[1]}" if self.inner else f"ws://{self.authority}"


async def _listen(stack: AsyncExitStack, settings: ServeSettings) -> Address:
    sockets = await listen(settings.host, settings.port)
    stack.callback(close_all, sockets)
    hosts: list[str] = [each.getsockname()[0] for each in sockets]
    is_loopback = all(ip_address(host.partition("%")[0]).is_loopback for host in hosts)
    _check_openness(settings, is_loopback)
    inner = await listen(LOOPBACK, 0) if settings.tls_certificate else []
    stack.callback(close_all, inner)
    return Address(
        host="localhost" if settings.host == "localhost" else _reachable(hosts[0]),
        port=sockets[0].getsockname()[1],
        is_loopback=is_loopback,
        sockets=sockets,
        inner=inner,
    )


def _check_openness(settings: ServeSettings, is_loopback: bool) -> None:
    if settings.keys.open and not is_loopback and not settings.anyone_may_join:
        names = ", ".join(sorted(settings.keys.open))
        raise ConfigError(
            f"whoever can reach {settings.host} may join with the App ID {names}, which has no certificate: "
            "give one as KEY:SECRET, serve on 127.0.0.1, or allow it with anyone_may_join"
        )


def _reachable(host: str) -> str:
    """From this machine: nobody can connect to a wildcard."""
    return {WILDCARDS[socket.AF_INET]: LOOPBACK, WILDCARDS[socket.AF_INET6]: "::1"}.get(host, host)


async def _open_media(stack: AsyncExitStack, settings: ServeSettings, port: int) -> MediaPort:
    udp_port = _media_port(settings.rtc_port, settings.port, 2)
    tcp_port = _media_port(settings.rtc_tcp_port, settings.port, 1)
    if udp_port is None and tcp_port is None:
        raise ConfigError("without UDP and without TCP there is no way for media: give rtc_port or rtc_tcp_port")
    try:
        media = await MediaPort.open(
            settings.host, udp_port or 0, tcp_port=tcp_port, advertise=_advertised(settings.host, settings.advertise)
        )
    except OSError as error:
        ports = " and ".join(
            f"{kind} {number}" for kind, number in (("UDP", udp_port), ("TCP", tcp_port)) if number is not None
        )
        reason = (error.strerror or type(error).__name__).lower()
        raise ConfigError(f"can't open the media ports {ports} at {settings.host}: {reason}") from None
    stack.push_async_callback(media.close)
    if udp_port is None:
        # Opened all the same, but nobody is told of it.
        media.candidates = tuple(candidate for candidate in media.candidates if " tcptype " in candidate)
    return media


def _media_port(given: int | None, base: int, offset: int) -> int | None:
    """None: this transport is not wanted. 0: any free port."""
    if given is not None:
        return given or None
    return base + offset if base else 0


def _advertised(host: str, given: tuple[str, ...]) -> tuple[str, ...]:
    """Our own addresses too: recorders of this process connect there, and few routers send them back in."""
    if not given:
        return ()
    if host not in ("", *WILDCARDS.values()):
        return (*given, host) if _is_address(host) else given
    ipv4, ipv6 = host_addresses()
    return tuple(dict.fromkeys((*given, *ipv4, *(ipv6 if host != WILDCARDS[socket.AF_INET] else ()))))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def _open_rooms(stack: AsyncExitStack, settings: ServeSettings, media: MediaPort) -> tuple[ChannelServer, Access]:
    def make_peer(role: PeerRole, listener: ServingListener) -> ServingPeer:
        return ServingPeerConnection(media, role, listener)

    access = Access(settings.keys, clock.unix_seconds, anyone_may_join=settings.anyone_may_join)
    rooms = ChannelServer(
        make_peer,
        settings.rooms,
        clock.monotonic_seconds,
        clock.unix_seconds,
        _webhooks(stack, settings),
        access.refresh_token,
    )
    stack.callback(_Ticker(rooms).stop)
    return rooms, access


class _Ticker:
    """A fault in one tick is told by the loop, and the next comes all the same."""

    def __init__(self, rooms: ChannelServer) -> None:
        self._rooms = rooms
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def stop(self) -> None:
        self._timer.cancel()

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)
        self._rooms.tick()


def _webhooks(stack: AsyncExitStack, settings: ServeSettings) -> OnEvent:
    if not settings.webhook_urls:
        return _tell_nobody
    if not settings.keys.secrets:
        raise ConfigError("webhooks are signed with an API secret: give a key as KEY:SECRET")
    key, secret = next(iter(settings.keys.secrets.items()))
    poster = WebhookPoster(settings.webhook_urls, key, secret, wall_seconds=clock.unix_seconds)
    stack.push_async_callback(poster.close, WEBHOOKS_SECONDS)
    return poster.post


def _tell_nobody(_event: WebhookEvent) -> None:
    pass


async def _start_service(stack: AsyncExitStack, settings: ServeSettings, address: Address) -> Service:
    key, secret = next(iter(settings.keys.secrets.items()), (min(settings.keys.open, default=""), None))
    service = make_service(
        ServiceSettings(
            server_url=address.recorder_url,
            app_id=key,
            app_certificate=secret,
            recordings_root=settings.recordings,
            page_password=settings.page_password,
            is_loopback=address.is_loopback,
            max_recordings=settings.max_recordings,
        )
    )
    await service.start()
    return service


def _app(rooms: ChannelServer, access: Access, settings: ServeSettings, service: Service) -> ASGIApp:
    doors = door_routes(rooms, rooms.admin, access, limits=settings.doors, now=clock.monotonic_seconds)
    return OneSlash(Router([*doors, Mount("/", service.app)], redirect_slashes=False))


async def _open_doors(stack: AsyncExitStack, app: ASGIApp, settings: ServeSettings, address: Address) -> None:
    outer = await DoorServer.open(
        app,
        address.sockets,
        limits=settings.doors,
        tls_certificate=settings.tls_certificate,
        tls_key=settings.tls_key,
    )
    stack.push_async_callback(outer.close)
    if address.inner:
        inner = await DoorServer.open(app, address.inner, limits=settings.doors)
        stack.push_async_callback(inner.close)
