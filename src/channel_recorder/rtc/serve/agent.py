"""An ice-lite agent (RFC 8445 section 2.5): answers checks, never sends one, follows the far side's choice of a path.

The far side is a full agent, hence controlling (section 6.1.1), and names the path it wants by USE-CANDIDATE:
- libwebrtc, pion and aioice check a path first and nominate it later. Such a choice counts at once, also against a
  path of higher priority: that is how a phone moves from Wi-Fi to a mobile network.
- Firefox nominates every path with its first check (aggressive nomination, RFC 5245 section 8.1.1.1). Among those the
  one of the highest priority counts.
- A path that gets no checks any more while another does is left: its NAT gave the far side another address.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

from channel_recorder.rtc.serve.stun import BindingRequest, error_response, success_response

MAX_PATHS = 16
STALE_SECONDS = 7.0
"""A path in use is checked at least every 6 s (RFC 7675 section 5.1)."""
PATH_LIFETIME_SECONDS = 60.0
"""Of one not in use: libwebrtc checks its spare ones every 25 s."""


class Route(Protocol):
    """A way to a far side: a UDP address, or a TCP connection."""

    @property
    def key(self) -> Hashable:
        """Equal for the same way."""
        ...

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    def send(self, data: bytes) -> None:
        """Drops what cannot be sent now. Hot path."""
        ...

    def attach(self, receive: Callable[[bytes], None], on_lost: Callable[[Route], None]) -> bool:
        """What comes this way goes to `receive` from now on. False: it belongs to somebody else."""
        ...

    def detach(self) -> None: ...


@dataclass(slots=True)
class _Path:
    route: Route
    priority: int = 0
    was_checked: bool = False
    checked_at: float = 0.0
    is_nominating: bool = False
    """The last check had USE-CANDIDATE."""
    nominated_at: float | None = None
    is_chosen: bool = False
    """Nominated after checks that did not do so."""

    def check(self, request: BindingRequest, now_seconds: float) -> None:
        if request.uses_candidate and not self.is_nominating:
            self.is_chosen = self.was_checked
            self.nominated_at = now_seconds
        self.is_nominating = request.uses_candidate
        self.priority = request.priority or 0
        self.was_checked, self.checked_at = True, now_seconds


class LiteAgent:
    """One set of credentials. `selected` is the path to send on.

    `admit` is asked for every new path, after its check proved genuine; `dismiss` is told when it is given up.
    """

    def __init__(
        self,
        ufrag: str,
        password: str,
        *,
        admit: Callable[[Route], bool],
        dismiss: Callable[[Route], None],
        now_seconds: float,
    ) -> None:
        self.ufrag = ufrag
        self.password = password
        self.remote_ufrag: bytes | None = None
        """None: not known yet, since the answer may be overtaken by the first checks."""
        self.heard_at = now_seconds
        """When something genuine came last."""
        self._key = password.encode()
        self._admit = admit
        self._dismiss = dismiss
        self._paths: dict[Hashable, _Path] = {}
        self._selected: _Path | None = None

    @property
    def selected(self) -> Route | None:
        """Before the first nomination: the best path that was checked."""
        return self._selected.route if self._selected else None

    @property
    def is_nominated(self) -> bool:
        return self._selected is not None and self._selected.nominated_at is not None

    def has(self, route: Route) -> bool:
        return route.key in self._paths

    def receive(self, request: BindingRequest, route: Route, now_seconds: float) -> bytes | None:
        """A check for these credentials: returns what to answer, None for nothing."""
        refusal = self._refuse(request)
        if refusal is not None:
            return refusal
        path = self._paths.get(route.key) or self._open(route)
        if path is None:
            return None
        path.check(request, now_seconds)
        self.heard_at = now_seconds
        self._consider(path, now_seconds)
        return success_response(request, route.host, route.port, self._key)

    def remove(self, route: Route) -> None:
        """The way is gone: a TCP connection was closed."""
        path = self._paths.pop(route.key, None)
        if path is None:
            return
        self._dismiss(path.route)
        if path is self._selected:
            self._selected = None
            for other in self._paths.values():
                self._consider(other, other.checked_at)

    def expire(self, now_seconds: float) -> None:
        """To be called now and then: forgets paths that are not checked any more."""
        for path in list(self._paths.values()):
            if path is not self._selected and now_seconds - path.checked_at > PATH_LIFETIME_SECONDS:
                self._drop(path)

    def close(self) -> None:
        self._selected = None
        for path in list(self._paths.values()):
            self._drop(path)

    def _refuse(self, request: BindingRequest) -> bytes | None:
        """RFC 8489 sections 6.3.1 and 9.1.3, RFC 8445 section 7.3.1.1."""
        if not request.integrity_offset:
            return error_response(request, 400)
        if not self._knows(request.sender_ufrag) or not request.is_signed(self._key):
            return error_response(request, 401)
        if request.unknown:
            return error_response(request, 420, self._key)
        if request.priority is None:
            return error_response(request, 400, self._key)
        if request.from_controlled:
            # A lite agent is always the controlled one.
            return error_response(request, 487, self._key)
        return None

    def _knows(self, sender_ufrag: bytes) -> bool:
        return self.remote_ufrag is None or sender_ufrag == self.remote_ufrag

    def _open(self, route: Route) -> _Path | None:
        if not self._admit(route):
            return None
        if len(self._paths) >= MAX_PATHS:
            spare = [path for path in self._paths.values() if path is not self._selected]
            self._drop(min(spare, key=lambda path: path.checked_at))
        path = self._paths[route.key] = _Path(route)
        return path

    def _drop(self, path: _Path) -> None:
        del self._paths[path.route.key]
        self._dismiss(path.route)

    def _consider(self, path: _Path, now_seconds: float) -> None:
        current = self._selected
        if current is None or (path is not current and _is_better(path, current, now_seconds)):
            self._selected = path


def _is_better(path: _Path, current: _Path, now_seconds: float) -> bool:
    """Whether to leave the current path for one that was just checked."""
    if now_seconds - current.checked_at > STALE_SECONDS:
        return True
    if path.nominated_at is None or current.nominated_at is None:
        if (path.nominated_at is None) == (current.nominated_at is None):
            return path.priority > current.priority
        return path.nominated_at is not None
    is_newer = path.nominated_at > current.nominated_at
    if path.is_chosen or current.is_chosen:
        return is_newer if path.is_chosen and current.is_chosen else path.is_chosen and is_newer
    return path.priority > current.priority or (path.priority == current.priority and is_newer)
