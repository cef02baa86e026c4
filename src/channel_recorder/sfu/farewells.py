"""Peer connections of members who were told to leave, kept until they have read why.

Packets overtake what the WebSocket carries: a client that saw its connections end first would try to reconnect.
"""

from __future__ import annotations

from channel_recorder.sfu.media import MediaLink

LINGER_SECONDS = 1.0
MAX_LINGERING = 200
"""More than that leave at once only when a room ends, or in an attack."""


class Farewells:
    def __init__(self) -> None:
        self._lingering: dict[MediaLink, float] = {}
        """Until when, the oldest first."""

    def add(self, media: MediaLink, now_seconds: float) -> None:
        """Nothing is sent by `media` any more."""
        media.retire()
        self._lingering[media] = now_seconds + LINGER_SECONDS
        if len(self._lingering) > MAX_LINGERING:
            self._close(next(iter(self._lingering)))

    def tick(self, now_seconds: float) -> None:
        for media in [media for media, until in self._lingering.items() if until <= now_seconds]:
            self._close(media)

    def close(self) -> None:
        for media in tuple(self._lingering):
            self._close(media)

    def _close(self, media: MediaLink) -> None:
        del self._lingering[media]
        media.close()
