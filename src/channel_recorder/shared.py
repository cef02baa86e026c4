"""Something a process has once, from its first user to its last."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Shared(Generic[Thing]):
    """Made for the first who acquires it, ended when the last has released it. For any thread.

    `release` returns when it has ended.
    """

    def __init__(self, make: Callable[[], Thing], end: Callable[[Thing], None]) -> None:
        self._make = make
        self._end = end
        self._lock = threading.Lock()
        self._users = 0
        self._thing: Thing | None = None

    def acquire(self) -> Thing:
        with self._lock:
            if self._thing is None:
                self._thing = self._make()
            self._users += 1
            return self._thing

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users or self._thing is None:
                return
            thing, self._thing = self._thing, None
        # Ending may take long; who acquires meanwhile gets a new one and must not wait.
        self._end(thing)
