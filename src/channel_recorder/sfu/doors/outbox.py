"""What one client has still to be sent: bounded, in order, in the form that the client speaks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from google.protobuf.json_format import MessageToJson
from livekit.protocol import rtc as pb


class Outbox:
    """A `SignalSink`. `give_up` is called once when too much waits: the client does not read."""

    def __init__(self, max_waiting_bytes: int, give_up: Callable[[], None]) -> None:
        self._max_waiting_bytes = max_waiting_bytes
        self._give_up = give_up
        self._messages: deque[bytes | str] = deque()
        self._waiting_bytes = 0
        self._changed = asyncio.Event()
        self._is_closed = False
        self.speaks_json = False
        """The client's last message was text: it is answered in kind."""

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def send(self, response: pb.SignalResponse) -> None:
        if self._is_closed:
            return
        if self._waiting_bytes > self._max_waiting_bytes:
            self._abandon()
            return
        message = _as_json(response) if self.speaks_json else response.SerializeToString()
        self._messages.append(message)
        self._waiting_bytes += len(message)
        self._changed.set()

    def close(self) -> None:
        """What waits is still sent."""
        self._is_closed = True
        self._changed.set()

    async def next(self) -> bytes | str | None:
        """The next message, text or bytes. None: it is closed and all was taken."""
        while not self._messages:
            if self._is_closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        message = self._messages.popleft()
        self._waiting_bytes -= len(message)
        return message

    def _abandon(self) -> None:
        self._messages.clear()
        self._waiting_bytes = 0
        self.close()
        self._give_up()


def _as_json(response: pb.SignalResponse) -> str:
    return MessageToJson(response, indent=None)
