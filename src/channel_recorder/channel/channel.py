"""One stay in one channel: signalling, its WebSocket, and the data that members send.

    channel = Channel("ws://127.0.0.1:7880", token, auto_subscribe=True, listener=listener)
    await channel.connect(timeout_seconds=10)
    ...
    await channel.close()

Used once; a rejoin is a new Channel with `token` of the old one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from channel_recorder.channel.connection import Connection
from channel_recorder.channel.data import DataReceiver, OpenPacket
from channel_recorder.channel.join_request import join_url, server_name
from channel_recorder.channel.signal_events import SignalEvent
from channel_recorder.channel.signal_messages import VideoLayer
from channel_recorder.channel.signalling import Signalling, Stage
from channel_recorder.events import ParticipantLeft


class ChannelListener(Protocol):
    """Called on the loop that connects. Must not block or raise."""

    def on_event(self, event: SignalEvent) -> None:
        """`channel_recorder.events`, in their documented order, and what `signal_events` adds.

        The first is Joined, while `connect` is still waiting. Disconnected, once, is the last.
        """
        ...


class Channel:
    """A receiving member of a channel. To be made and used on one running loop."""

    def __init__(
        self,
        server_url: str,
        token: str,
        *,
        auto_subscribe: bool,
        listener: ChannelListener,
        version: str = "",
        query: Mapping[str, str] | None = None,
        open_packet: OpenPacket | None = None,
    ) -> None:
        """`auto_subscribe`: every track is sent; else only those asked for with `subscribe`.

        `version` of this program, told to the server. `query`: what a token does not tell that is none of LiveKit's.
        `open_packet`: see `DataReceiver`. Raises ConfigError for a bad URL.
        """
        self._url = join_url(server_url, auto_subscribe=auto_subscribe, version=version, more=query)
        self._server = server_name(server_url)
        self._token = token
        self._listener = listener
        self._signalling = Signalling()
        self._data = DataReceiver(open_packet=open_packet)
        self._connection = Connection(self._signalling, self._on_event)

    async def connect(self, *, timeout_seconds: float = 10.0) -> None:
        """Joins. Raises TokenError, AppIdError, ChannelNameError, UidInUseError, ServerUnreachableError, JoinError."""
        await self._connection.open(self._url, self._token, server=self._server, timeout_seconds=timeout_seconds)

    async def close(self) -> None:
        """Leaves, if still there. No event follows. No effect the second time."""
        await self._connection.close()

    def send_answer(self, sdp: str, offer_id: int) -> None:
        """The answer to OfferReceived."""
        self._signalling.send_answer(sdp, offer_id)
        self._connection.drain()

    def send_candidate(self, candidate: str, mid: str, m_line_index: int) -> None:
        """A candidate of ours found after the answer was sent."""
        self._signalling.send_candidate(candidate, mid, m_line_index)
        self._connection.drain()

    def subscribe(self, track_sids: Iterable[str], wanted: bool) -> None:
        """Tracks to be sent, or no more. What is not wanted is not sent at all once the server took note."""
        self._signalling.subscribe(track_sids, wanted)
        self._connection.drain()

    def set_track_settings(
        self, track_sids: Iterable[str], *, layer: VideoLayer = VideoLayer.HIGH, disabled: bool = False
    ) -> None:
        """Which simulcast layer is sent; `disabled` pauses without unsubscribing."""
        self._signalling.set_track_settings(track_sids, layer=layer, disabled=disabled)
        self._connection.drain()

    def receive_data(self, label: str, payload: bytes) -> None:
        """A message of a data channel of the peer connection: becomes DataReceived."""
        for event in self._data.receive(label, payload):
            self._listener.on_event(event)

    @property
    def token(self) -> str:
        """The newest access token: the server's, or the one given."""
        return self._signalling.refreshed_token or self._token

    @property
    def is_joined(self) -> bool:
        return self._signalling.stage is Stage.JOINED

    @property
    def round_trip_seconds(self) -> float:
        """To the server and back over the WebSocket; 0 before the first ping was answered."""
        return self._signalling.round_trip_seconds

    @property
    def counters(self) -> dict[str, int]:
        """What the far side sent and we dropped, by reason."""
        return {
            "malformed_messages": self._signalling.malformed_messages,
            "ignored_messages": self._signalling.ignored_messages,
            "stale_updates": self._signalling.stale_updates,
            "malformed_packets": self._data.malformed_packets,
            "ignored_packets": self._data.ignored_packets,
            "duplicate_packets": self._data.duplicate_packets,
        }

    def _on_event(self, event: SignalEvent) -> None:
        if isinstance(event, ParticipantLeft):
            for unfinished in self._data.forget(event.participant.sid, event.participant.identity):
                self._listener.on_event(unfinished)
        self._listener.on_event(event)
