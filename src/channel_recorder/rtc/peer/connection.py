"""The receiving end of a WebRTC peer connection: answers offers, delivers frames, asks for what is missing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Sequence

from channel_recorder import clock
from channel_recorder.errors import StateError
from channel_recorder.model import Codec, IceServer
from channel_recorder.rtc.description import MediaDescription, TrackListener
from channel_recorder.rtc.peer.contract import PeerListener, PeerState
from channel_recorder.rtc.peer.data import DataEndpoint
from channel_recorder.rtc.peer.feedback_timer import FeedbackTimer
from channel_recorder.rtc.peer.negotiation import Changes, Negotiator
from channel_recorder.rtc.peer.sections import DataChannels
from channel_recorder.rtc.peer.secure import SecureTransport, TransportHandlers, TransportOptions
from channel_recorder.rtc.receive.receiver import Receiver
from channel_recorder.rtc.receive.statistics import ReceiveStatistics


class SubscriberPeer:
    """Receives what one far side sends, over one connection of its own.

    The far side offers, we answer (`answer`), and pass on its candidates (`add_remote_candidate`). `listener` hears
    of m-lines, states, data and our late candidates. FAILED is final: close this peer and make another. An ICE
    restart (an offer with new credentials) is followed without a break; a far side that comes back with another
    certificate is FAILED.

    `port_range`: lowest and highest local UDP port, inclusive; None leaves it to the system.
    """

    def __init__(
        self,
        *,
        listener: PeerListener,
        ice_servers: Sequence[IceServer] = (),
        port_range: tuple[int, int] | None = None,
        codecs: Collection[Codec] = tuple(Codec),
        connect_timeout_seconds: float = 15.0,
        now: Callable[[], float] = clock.monotonic_seconds,
    ) -> None:
        ssrc = random.randrange(1, 2**32)
        self._listener = listener
        self._now = now
        self._negotiator = Negotiator(codecs=codecs, session_id=random.getrandbits(62))
        self._receiver = Receiver(ssrc=ssrc, cname=f"{random.getrandbits(64):016x}")
        self._track_listeners: dict[str, TrackListener] = {}
        self._ignored: dict[str, list[bytes]] = {}
        """SSRCs that are dropped, by mid."""
        self._transport = SecureTransport(
            TransportHandlers(
                on_rtp=self._on_rtp,
                on_rtcp=self._on_rtcp,
                on_application_data=self._on_application_data,
                on_state=self._on_state,
                on_candidate=self._on_local_candidate,
            ),
            TransportOptions(
                servers=ice_servers, port_range=port_range, connect_timeout_seconds=connect_timeout_seconds
            ),
        )
        self._data_channels: DataChannels | None = None
        self._data: DataEndpoint | None = None
        self._timer = FeedbackTimer(lambda: self._receiver.next_timer_seconds, self._send_feedback, now)
        self._negotiating = asyncio.Lock()

    @property
    def state(self) -> PeerState:
        return self._transport.state

    @property
    def drops(self) -> dict[str, int]:
        """Packets that were not used, by reason; `not_genuine`: SRTP and SRTCP that failed authentication."""
        counts = {reason.value: count for reason, count in self._receiver.drops.items()}
        return counts | {"not_genuine": self._transport.authentication_failures}

    async def answer(self, offer: str) -> str:
        """Answer the first offer or any later one. `on_media_removed` and `on_media_added` are called before this
        returns, hence before a packet of new media can arrive.

        Raises MalformedError or ProtocolError (nothing changed, except that another certificate means FAILED),
        StateError once failed or closed, OSError if no UDP port is free.
        """
        async with self._negotiating:
            if self.state in (PeerState.FAILED, PeerState.CLOSED):
                raise StateError(f"the peer connection is {self.state}")
            changes = self._negotiator.receive_offer(offer)
            local = await self._transport.negotiate(changes.transport)
            self._apply(changes)
            answer = self._negotiator.answer(local)
            self._transport.start()
            return answer

    def add_remote_candidate(self, candidate: str, mid: str | None = None, m_line_index: int | None = None) -> None:
        """A trickled candidate, as in SDP. Everything is bundled, so the m-line does not matter; what cannot be used
        (TCP, names, garbage) is passed over."""
        self._transport.add_remote_candidate(candidate)

    def request_key_frame(self, mid: str) -> None:
        """Ask until a key frame comes (RFC 4585 PLI). The receiver asks by itself at the start and after a loss."""
        self._receiver.request_key_frame(mid, self._now())
        self._rearm_if_sooner()

    def statistics(self, mid: str) -> ReceiveStatistics:
        """Raises KeyError for a mid that is not being received."""
        return self._receiver.statistics(mid)

    async def close(self) -> None:
        """Say good-bye and free everything. No m-line is reported as removed."""
        self._timer.stop()
        self._close_data()
        await self._transport.close()

    def _apply(self, changes: Changes) -> None:
        now = self._now()
        for media in changes.removed:
            self._remove(media, now)
        for media in changes.changed:
            self._change(media, now)
        for media in changes.added:
            self._add(media, now)
        self._data_channels = changes.data_channels
        self._open_data()
        self._rearm_if_sooner()

    def _add(self, media: MediaDescription, now: float) -> None:
        track_listener = self._listener.on_media_added(media)
        if track_listener is not None:
            self._track_listeners[media.mid] = track_listener
            self._receiver.add_media(media, track_listener, now)
        else:
            self._ignore(media)

    def _change(self, media: MediaDescription, now: float) -> None:
        """The same track under another SSRC or other payload types; the receiver tells the listener."""
        track_listener = self._track_listeners.get(media.mid)
        if track_listener is not None:
            self._receiver.add_media(media, track_listener, now)
        else:
            self._heed(media.mid)
            self._ignore(media)

    def _remove(self, media: MediaDescription, now: float) -> None:
        if self._track_listeners.pop(media.mid, None) is not None:
            self._receiver.remove_media(media.mid, now)
        self._heed(media.mid)
        self._listener.on_media_removed(media)

    def _ignore(self, media: MediaDescription) -> None:
        """Drop the packets of an m-line nobody wants. Unknown SSRCs could be taken for another m-line's."""
        keys = [ssrc.to_bytes(4, "big") for ssrc in (media.ssrc, media.rtx_ssrc) if ssrc is not None]
        self._ignored[media.mid] = keys
        self._receiver.handlers.update(dict.fromkeys(keys, _drop))

    def _heed(self, mid: str) -> None:
        handlers = self._receiver.handlers
        for key in self._ignored.pop(mid, ()):
            if handlers.get(key) is _drop:
                del handlers[key]

    def _on_rtp(self, packet: bytes) -> None:
        receiver = self._receiver
        receiver.receive_rtp(packet, self._now())
        if receiver.next_timer_seconds < self._timer.seconds:
            self._rearm_if_sooner()

    def _on_rtcp(self, packet: bytes) -> None:
        self._receiver.receive_rtcp(packet, self._now())
        self._rearm_if_sooner()

    def _rearm_if_sooner(self) -> None:
        """Reports need a path, so none runs before."""
        if self.state is PeerState.CONNECTED:
            self._timer.arm_if_sooner()

    def _send_feedback(self, now_seconds: float) -> None:
        for packet in self._receiver.rtcp_to_send(now_seconds):
            self._transport.send_rtcp(packet)
        self._rearm_if_sooner()

    def _on_state(self, state: PeerState, detail: str) -> None:
        if state is PeerState.CONNECTED:
            self._rearm_if_sooner()
            self._open_data()
        elif state is not PeerState.CONNECTING:
            self._timer.stop()
            self._close_data()
        self._listener.on_state(state, detail)

    def _on_local_candidate(self, candidate: str) -> None:
        self._listener.on_local_candidate(candidate, self._negotiator.bundle_mid, self._negotiator.bundle_index)

    def _open_data(self) -> None:
        if self._data_channels is None or self._data is not None or self.state is not PeerState.CONNECTED:
            return
        self._data = DataEndpoint(
            self._data_channels,
            is_dtls_client=self._negotiator.is_dtls_client,
            send=self._transport.send_application_data,
            on_message=self._listener.on_data,
        )
        self._data.start()

    def _on_application_data(self, data: bytes) -> None:
        if self._data is not None:
            self._data.receive(data, self._now())

    def _close_data(self) -> None:
        data, self._data = self._data, None
        if data is not None:
            data.close()


def _drop(packet: bytes, now_seconds: float) -> None:
    """Takes the packets of an ignored m-line."""
