"""How a handler's callbacks are called: straight on the loop, or on a thread of their own."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Protocol, TypeVarTuple

logger = logging.getLogger(__name__)
Arguments = TypeVarTuple("Arguments")


class CallbackRunner(Protocol):
    def call(self, callback: Callable[[*Arguments], None], *arguments: *Arguments) -> None:
        """Runs the callback after all those given before. Never raises, never blocks the media loop."""
        ...

    def close(self) -> None:
        """No more calls will come. Those given before still run."""
        ...


def _run(callback: Callable[[], None]) -> None:
    # The user's code may raise anything; a recording must not end for it.
    try:
        callback()
    except Exception:
        logger.exception("a callback of the handler raised; the recording goes on")


class InlineCallbacks:
    """For the asyncio face: the caller's own loop runs them, so they must not block."""

    def call(self, callback: Callable[[*Arguments], None], *arguments: *Arguments) -> None:
        _run(lambda: callback(*arguments))

    def close(self) -> None:
        pass


class CallbackThread:
    """For the plain face: one thread for each engine, so that one slow handler holds up no other."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def call(self, callback: Callable[[*Arguments], None], *arguments: *Arguments) -> None:
        self._calls.put(lambda: callback(*arguments))

    def close(self) -> None:
        self._calls.put(None)

    def join(self) -> None:
        """Waits until every callback given before `close` has run."""
        self._thread.join()

    def is_current(self) -> bool:
        """True inside a callback."""
        return threading.current_thread() is self._thread

    def _work(self) -> None:
        while (callback := self._calls.get()) is not None:
            _run(callback)
