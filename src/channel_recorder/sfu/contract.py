"""What the rooms, the doors (HTTP, WebSocket) and the media of the channel server know of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from livekit.protocol import rtc as pb

from channel_recorder.protocol.tokens import Grants
from channel_recorder.rtc.serve.contract import PeerRole, ServingListener, ServingPeer


class JoinRefusedError(Exception):
    """Why somebody may not join or ask: an HTTP status and a sentence without secrets."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class AdminError(Exception):
    """Why RoomService does not do what was asked: a Twirp code (`not_found`, `invalid_argument`, ...), a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who somebody is and what they may do, after their token was checked."""

    api_key: str
    identity: str
    room: str
    grants: Grants
    kind: str = "standard"
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    expires_at: float | None = None
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientInfo:
    """What a client tells of itself. Nothing but `protocol` changes what the server does."""

    sdk: str = ""
    version: str = ""
    protocol: int = 0
    os: str = ""
    browser: str = ""
    device_model: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """A checked wish to join: the query of `/rtc`, or the `join_request` of `/rtc/v1`."""

    credentials: Credentials
    client: ClientInfo
    single_peer: bool
    """`/rtc/v1`: one peer connection, and the client offers."""
    auto_subscribe: bool = True
    reconnect: bool = False
    participant_sid: str = ""
    """Whom a reconnecting client was."""
    add_tracks: tuple[pb.AddTrackRequest, ...] = ()
    publisher_offer: pb.SessionDescription | None = None


class SignalSink(Protocol):
    """The way to one client's WebSocket. Never blocks."""

    def send(self, response: pb.SignalResponse) -> None:
        """In order. A client that reads too slowly is disconnected, not waited for."""
        ...

    def close(self) -> None:
        """Once what was sent before is out. `SignalSession.disconnected` may still be called after it."""
        ...


class SignalSession(Protocol):
    """One client's seat in a room, as its WebSocket sees it."""

    def receive(self, request: pb.SignalRequest) -> None:
        """Whatever a client may send; raises nothing."""
        ...

    def disconnected(self) -> None:
        """The WebSocket is gone."""
        ...


class PeerFactory(Protocol):
    """Makes the server's ends of peer connections. `wiring` has the real one, tests a fake."""

    def __call__(self, role: PeerRole, listener: ServingListener) -> ServingPeer: ...
