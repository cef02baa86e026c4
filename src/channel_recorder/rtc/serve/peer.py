"""The server's end of a peer connection: implements `contract.ServingPeer` over the shared port."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from channel_recorder import clock
from channel_recorder.errors import StateError
from channel_recorder.model import MediaKind
from channel_recorder.rtc.description import MediaDescription, SendDescription
from channel_recorder.rtc.forward.down_track import DownTrack
from channel_recorder.rtc.forward.downlink import Downlink
from channel_recorder.rtc.forward.uplink import Uplink
from channel_recorder.rtc.forward.uplink_track import UplinkTrack
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.peer.data import DataEndpoint
from channel_recorder.rtc.peer.feedback_timer import FeedbackTimer
from channel_recorder.rtc.peer.sections import DataChannels
from channel_recorder.rtc.serve.answering import AnsweringNegotiator, OfferChanges
from channel_recorder.rtc.serve.contract import (
    LOSSY_LABEL,
    RELIABLE_LABEL,
    Answer,
    IncomingTrack,
    OutgoingTrack,
    PeerRole,
    ServingListener,
    TransportFigures,
)
from channel_recorder.rtc.serve.offering import OfferingNegotiator
from channel_recorder.rtc.serve.outgoing import MAX_MESSAGE_BYTES, Outgoing, Sending
from channel_recorder.rtc.serve.port import MediaPort
from channel_recorder.rtc.serve.transport import ServingHandlers, ServingTransport

_NTP_EPOCH_SECONDS = 2_208_988_800
"""1970 as NTP counts (RFC 5905 section 6)."""


class ServingPeerConnection:
    """FAILED and CLOSED are final; either has let go of everything but the object."""

    def __init__(
        self,
        port: MediaPort,
        role: PeerRole,
        listener: ServingListener,
        *,
        connect_timeout_seconds: float = 15.0,
        now: Callable[[], float] = clock.monotonic_seconds,
    ) -> None:
        cname = f"{random.getrandbits(64):016x}"
        # Counted on: SRTP must never see one again under the same keys.
        ssrcs = map((0xFFFFFFFF).__and__, itertools.count(random.getrandbits(32)))
        self._role = role
        self._listener = listener
        self._now = now
        self._negotiator = _make_negotiator(role, listener, cname, ssrcs)
        self._transport = ServingTransport(
            port,
            ServingHandlers(
                on_rtp=self._on_rtp,
                on_rtcp=self._on_rtcp,
                on_application_data=self._on_application_data,
                on_state=self._on_state,
            ),
            connect_timeout_seconds=connect_timeout_seconds,
        )
        self._uplink = Uplink(ssrc=next(ssrcs), cname=cname)
        self._downlink = Downlink(
            send=self._transport.send_rtp,
            cname=cname,
            clock_offset_seconds=_clock_offset_seconds(),
            is_open=False,
        )
        self._uplink.on_wake = self._downlink.on_wake = self._rearm_if_sooner
        self._incoming: dict[str, UplinkTrack] = {}
        """By mid."""
        self._outgoing: dict[OutgoingTrack, Outgoing] = {}
        self._down_tracks: dict[Outgoing, DownTrack] = {}
        self._descriptions: dict[Outgoing, SendDescription] = {}
        """Of those that have an m-line."""
        self._data_channels: DataChannels | None = None
        self._data: DataEndpoint | None = None
        self._timer = FeedbackTimer(self._next_timer_seconds, self._send_feedback, now)
        self._is_closed = False

    # serve.contract.ServingPeer

    @property
    def state(self) -> PeerState:
        return self._transport.state

    def answer(self, offer: str) -> Answer:
        """Tracks that wait for an m-line get the offer's free ones.

        Raises MalformedError or ProtocolError (nothing changed), StateError once failed or closed."""
        negotiator = self._negotiator
        if not isinstance(negotiator, AnsweringNegotiator):
            raise StateError("this peer connection offers")
        self._check_open()
        changes = negotiator.receive_offer(offer)
        local = self._transport.negotiate(changes.transport)
        self._apply_media(changes)
        self._apply_sending(changes.unsent, changes.sent)
        self._apply_data(changes.data_channels)
        answer = negotiator.answer(local)
        self._transport.start()
        return answer

    def offer(self) -> str | None:
        """What to offer now; None if nothing changed since the last offer, or one is unanswered."""
        negotiator = self._negotiator
        if not isinstance(negotiator, OfferingNegotiator) or self._is_over:
            return None
        return negotiator.offer(self._transport.local_transport())

    def accept_answer(self, answer: str) -> None:
        """Raises MalformedError or ProtocolError (nothing changed), StateError if no offer is under way."""
        negotiator = self._negotiator
        if not isinstance(negotiator, OfferingNegotiator):
            raise StateError("this peer connection answers")
        self._check_open()
        changes = negotiator.receive_answer(answer)
        self._transport.negotiate(changes.transport)
        self._apply_sending(changes.unsent, changes.sent)
        self._apply_data(changes.data_channels)
        self._transport.start()

    def add_remote_candidate(self, candidate: str) -> None:
        """An ice-lite end learns addresses from the far side's checks, never from candidates."""

    def send_track(self, track: IncomingTrack, *, stream_id: str, track_id: str) -> OutgoingTrack:
        """Forward `track` to the far side under this a=msid, once there is an m-line for it."""
        assert isinstance(track, UplinkTrack), "tracks come from peer connections of this kind"
        down_track = DownTrack(track)
        outgoing = Outgoing(track=track, stream_id=stream_id, track_id=track_id)
        self._outgoing[down_track] = outgoing
        self._down_tracks[outgoing] = down_track
        self._negotiator.add(outgoing)
        return down_track

    def stop_track(self, track: OutgoingTrack) -> None:
        """Nothing of it is sent any more; its m-line goes with the next negotiation. Twice is once."""
        outgoing = self._outgoing.pop(track, None)
        if outgoing is not None:
            self._negotiator.remove(outgoing)
            self._stop_sending(outgoing)
            del self._down_tracks[outgoing]
            self._rearm_if_sooner()

    def sections_missing(self) -> Mapping[MediaKind, int]:
        """How many m-lines the next offer must add for the tracks that wait."""
        negotiator = self._negotiator
        return negotiator.sections_missing() if isinstance(negotiator, AnsweringNegotiator) else {}

    def needs_offer(self) -> bool:
        """Something waits for the next offer, ours or the far side's: a track to send or one to take away."""
        return not self._is_over and self._negotiator.needs_offer()

    def send_data(self, label: str, payload: bytes) -> bool:
        """False if it was dropped: no such channel is open, or too much waits to be sent already."""
        return self._data is not None and self._data.send(label, payload)

    def figures(self) -> TransportFigures:
        measured = self._downlink.round_trip_seconds
        return TransportFigures(
            fraction_lost_up=self._uplink.fraction_lost(),
            fraction_lost_down=self._downlink.fraction_lost(),
            round_trip_seconds=self._uplink.round_trip_seconds if measured is None else measured,
        )

    def close(self) -> None:
        """Says good-bye and frees everything. No listener is called any more."""
        self._is_closed = True
        self._release()
        self._transport.close()

    # Negotiated

    @property
    def _is_over(self) -> bool:
        return self.state in (PeerState.FAILED, PeerState.CLOSED)

    def _check_open(self) -> None:
        if self._is_over:
            raise StateError(f"the peer connection is {self.state}")

    def _apply_media(self, changes: OfferChanges) -> None:
        now = self._now()
        for media in changes.removed:
            self._uplink.remove_media(media.mid, now)
            self._listener.on_incoming_track_ended(self._incoming.pop(media.mid))
        for media in changes.changed:
            self._uplink.add_media(media, now)
        for media in changes.added:
            self._add_media(media, now)

    def _add_media(self, media: MediaDescription, now: float) -> None:
        track = self._incoming[media.mid] = self._uplink.add_media(media, now)
        self._listener.on_incoming_track(track)

    def _apply_sending(self, unsent: Iterable[Outgoing], sent: Iterable[Sending]) -> None:
        for outgoing in unsent:
            self._stop_sending(outgoing)
        for sending in sent:
            self._send(sending.outgoing, sending.description)
        self._rearm_if_sooner()

    def _send(self, outgoing: Outgoing, description: SendDescription) -> None:
        down_track = self._down_tracks.get(outgoing)
        if down_track is not None:
            self._descriptions[outgoing] = description
            self._downlink.add_track(down_track, description, self._now())

    def _stop_sending(self, outgoing: Outgoing) -> None:
        description = self._descriptions.pop(outgoing, None)
        if description is None:
            return
        self._downlink.remove_track(self._down_tracks[outgoing], self._now())
        for ssrc in (description.ssrc, description.rtx_ssrc):
            if ssrc is not None:
                self._transport.forget_sent_source(ssrc)

    def _apply_data(self, data_channels: DataChannels | None) -> None:
        self._data_channels = data_channels
        self._open_data()

    # Packets and timers

    def _on_rtp(self, packet: bytes) -> None:
        uplink = self._uplink
        uplink.receive_rtp(packet, self._now())
        if uplink.next_timer_seconds < self._timer.seconds:
            self._rearm_if_sooner()

    def _on_rtcp(self, packet: bytes) -> None:
        now = self._now()
        self._uplink.receive_rtcp(packet, now)
        self._downlink.receive_rtcp(packet, now)
        self._rearm_if_sooner()

    def _rearm_if_sooner(self) -> None:
        """Reports need a path, so none runs before."""
        if self.state is PeerState.CONNECTED:
            self._timer.arm_if_sooner()

    def _next_timer_seconds(self) -> float:
        return min(self._uplink.next_timer_seconds, self._downlink.next_timer_seconds)

    def _send_feedback(self, now_seconds: float) -> None:
        for packet in self._uplink.rtcp_to_send(now_seconds) + self._downlink.rtcp_to_send(now_seconds):
            self._transport.send_rtcp(packet)
        self._rearm_if_sooner()

    def _on_state(self, state: PeerState, detail: str) -> None:
        if state is PeerState.CONNECTED:
            self._downlink.open(self._now())
            self._rearm_if_sooner()
            self._open_data()
        elif state in (PeerState.FAILED, PeerState.CLOSED):
            self._release()
        if not self._is_closed:
            self._listener.on_state(state, detail)

    def _release(self) -> None:
        """Nothing is received, forwarded or timed any more."""
        self._timer.stop()
        data, self._data = self._data, None
        if data is not None:
            data.close()
        now = self._now()
        for outgoing in list(self._descriptions):
            self._stop_sending(outgoing)
        for mid in self._incoming:
            self._uplink.remove_media(mid, now)
        self._down_tracks, self._outgoing, self._incoming = {}, {}, {}

    # Data

    def _open_data(self) -> None:
        if self._data_channels is None or self._data is not None or self.state is not PeerState.CONNECTED:
            return
        self._data = DataEndpoint(
            self._data_channels,
            is_dtls_client=self._negotiator.is_dtls_client,
            send=self._transport.send_application_data,
            on_message=self._on_message,
            max_message_bytes=MAX_MESSAGE_BYTES,
        )
        self._data.start()
        if self._role is PeerRole.OFFERS:
            self._data.open(RELIABLE_LABEL)
            self._data.open(LOSSY_LABEL, ordered=False, max_retransmits=0)

    def _on_application_data(self, data: bytes) -> None:
        if self._data is not None:
            self._data.receive(data, self._now())

    def _on_message(self, label: str, payload: bytes) -> None:
        if not self._is_closed:
            self._listener.on_data(label, payload)


def _make_negotiator(
    role: PeerRole, listener: ServingListener, cname: str, ssrcs: Iterator[int]
) -> AnsweringNegotiator | OfferingNegotiator:
    session_id = random.getrandbits(62)
    if role is PeerRole.OFFERS:
        return OfferingNegotiator(ssrcs=ssrcs, session_id=session_id, cname=cname)
    return AnsweringNegotiator(
        publish_options=listener.publish_options, ssrcs=ssrcs, session_id=session_id, cname=cname
    )


@cache
def _clock_offset_seconds() -> float:
    """From the monotonic clock to NTP time, taken once: all connections of a server tell the same time."""
    return clock.unix_seconds() + _NTP_EPOCH_SECONDS - clock.monotonic_seconds()
