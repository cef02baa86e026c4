"""The peer connections of one member, and whose turn it is to offer.

v0: the client offers what it publishes, we offer what it gets. v1: one connection, and the client offers everything;
we tell it how many m-lines we miss. On each connection only one side offers, so no two offers meet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Protocol, cast

from livekit.protocol import rtc as pb

from channel_recorder.errors import StateError
from channel_recorder.model import MediaKind
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.serve.contract import (
    IncomingTrack,
    OutgoingTrack,
    PeerRole,
    PublishOptions,
    ServingPeer,
    TransportFigures,
)
from channel_recorder.sfu import responses
from channel_recorder.sfu.contract import PeerFactory

ASK_AGAIN_SECONDS = 2.0
"""For m-lines that an offer did not bring: it may have crossed our wish."""
MAX_CANDIDATE_CHARACTERS = 2048


class MediaOwner(Protocol):
    """Told what happens on the peer connections. Must not raise."""

    def publish_options(self, kind: MediaKind, track_id: str) -> PublishOptions: ...

    def on_incoming_track(self, track: IncomingTrack) -> None: ...

    def on_incoming_track_ended(self, track: IncomingTrack) -> None: ...

    def on_data(self, label: str, payload: bytes) -> None: ...

    def on_media_connected(self) -> None:
        """The connection that the client waits for is up."""
        ...

    def on_media_failed(self, detail: str) -> None: ...

    def on_media_closed(self) -> None:
        """The far side said good-bye."""
        ...


class MediaLink:
    def __init__(
        self,
        peers: PeerFactory,
        owner: MediaOwner,
        send: Callable[[pb.SignalResponse], None],
        *,
        single_peer: bool,
        subscriber_primary: bool,
    ) -> None:
        self._peers = peers
        self._owner = owner
        self._send = send
        self._single_peer = single_peer
        self._primary = PeerRole.OFFERS if subscriber_primary else PeerRole.ANSWERS
        self._answering: ServingPeer | None = None
        self._offering: ServingPeer | None = None
        self._offer_number = 0
        self._offered_seconds: float | None = None
        """Of our offer under way."""
        self._was_offered = False
        self._asked_seconds: float | None = None
        """Of our wish for m-lines under way."""
        self._asked: Mapping[MediaKind, int] = {}
        self._is_retired = False
        self._is_closed = False
        self.is_usable = True
        """Not lost, not closed: nothing can be sent otherwise."""
        if single_peer:
            self._ensure_answering()
        elif subscriber_primary:
            self._ensure_offering()

    # Negotiation

    def answer(self, offer: pb.SessionDescription) -> None:
        """Raises MalformedError, ProtocolError and StateError as the peer does."""
        peer = self._ensure_answering()
        answer = peer.answer(offer.sdp)
        self._was_offered = True
        self._send(responses.answer(answer.sdp, offer.id, answer.track_ids))
        if self.is_usable and not self._is_ignored_by_offer(peer):
            self._asked_seconds = None

    def accept_answer(self, answer: pb.SessionDescription) -> None:
        """Raises MalformedError or ProtocolError. An answer to an older offer is ignored; old clients number none."""
        if self._offering is None or self._offered_seconds is None or answer.id not in (0, self._offer_number):
            return
        try:
            self._offering.accept_answer(answer.sdp)
        except StateError:
            return
        finally:
            self._offered_seconds = None

    def add_candidate(self, trickle: pb.TrickleRequest) -> None:
        """What is no candidate is ignored: we answer checks, and never need to know where they come from."""
        of_subscriber = trickle.target == pb.SignalTarget.SUBSCRIBER and not self._single_peer
        peer = self._offering if of_subscriber else self._answering
        candidate = _candidate_in(trickle.candidateInit)
        if peer is not None and candidate:
            peer.add_remote_candidate(candidate)

    def negotiate(self, now_seconds: float) -> None:
        """Offers what changed, or asks for an offer, if nothing of that is under way."""
        if not self.is_usable:
            return
        if self._offering is not None and self._offered_seconds is None:
            self._offer(self._offering, now_seconds)
        if self._single_peer and self._was_offered:
            self._ask_for_sections(self._ensure_answering(), now_seconds)

    @property
    def waits_for_offer(self) -> bool:
        """The client was asked for m-lines."""
        return self._asked_seconds is not None

    def is_answer_overdue(self, now_seconds: float, timeout_seconds: float) -> bool:
        return self._offered_seconds is not None and now_seconds - self._offered_seconds > timeout_seconds

    # Media

    def send_track(self, track: IncomingTrack, *, stream_id: str, track_id: str) -> OutgoingTrack:
        return self._sending_peer().send_track(track, stream_id=stream_id, track_id=track_id)

    def stop_track(self, track: OutgoingTrack) -> None:
        if not self._is_closed:
            self._sending_peer().stop_track(track)

    def send_data(self, label: str, payload: bytes) -> bool:
        peer = self._offering if self._primary is PeerRole.OFFERS else self._answering
        return peer is not None and peer.send_data(label, payload)

    def figures(self) -> list[TransportFigures]:
        return [peer.figures() for peer in (self._answering, self._offering) if peer is not None]

    def retire(self) -> None:
        """Nothing is sent or told any more; `close` follows."""
        self._is_retired = True
        self.is_usable = False

    def close(self) -> None:
        self.retire()
        self._is_closed = True
        peers = (self._answering, self._offering)
        self._answering = self._offering = None
        for peer in peers:
            if peer is not None:
                peer.close()

    def on_state(self, role: PeerRole, state: PeerState, detail: str) -> None:
        if self._is_retired:
            return
        if state is PeerState.CONNECTED and role is self._primary:
            self._owner.on_media_connected()
        elif state is PeerState.FAILED:
            self.is_usable = False
            self._owner.on_media_failed(detail)
        elif state is PeerState.CLOSED:
            self.is_usable = False
            self._owner.on_media_closed()

    def _offer(self, peer: ServingPeer, now_seconds: float) -> None:
        sdp = peer.offer()
        if sdp is not None:
            self._offer_number += 1
            self._offered_seconds = now_seconds
            self._send(responses.offer(sdp, self._offer_number))

    def _ask_for_sections(self, peer: ServingPeer, now_seconds: float) -> None:
        if self._asked_seconds is not None and now_seconds - self._asked_seconds < ASK_AGAIN_SECONDS:
            return
        self._asked_seconds = None
        if peer.needs_offer():
            self._asked_seconds = now_seconds
            self._asked = dict(peer.sections_missing())
            self._send(responses.sections_required(self._asked))

    def _is_ignored_by_offer(self, peer: ServingPeer) -> bool:
        """The newest offer brought nothing of what we asked for."""
        return peer.needs_offer() and dict(peer.sections_missing()) == self._asked

    def _sending_peer(self) -> ServingPeer:
        return self._ensure_answering() if self._single_peer else self._ensure_offering()

    def _ensure_answering(self) -> ServingPeer:
        if self._answering is None:
            self._answering = self._make(PeerRole.ANSWERS)
        return self._answering

    def _ensure_offering(self) -> ServingPeer:
        if self._offering is None:
            self._offering = self._make(PeerRole.OFFERS)
        return self._offering

    def _make(self, role: PeerRole) -> ServingPeer:
        if self._is_closed:
            raise StateError("the member has left")
        return self._peers(role, _Listener(self, self._owner, role))


class _Listener:
    """Tells states of one peer apart from those of the other."""

    def __init__(self, link: MediaLink, owner: MediaOwner, role: PeerRole) -> None:
        self._link = link
        self._role = role
        self.publish_options = owner.publish_options
        self.on_incoming_track = owner.on_incoming_track
        self.on_incoming_track_ended = owner.on_incoming_track_ended
        self.on_data = owner.on_data

    def on_state(self, state: PeerState, detail: str) -> None:
        self._link.on_state(self._role, state, detail)


def _candidate_in(text: str) -> str:
    """Of an RTCIceCandidateInit in JSON."""
    if len(text) > MAX_CANDIDATE_CHARACTERS:
        return ""
    try:
        values: object = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    candidate = cast("dict[str, object]", values).get("candidate") if isinstance(values, dict) else None
    return candidate if isinstance(candidate, str) and candidate.isascii() else ""
