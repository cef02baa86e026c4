"""One connection to the channel: signalling and media of it, feeding a recording while it lasts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from functools import partial

from channel_recorder import __version__, clock
from channel_recorder.channel.channel import Channel
from channel_recorder.channel.signal_events import (
    CandidateReceived,
    IceServersReceived,
    OfferReceived,
    SignalEvent,
    SubscriptionFailed,
    SubscriptionPermissionChanged,
    TokenRefreshed,
)
from channel_recorder.channel.signal_messages import VideoLayer
from channel_recorder.e2ee.packets import open_packet
from channel_recorder.e2ee.store import KeyStore
from channel_recorder.errors import ProtocolError, StateError
from channel_recorder.events import Disconnected, LeaveReason
from channel_recorder.model import Codec, IceServer
from channel_recorder.recording.recording import Recording
from channel_recorder.rtc.description import MediaDescription, TrackListener
from channel_recorder.rtc.peer.connection import SubscriberPeer
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.wiring.join import JoinRequest

logger = logging.getLogger(__name__)

LEAVE_GRACE_SECONDS = 0.5
"""A server that closes a room ends the media at once; its Leave, which says why, may come a little later."""


class Attempt:
    """From the WebSocket's opening to the end of this connection.

    What happens before `serve` names the recording is kept and replayed: the recording's directory
    is made only after the join succeeded.
    """

    def __init__(self, request: JoinRequest, token: str, keys: KeyStore | None = None) -> None:
        self._ended: asyncio.Future[Disconnected] = asyncio.get_running_loop().create_future()
        self.refreshed_token: str | None = None
        self._config = request.config
        self._channel = Channel(
            request.server_url,
            token,
            auto_subscribe=False,
            listener=self,
            version=__version__,
            query=request.query(token),
            open_packet=None if keys is None else partial(open_packet, keys),
        )
        self._recording: Recording | None = None
        self._early: list[SignalEvent] = []
        self._ice_servers: tuple[IceServer, ...] = ()
        self._peer: SubscriberPeer | None = None
        self._media: dict[str, MediaDescription] = {}
        """By track sid."""
        self._drops_taken = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        """Raises JoinError and its kinds."""
        await self._channel.connect()

    def serve(self, recording: Recording) -> None:
        """What comes from now on, and what came since the join, is the recording's."""
        self._recording = recording
        recording.connected(self, clock.monotonic_seconds())
        early, self._early = self._early, []
        for event in early:
            self.on_event(event)

    async def wait_ended(self) -> Disconnected:
        return await asyncio.shield(self._ended)

    def take_drops(self) -> dict[str, int]:
        """What the far side sent and could not be used, by reason. Nothing the second time."""
        if self._drops_taken:
            return {}
        self._drops_taken = True
        media = {} if self._peer is None else self._peer.drops
        return {reason: count for reason, count in (self._channel.counters | media).items() if count}

    async def close(self) -> None:
        """Says good-bye and frees everything."""
        self._end(Disconnected(reason=LeaveReason.CLIENT_INITIATED))
        for task in list(self._tasks):
            task.cancel()
        await self._channel.close()
        if self._peer is not None:
            await self._peer.close()

    # Uplink of the recording

    def subscribe(self, track_sids: Iterable[str], wanted: bool) -> None:
        self._channel.subscribe(track_sids, wanted)

    def choose_layer(self, track_sid: str, *, low: bool) -> None:
        self._channel.set_track_settings([track_sid], layer=VideoLayer.LOW if low else VideoLayer.HIGH)

    def request_key_frame(self, track_sid: str) -> None:
        media = self._media.get(track_sid)
        if media is not None and self._peer is not None:
            self._peer.request_key_frame(media.mid)

    # Signalling

    def on_event(self, event: SignalEvent) -> None:
        recording = self._recording
        if self._ended.done():
            # The recording has cut this connection, or is about to: what comes late is nobody's.
            return
        if isinstance(event, Disconnected):
            self._end(event)
        elif recording is None:
            self._early.append(event)
        else:
            self._pass_on(event, recording)

    def _pass_on(self, event: SignalEvent, recording: Recording) -> None:
        match event:
            case OfferReceived():
                self._start(self._answer(event))
            case CandidateReceived():
                self._media_peer().add_remote_candidate(event.candidate, event.mid, event.m_line_index)
            case IceServersReceived(servers=servers):
                self._ice_servers = servers
            case TokenRefreshed(token=token):
                self.refreshed_token = token
            case SubscriptionFailed(track_sid=sid, reason=reason):
                recording.subscription_failed(sid, reason, clock.monotonic_seconds())
            case SubscriptionPermissionChanged(track_sid=sid, allowed=allowed):
                logger.info("the publisher of track %s %s its recording", sid, "allows" if allowed else "forbids")
            case _:
                recording.on_event(event, clock.monotonic_seconds())

    async def _answer(self, offer: OfferReceived) -> None:
        try:
            answer = await self._media_peer().answer(offer.sdp)
        except ProtocolError as error:
            logger.warning("an offer of the server can't be answered: %s", error)
        except (StateError, OSError) as error:
            self._end(Disconnected(reason=LeaveReason.MEDIA_FAILED, detail=str(error)))
        else:
            self._channel.send_answer(answer, offer.offer_id)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("answering an offer failed", exc_info=error)
            self._end(Disconnected(reason=LeaveReason.MEDIA_FAILED, detail=str(error)))

    # Media

    def _media_peer(self) -> SubscriberPeer:
        if self._peer is None:
            low, high = self._config.low_udp_port, self._config.high_udp_port
            without = () if self._config.enable_h265_support else (Codec.H265,)
            self._peer = SubscriberPeer(
                listener=self,
                ice_servers=self._ice_servers,
                port_range=(low, high) if low else None,
                codecs=[codec for codec in Codec if codec not in without],
            )
        return self._peer

    def on_media_added(self, media: MediaDescription) -> TrackListener | None:
        if self._recording is None or self._ended.done():
            return None
        self._media[media.track_id] = media
        sender = media.stream_id.partition("|")[0]
        return self._recording.begin_media(media.track_id, media.kind, sender, clock.monotonic_seconds())

    def on_media_removed(self, media: MediaDescription) -> None:
        if self._recording is not None and self._media.pop(media.track_id, None) is not None:
            self._recording.end_media(media.track_id)

    def on_state(self, state: PeerState, detail: str) -> None:
        if state is PeerState.FAILED:
            failed = Disconnected(reason=LeaveReason.MEDIA_FAILED, detail=detail)
            asyncio.get_running_loop().call_later(LEAVE_GRACE_SECONDS, self._end, failed)

    def on_data(self, label: str, payload: bytes) -> None:
        self._channel.receive_data(label, payload)

    def on_local_candidate(self, candidate: str, mid: str, m_line_index: int) -> None:
        self._channel.send_candidate(candidate, mid, m_line_index)

    def _end(self, disconnected: Disconnected) -> None:
        if not self._ended.done():
            self._ended.set_result(disconnected)
