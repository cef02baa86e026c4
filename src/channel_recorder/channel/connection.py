"""Drives `Signalling` over a WebSocket: one reader task, one writer task, one timer. Runs on any asyncio loop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import ssl
from collections.abc import Callable, Coroutine

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from channel_recorder.channel.refusals import refused, turned_away, unreachable
from channel_recorder.channel.signal_events import SignalEvent
from channel_recorder.channel.signalling import Signalling, Stage
from channel_recorder.clock import unix_seconds
from channel_recorder.errors import JoinError, TokenError
from channel_recorder.events import Disconnected, Joined

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""A join lists everybody in the room, each with up to 64 KiB of metadata."""
CLOSE_SECONDS = 0.25
"""A server that does not answer our good-bye within this is left behind: livekit-server takes 1 to 5 ms."""

_log = logging.getLogger(__name__)

# The library's own log would show the Authorization header and the query at level DEBUG.
_mute_log = logging.Logger("websocket")
_mute_log.disabled = True


class Connection:
    """One WebSocket, used once. `on_event` is called on the loop, from a full drain, and must not block."""

    def __init__(self, signalling: Signalling, on_event: Callable[[SignalEvent], None]) -> None:
        self._signalling = signalling
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._joined: asyncio.Future[None] = self._loop.create_future()
        self._outbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        """Bounded by the ping timeout: a server that takes nothing answers nothing. None: the last was put in."""
        self._socket: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._draining = False

    async def open(self, url: str, token: str, *, server: str, timeout_seconds: float) -> None:
        """Returns when the server let us in; Joined was delivered by then. Raises JoinError and its kinds.

        `server` names it in messages. `url` holds no secret, `token` goes into a header.
        """
        _check_header(token)
        try:
            async with asyncio.timeout(timeout_seconds):
                self._socket = await _open_socket(url, token)
                self._tasks = [self._start(self._read(self._socket)), self._start(self._write(self._socket))]
                await self._joined
        except InvalidStatus as error:
            failure = refused(error, server, token, unix_seconds())
        except (OSError, WebSocketException, EOFError, UnicodeError) as error:
            failure = unreachable(error, server, timeout_seconds)
        except BaseException:
            await self._drop()
            raise
        else:
            return
        await self._drop()
        raise failure from None

    def drain(self) -> None:
        """To be called after every change of the state machine. Safe inside `on_event`."""
        if self._draining:
            return
        self._draining = True
        try:
            self._deliver()
        finally:
            self._draining = False
            self._arm_timer()

    async def close(self) -> None:
        """Says good-bye and closes. No event follows. No effect the second time. A join under way fails."""
        self._fail_join(JoinError("the join was given up"))
        self._signalling.leave()
        self.drain()
        self._outbox.put_nowait(None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                if self._tasks:
                    await asyncio.wait(self._tasks)
        await self._drop()

    def _deliver(self) -> None:
        """Events first: what they make us say leaves in the same drain."""
        while (event := self._signalling.next_event()) is not None:
            if not self._settles_join(event):
                self._on_event(event)
        for message in self._signalling.messages_to_send():
            self._outbox.put_nowait(message)

    def _settles_join(self, event: SignalEvent) -> bool:
        """An end before the join is what `open` raises, no event."""
        if self._joined.done():
            return False
        if isinstance(event, Disconnected):
            self._fail_join(turned_away(event))
            return True
        if isinstance(event, Joined):
            self._joined.set_result(None)
        return False

    def _fail_join(self, error: JoinError) -> None:
        if not self._joined.done():
            self._joined.set_exception(error)
            # Seen, should nobody wait for it any more: else the loop complains.
            self._joined.exception()

    async def _read(self, socket: ClientConnection) -> None:
        detail = "the connection was dropped"
        try:
            while self._signalling.stage is not Stage.CLOSED:
                message = await socket.recv()
                if isinstance(message, bytes):
                    self._signalling.receive(message, self._loop.time())
                    self.drain()
        except ConnectionClosed as closed:
            detail = _close_detail(closed)
        except WebSocketException:
            detail = "the server broke the WebSocket protocol"
        finally:
            self._signalling.connection_lost(detail)
            self.drain()
            self._outbox.put_nowait(None)
            await socket.close()

    async def _write(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while (message := await self._outbox.get()) is not None:
                await socket.send(message)
            if self._signalling.stage is Stage.CLOSED:
                await socket.close()

    def _arm_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        at_seconds = self._signalling.next_timer()
        self._timer = None if at_seconds is None else self._loop.call_at(at_seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._signalling.handle_timer(self._loop.time())
        self.drain()
        if self._signalling.stage is Stage.CLOSED:
            self._abandon()

    def _start(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(coroutine)
        task.add_done_callback(_report)
        return task

    def _abandon(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _drop(self) -> None:
        """Frees everything at once. Nothing is delivered any more."""
        self._signalling.leave()
        if self._timer is not None:
            self._timer.cancel()
        self._joined.cancel()
        if self._socket is not None:
            self._socket.transport.abort()
        self._abandon()
        if self._tasks:
            await asyncio.wait(self._tasks)


class _Connect(connect):
    """A redirect is an answer like any other: a token must not follow it."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _open_socket(url: str, token: str) -> ClientConnection:
    return await _Connect(
        url,
        additional_headers={"Authorization": f"Bearer {token}"},
        user_agent_header="channel-recorder",
        compression="deflate",
        proxy=None,
        open_timeout=None,
        ping_interval=None,
        close_timeout=CLOSE_SECONDS,
        max_size=MAX_MESSAGE_BYTES,
        logger=_mute_log,
        ssl=await asyncio.to_thread(_tls_context) if url.startswith("wss:") else None,
    )


@functools.cache
def _tls_context() -> ssl.SSLContext:
    """Reading the system's certificates takes some 20 ms: never on the media loop."""
    return ssl.create_default_context()


def _check_header(token: str) -> None:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise TokenError("the access token is empty, or has characters that no token has")


def _close_detail(closed: ConnectionClosed) -> str:
    if closed.rcvd is None:
        return "the WebSocket broke off"
    return f"the server closed the WebSocket with code {closed.rcvd.code}"


def _report(task: asyncio.Task[None]) -> None:
    """A mistake of ours, or of `on_event`: the connection has ended, the others live on."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("the signalling connection ended by an internal error", exc_info=error)
