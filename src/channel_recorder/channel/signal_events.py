"""What signalling tells beside `channel_recorder.events`: what the peer connection needs, and what was refused."""

from __future__ import annotations

from dataclasses import dataclass, field

from channel_recorder.events import ChannelEvent
from channel_recorder.model import IceServer


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServersReceived:
    """Follows Joined at once."""

    servers: tuple[IceServer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferReceived:
    """The server's offer for the receiving peer connection; to be answered with the same id.

    The tracks it names have been announced, unless the server forgot one for half a second.
    """

    sdp: str
    offer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateReceived:
    """A trickled candidate of the server; never before the offer it belongs to."""

    candidate: str
    mid: str
    m_line_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefreshed:
    """The server gave a newer access token for the next join."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionFailed:
    """The server cannot send a track that was asked for."""

    track_sid: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionPermissionChanged:
    """The publisher allows or forbids us to receive a track."""

    track_sid: str
    allowed: bool


SignalEvent = (
    ChannelEvent
    | IceServersReceived
    | OfferReceived
    | CandidateReceived
    | TokenRefreshed
    | SubscriptionFailed
    | SubscriptionPermissionChanged
)
