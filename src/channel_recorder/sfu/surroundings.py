"""What rooms need of the server that they are in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from channel_recorder.sfu.contract import Credentials, PeerFactory
from channel_recorder.sfu.farewells import Farewells
from channel_recorder.sfu.happenings import Happenings
from channel_recorder.sfu.settings import ServerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    settings: ServerSettings
    peers: PeerFactory
    happenings: Happenings
    farewells: Farewells
    now: Callable[[], float]
    """Monotonic seconds."""
    wall_seconds: Callable[[], float]
    """Seconds since 1970."""
    make_token: Callable[[Credentials], str]
    """A fresh access token for a member; empty: there is none."""
    node_id: str
