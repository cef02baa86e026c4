"""Peer connections and WebSockets that are plain objects.

Their session descriptions are text with an m-line per line: `<mid> <kind> <send|recv|off> <track id> [<stream id>]`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from livekit.protocol import rtc as pb

from channel_recorder.errors import MalformedError, StateError
from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import MediaDescription, PayloadType
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.serve.contract import (
    Answer,
    PeerRole,
    PublishOptions,
    ServingListener,
    TransportFigures,
)

APPLICATION = "0 application"
PREFERRED = {MediaKind.AUDIO: Codec.OPUS, MediaKind.VIDEO: Codec.VP8}


class FakeIncoming:
    def __init__(self, media: MediaDescription) -> None:
        self.media = media
        self.codec: Codec | None = None
        self.level = 0.0

    def take_level(self) -> float:
        return self.level

    def bitrate_bps(self) -> float:
        return 0.0


@dataclass(eq=False)
class FakeOutgoing:
    incoming: FakeIncoming
    stream_id: str
    track_id: str
    mid: str = ""
    highest: int | None = None
    is_paused: bool = False

    @property
    def layer(self) -> int | None:
        return None if self.is_paused else self.highest

    def set_layer(self, highest: int) -> None:
        self.highest = highest

    def set_paused(self, paused: bool) -> None:
        self.is_paused = paused


class FakePeer:
    """Both roles. Checks that it is used as the contract says."""

    def __init__(self, role: PeerRole, listener: ServingListener) -> None:
        self.role = role
        self.listener = listener
        self.state = PeerState.NEW
        self.sending: list[FakeOutgoing] = []
        self.incoming: dict[str, FakeIncoming] = {}
        self.options: dict[str, PublishOptions] = {}
        self.candidates: list[str] = []
        self.data: list[tuple[str, bytes]] = []
        self.channels_open = True
        self.transport = TransportFigures()
        self.is_closed = False
        self._is_in_flight = False
        self._described: list[tuple[str, str]] | None = None

    # As the far side and the network see it

    def connect(self) -> None:
        self._set_state(PeerState.CONNECTED)

    def fail(self) -> None:
        self._set_state(PeerState.FAILED)

    def say_goodbye(self) -> None:
        self._set_state(PeerState.CLOSED)

    def receive_data(self, label: str, payload: bytes) -> None:
        self.listener.on_data(label, payload)

    # ServingPeer

    def answer(self, offer: str) -> Answer:
        assert self.role is PeerRole.ANSWERS
        self._check_usable()
        lines = parse(offer)
        for mid in set(self.incoming) - {mid for mid, _, way, _ in lines if way == "send"}:
            self.listener.on_incoming_track_ended(self.incoming.pop(mid))
        answered = [self._answer_line(*line) for line in lines]
        self._described = self._wanted()
        sent = {track.mid: track.track_id for track in self.sending if track.mid}
        return Answer(sdp="\n".join(answered), track_ids=sent)

    def offer(self) -> str | None:
        assert self.role is PeerRole.OFFERS
        if self._is_in_flight or self._described == self._wanted():
            return None
        self._is_in_flight = True
        self._described = self._wanted()
        for number, track in enumerate(self.sending, 1):
            track.mid = str(number)
        media = [f"{t.mid} {t.incoming.media.kind} send {t.track_id} {t.stream_id}" for t in self.sending]
        return "\n".join([APPLICATION, *media])

    def accept_answer(self, answer: str) -> None:
        if not self._is_in_flight:
            raise StateError("no offer is under way")
        self._is_in_flight = False
        parse(answer)

    def add_remote_candidate(self, candidate: str) -> None:
        self.candidates.append(candidate)

    def send_track(self, track: object, *, stream_id: str, track_id: str) -> FakeOutgoing:
        assert not self.is_closed
        assert isinstance(track, FakeIncoming)
        outgoing = FakeOutgoing(track, stream_id, track_id)
        self.sending.append(outgoing)
        return outgoing

    def stop_track(self, track: object) -> None:
        self.sending = [sent for sent in self.sending if sent is not track]

    def sections_missing(self) -> Mapping[MediaKind, int]:
        return Counter(track.incoming.media.kind for track in self.sending if not track.mid)

    def needs_offer(self) -> bool:
        is_changed = self._described is not None and self._described != self._wanted()
        return is_changed or bool(self.sections_missing())

    def send_data(self, label: str, payload: bytes) -> bool:
        assert not self.is_closed
        if self.channels_open:
            self.data.append((label, payload))
        return self.channels_open

    def figures(self) -> TransportFigures:
        return self.transport

    def close(self) -> None:
        self.is_closed = True
        self.state = PeerState.CLOSED

    def _wanted(self) -> list[tuple[str, str]]:
        return [(track.track_id, track.stream_id) for track in self.sending]

    def _answer_line(self, mid: str, kind: str, way: str, track_id: str) -> str:
        if way == "send":
            return self._receive(mid, MediaKind(kind), track_id)
        if way == "recv":
            for track in self.sending:
                if track.mid in ("", mid) and track.incoming.media.kind == kind:
                    track.mid = mid
                    return f"{mid} {kind} send {track.track_id} {track.stream_id}"
        return f"{mid} {kind} off"

    def _receive(self, mid: str, kind: MediaKind, track_id: str) -> str:
        options = self.options[mid] = self.listener.publish_options(kind, track_id)
        if not options.accepted:
            return f"{mid} {kind} off"
        if mid not in self.incoming:
            self.incoming[mid] = FakeIncoming(described(mid, kind, track_id, options))
            self.listener.on_incoming_track(self.incoming[mid])
        return f"{mid} {kind} recv"

    def _check_usable(self) -> None:
        if self.state in (PeerState.FAILED, PeerState.CLOSED):
            raise StateError("the connection is gone")

    def _set_state(self, state: PeerState) -> None:
        if not self.is_closed:
            self.state = state
            self.listener.on_state(state, "")


class FakeSink:
    def __init__(self) -> None:
        self.messages: list[pb.SignalResponse] = []
        self.is_closed = False

    def send(self, response: pb.SignalResponse) -> None:
        assert not self.is_closed
        self.messages.append(pb.SignalResponse.FromString(response.SerializeToString()))

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Peers:
    """The factory. Remembers whom it made."""

    made: list[FakePeer] = field(default_factory=list)

    def __call__(self, role: PeerRole, listener: ServingListener) -> FakePeer:
        peer = FakePeer(role, listener)
        self.made.append(peer)
        return peer

    @property
    def open(self) -> list[FakePeer]:
        return [peer for peer in self.made if not peer.is_closed]


def described(mid: str, kind: MediaKind, track_id: str, options: PublishOptions) -> MediaDescription:
    codec = options.codec or PREFERRED[kind]
    payload = PayloadType(number=96, codec=codec, clock_rate_hz=codec.clock_rate_hz)
    return MediaDescription(mid=mid, kind=kind, stream_id="-", track_id=track_id, payload_types=(payload,))


def parse(description: str) -> list[tuple[str, str, str, str]]:
    """Media only. Raises MalformedError."""
    lines = [line.split() for line in description.splitlines() if line != APPLICATION]
    if any(len(line) < 3 or line[1] not in ("audio", "video") for line in lines):
        raise MalformedError("no session description")
    return [(line[0], line[1], line[2], line[3] if len(line) > 3 else "") for line in lines]
