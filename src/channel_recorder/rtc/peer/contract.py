"""What a peer connection tells its owner."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from channel_recorder.rtc.description import MediaDescription, TrackListener


class PeerState(StrEnum):
    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    """ICE found a pair and DTLS finished: media can flow."""
    FAILED = "failed"
    CLOSED = "closed"


class PeerListener(Protocol):
    """Called on the loop that owns the peer. Must not block."""

    def on_media_added(self, media: MediaDescription) -> TrackListener | None:
        """An m-line became active, before any packet of it is delivered. None: drop what it carries."""
        ...

    def on_media_removed(self, media: MediaDescription) -> None: ...

    def on_state(self, state: PeerState, detail: str) -> None: ...

    def on_data(self, label: str, payload: bytes) -> None: ...

    def on_local_candidate(self, candidate: str, mid: str, m_line_index: int) -> None:
        """A candidate found after the answer was given (server-reflexive, relayed), to be trickled."""
        ...
