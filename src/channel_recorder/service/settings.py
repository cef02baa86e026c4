"""What the service is told when it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

MAX_RECORDINGS = 64


class PageDoor(Enum):
    """Who may use the page without an access token."""

    OPEN = auto()
    """Whoever reaches it: only this machine can."""
    PASSWORD = auto()
    CLOSED = auto()
    """Nobody: it can be reached from elsewhere, and no password was set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    server_url: str
    """Where the recorders join."""
    app_id: str
    app_certificate: str | None = field(repr=False)
    """None: channels that need the App ID only."""
    recordings_root: Path
    page_password: str | None = field(default=None, repr=False)
    is_loopback: bool = True
    """Only this machine can connect. Then, without a password, the page is open to all who can."""
    client_url: str | None = None
    """Channel server as browsers reach it. None: at the address they have the page from."""
    max_recordings: int = MAX_RECORDINGS
    """At one time."""

    @property
    def page_door(self) -> PageDoor:
        if self.page_password:
            return PageDoor.PASSWORD
        return PageDoor.OPEN if self.is_loopback else PageDoor.CLOSED
