"""The client's side of LiveKit signalling on the v0 path, as a state machine. Sans-IO.

JOINING -> JOINED -> CLOSED; before the join only `join` and `leave` are understood, after the close nothing is.
Feed it one input (`receive`, `handle_timer`, `connection_lost` or a command), then drain it fully:
`next_event` until None, `messages_to_send`, `next_timer`.
A connection that was joined ends with exactly one Disconnected, unless we left ourselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum, auto

from google.protobuf.message import DecodeError
from livekit.protocol import rtc as pb

from channel_recorder.channel.keepalive import Keepalive
from channel_recorder.channel.offer_gate import OfferGate
from channel_recorder.channel.roster import Roster
from channel_recorder.channel.signal_events import (
    OfferReceived,
    SignalEvent,
    SubscriptionFailed,
    SubscriptionPermissionChanged,
    TokenRefreshed,
)
from channel_recorder.channel.signal_messages import (
    VideoLayer,
    answer_request,
    candidate_from,
    candidate_request,
    disconnected_from,
    ice_servers_from,
    joined_from,
    leave_request,
    room_from,
    settings_request,
    subscription_error,
    subscription_request,
)
from channel_recorder.events import (
    Disconnected,
    LeaveReason,
    QualityChanged,
    RoomUpdated,
    SpeakersChanged,
    StreamPaused,
)
from channel_recorder.protocol.messages import quality_from, speaker_level_from


class Stage(Enum):
    JOINING = auto()
    JOINED = auto()
    CLOSED = auto()


class Signalling:
    """One connection to one room, as a receiver: it publishes nothing."""

    def __init__(self) -> None:
        self.stage = Stage.JOINING
        self.refreshed_token = ""
        """The newest access token the server gave; empty before it gave one."""
        self.malformed_messages = 0
        self.ignored_messages = 0
        self._events: deque[SignalEvent] = deque()
        self._outgoing: list[bytes] = []
        self._roster = Roster("", "")
        self._offers = OfferGate(self._has_heard_of)
        self._keepalive: Keepalive | None = None
        self._room: RoomUpdated | None = None
        self._forbidden: set[str] = set()
        """Tracks whose publishers do not let us have them."""
        self._handlers: dict[str, Callable[[pb.SignalResponse, float], None]] = {
            "offer": self._on_offer,
            "trickle": self._on_trickle,
            "update": self._on_update,
            "leave": self._on_leave,
            "mute": self._on_mute,
            "speakers_changed": self._on_speakers,
            "room_update": self._on_room_update,
            "connection_quality": self._on_quality,
            "stream_state_update": self._on_stream_state,
            "subscription_permission_update": self._on_subscription_permission,
            "subscription_response": self._on_subscription_response,
            "refresh_token": self._on_refresh_token,
            "pong": self._on_old_pong,
            "pong_resp": self._on_pong,
            "room_moved": self._on_room_moved,
        }

    # In

    def receive(self, message: bytes, now_seconds: float) -> None:
        """One binary WebSocket message. Malformed and unknown ones are counted and ignored."""
        if self.stage is Stage.CLOSED:
            return
        try:
            response = pb.SignalResponse.FromString(message)
        except DecodeError:
            self.malformed_messages += 1
            return
        if self._keepalive is not None:
            self._keepalive.heard(now_seconds)
        self._dispatch(response, now_seconds)

    def handle_timer(self, now_seconds: float) -> None:
        keepalive = self._keepalive
        if keepalive is None or self.stage is Stage.CLOSED:
            return
        if keepalive.is_timed_out(now_seconds):
            detail = f"no message for {keepalive.timeout_seconds:g} s"
            self._close(Disconnected(reason=LeaveReason.SIGNAL_TIMEOUT, detail=detail))
            return
        for ping in keepalive.pings(now_seconds):
            self._send(ping)
        self._events.extend(self._offers.take(now_seconds))

    def connection_lost(self, detail: str) -> None:
        """The WebSocket closed."""
        if self.stage is not Stage.CLOSED:
            self._close(Disconnected(reason=LeaveReason.SIGNAL_CLOSED, detail=detail))

    # Commands

    def send_answer(self, sdp: str, offer_id: int) -> None:
        self._command(answer_request(sdp, offer_id))

    def send_candidate(self, candidate: str, mid: str, m_line_index: int) -> None:
        self._command(candidate_request(candidate, mid, m_line_index))

    def subscribe(self, track_sids: Iterable[str], wanted: bool) -> None:
        """Asks for tracks, or asks not to be sent them. A track may be asked for before it is announced."""
        sids = list(track_sids)
        if sids:
            self._command(subscription_request(sids, wanted))

    def set_track_settings(self, track_sids: Iterable[str], *, layer: VideoLayer, disabled: bool = False) -> None:
        """`disabled`: the subscription stays, nothing is sent. Also before the track is subscribed to."""
        sids = list(track_sids)
        if sids:
            self._command(settings_request(sids, layer, disabled))

    def leave(self) -> None:
        """Says good-bye. Nothing comes out of it afterwards but this last message."""
        if self.stage is not Stage.CLOSED:
            self._send(leave_request())
            self.stage = Stage.CLOSED
            self._events.clear()

    # Out

    def next_event(self) -> SignalEvent | None:
        return self._events.popleft() if self._events else None

    def messages_to_send(self) -> list[bytes]:
        messages, self._outgoing = self._outgoing, []
        return messages

    def next_timer(self) -> float | None:
        if self._keepalive is None or self.stage is Stage.CLOSED:
            return None
        offers = self._offers.next_timer()
        pings = self._keepalive.next_timer()
        return pings if offers is None else min(pings, offers)

    @property
    def round_trip_seconds(self) -> float:
        """To the server and back, by the last ping; 0 before."""
        return self._keepalive.round_trip_seconds if self._keepalive else 0.0

    @property
    def stale_updates(self) -> int:
        """Participant updates older than what was known."""
        return self._roster.stale_updates

    # What the server says

    def _dispatch(self, response: pb.SignalResponse, now_seconds: float) -> None:
        kind = response.WhichOneof("message") or ""
        if self.stage is Stage.JOINING and kind == "join":
            self._on_join(response.join, now_seconds)
        elif kind in self._handlers and (self.stage is Stage.JOINED or kind == "leave"):
            self._handlers[kind](response, now_seconds)
        else:
            self.ignored_messages += 1

    def _on_join(self, join: pb.JoinResponse, now_seconds: float) -> None:
        self.stage = Stage.JOINED
        self._room = room_from(join.room)
        self._roster = Roster(join.participant.sid, join.participant.identity)
        self._keepalive = Keepalive(join.ping_interval, join.ping_timeout, now_seconds)
        self._events.append(joined_from(join))
        self._events.append(ice_servers_from(join))
        self._events.extend(self._roster.update(join.other_participants))

    def _on_offer(self, response: pb.SignalResponse, now_seconds: float) -> None:
        self._offers.put(OfferReceived(sdp=response.offer.sdp, offer_id=response.offer.id))
        self._events.extend(self._offers.take(now_seconds))

    def _on_trickle(self, response: pb.SignalResponse, now_seconds: float) -> None:
        candidate = candidate_from(response.trickle)
        if candidate is None:
            self.ignored_messages += 1
        else:
            self._offers.put(candidate)
            self._events.extend(self._offers.take(now_seconds))

    def _on_update(self, response: pb.SignalResponse, now_seconds: float) -> None:
        self._events.extend(self._roster.update(response.update.participants))
        self._events.extend(self._offers.take(now_seconds))

    def _on_leave(self, response: pb.SignalResponse, now_seconds: float) -> None:
        self._close(disconnected_from(response.leave))

    def _on_mute(self, response: pb.SignalResponse, now_seconds: float) -> None:
        self._events.extend(self._roster.set_muted(response.mute.sid, response.mute.muted))

    def _on_speakers(self, response: pb.SignalResponse, now_seconds: float) -> None:
        levels = {
            identity: speaker_level_from(speaker)
            for speaker in response.speakers_changed.speakers
            if (identity := self._roster.identity_of(speaker.sid)) is not None
        }
        if levels:
            self._events.append(SpeakersChanged(levels=levels))

    def _on_room_update(self, response: pb.SignalResponse, now_seconds: float) -> None:
        room = room_from(response.room_update.room)
        if room != self._room:
            self._room = room
            self._events.append(room)

    def _on_quality(self, response: pb.SignalResponse, now_seconds: float) -> None:
        qualities = {
            identity: quality
            for update in response.connection_quality.updates
            if (identity := self._roster.identity_of(update.participant_sid)) is not None
            and (quality := quality_from(update.quality)) is not None
        }
        if qualities:
            self._events.append(QualityChanged(qualities=qualities))

    def _on_stream_state(self, response: pb.SignalResponse, now_seconds: float) -> None:
        for state in response.stream_state_update.stream_states:
            paused = state.state == pb.StreamState.PAUSED
            self._events.append(StreamPaused(track_sid=state.track_sid, paused=paused))

    def _on_subscription_permission(self, response: pb.SignalResponse, now_seconds: float) -> None:
        """livekit-server says that it is allowed with every subscription: only a change is told."""
        update = response.subscription_permission_update
        if update.allowed == (update.track_sid in self._forbidden):
            self._forbidden ^= {update.track_sid}
            self._events.append(SubscriptionPermissionChanged(track_sid=update.track_sid, allowed=update.allowed))

    def _on_subscription_response(self, response: pb.SignalResponse, now_seconds: float) -> None:
        answer = response.subscription_response
        self._events.append(SubscriptionFailed(track_sid=answer.track_sid, reason=subscription_error(answer.err)))

    def _on_refresh_token(self, response: pb.SignalResponse, now_seconds: float) -> None:
        self.refreshed_token = response.refresh_token
        self._events.append(TokenRefreshed(token=response.refresh_token))

    def _on_pong(self, response: pb.SignalResponse, now_seconds: float) -> None:
        if self._keepalive is not None:
            self._keepalive.answered(response.pong_resp.last_ping_timestamp, now_seconds)

    def _on_old_pong(self, response: pb.SignalResponse, now_seconds: float) -> None:
        """That it came is all it says."""

    def _on_room_moved(self, response: pb.SignalResponse, now_seconds: float) -> None:
        """A recorder belongs to its room: it comes back into it."""
        detail = "the server moved the recorder into another room"
        self._close(Disconnected(reason=LeaveReason.STATE_MISMATCH, detail=detail, wanted_back=True))

    def _has_heard_of(self, track_sid: str) -> bool:
        return self._roster.has_heard_of(track_sid)

    def _command(self, request: pb.SignalRequest) -> None:
        if self.stage is not Stage.CLOSED:
            self._send(request)

    def _send(self, request: pb.SignalRequest) -> None:
        self._outgoing.append(request.SerializeToString())

    def _close(self, disconnected: Disconnected) -> None:
        self.stage = Stage.CLOSED
        self._events.append(disconnected)
