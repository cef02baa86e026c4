"""The server's end of a peer connection, as its owner sees it: the seam between `rtc/serve`, `rtc/forward` and `sfu`.

Everything here is synchronous and runs on the one loop: an ice-lite server has nothing to gather, so an answer
never waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import MediaDescription
from channel_recorder.rtc.peer.contract import PeerState

RELIABLE_LABEL = "_reliable"
LOSSY_LABEL = "_lossy"


class PeerRole(StrEnum):
    ANSWERS = "answers"
    """The far side offers: publishers (v0), and everything (v1). Data channels are the far side's."""
    OFFERS = "offers"
    """We offer: subscribers (v0). Data channels are ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishOptions:
    """What the answer says of a published m-line."""

    codec: Codec | None = None
    """Put first in the answer; None: as offered."""
    dtx: bool = True
    stereo: bool = False
    accepted: bool = True
    """False: the m-line is answered inactive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    sdp: str
    track_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of the m-lines we send on: mid to the track id given to `send_track`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportFigures:
    """How well packets travel, for the connection quality. None: nothing is known yet."""

    fraction_lost_up: float | None = None
    """0 to 1, before retransmission, what we miss of what the far side sends; the last report interval."""
    fraction_lost_down: float | None = None
    """As the far side reports it (RFC 3550 section 6.4.1)."""
    round_trip_seconds: float | None = None


class IncomingTrack(Protocol):
    """One published m-line with all its layers. Sound has one layer."""

    @property
    def media(self) -> MediaDescription: ...

    @property
    def codec(self) -> Codec | None:
        """Of the newest packet; None before the first."""
        ...

    def take_level(self) -> float:
        """Loudness since the last call, 0 (silence) to 1, from the audio level extension (RFC 6464)."""
        ...

    def bitrate_bps(self) -> float:
        """Received, of all layers together, over the last seconds."""
        ...


class OutgoingTrack(Protocol):
    """A track on its way to one far side. Sends as soon as negotiation gave it an m-line."""

    @property
    def layer(self) -> int | None:
        """The layer that is being forwarded, 0 the lowest; None while nothing is."""
        ...

    def set_layer(self, highest: int) -> None:
        """Forward no layer above this one; the highest that is sent if there are fewer. Switches at key frames."""
        ...

    def set_paused(self, paused: bool) -> None:
        """Paused: keep the m-line, forward nothing. Going on asks for a key frame."""
        ...


class ServingListener(Protocol):
    """Called on the loop. Must not block or raise."""

    def publish_options(self, kind: MediaKind, track_id: str) -> PublishOptions:
        """Asked for every sending m-line of an offer. `track_id`: second word of its a=msid, LiveKit's cid."""
        ...

    def on_incoming_track(self, track: IncomingTrack) -> None:
        """An m-line of an offer carries a track from now on; called before `answer` returns."""
        ...

    def on_incoming_track_ended(self, track: IncomingTrack) -> None: ...

    def on_state(self, state: PeerState, detail: str) -> None: ...

    def on_data(self, label: str, payload: bytes) -> None: ...


class ServingPeer(Protocol):
    """FAILED and CLOSED are final."""

    @property
    def state(self) -> PeerState: ...

    def answer(self, offer: str) -> Answer:
        """PeerRole.ANSWERS. Tracks that wait for an m-line get the offer's free recvonly ones.

        Raises MalformedError or ProtocolError (nothing changed), StateError once failed or closed.
        """
        ...

    def offer(self) -> str | None:
        """PeerRole.OFFERS. What to offer now; None if nothing changed since the last offer, or one is unanswered."""
        ...

    def accept_answer(self, answer: str) -> None:
        """To the offer under way. Raises MalformedError or ProtocolError, StateError if there is none."""
        ...

    def add_remote_candidate(self, candidate: str) -> None:
        """A trickled candidate, as in SDP; what cannot be used is passed over. Always passive: we never check."""
        ...

    def send_track(self, track: IncomingTrack, *, stream_id: str, track_id: str) -> OutgoingTrack:
        """Forward `track` to the far side under this a=msid, once there is an m-line for it."""
        ...

    def stop_track(self, track: OutgoingTrack) -> None:
        """Nothing of it is sent any more; its m-line goes with the next negotiation. Twice is once."""
        ...

    def sections_missing(self) -> Mapping[MediaKind, int]:
        """PeerRole.ANSWERS: how many m-lines the next offer must add for the tracks that wait, by kind."""
        ...

    def needs_offer(self) -> bool:
        """Something waits for the next offer, ours or the far side's: a track to send or one to take away."""
        ...

    def send_data(self, label: str, payload: bytes) -> bool:
        """False if it was dropped: no such channel is open, or too much waits to be sent already."""
        ...

    def figures(self) -> TransportFigures: ...

    def close(self) -> None:
        """Says good-bye and frees everything. No listener is called any more."""
        ...
