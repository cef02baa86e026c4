"""A server with clients that speak to it as real ones do, in virtual time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from livekit.protocol import models
from livekit.protocol import rtc as pb
from livekit.protocol.webhook import WebhookEvent

from channel_recorder.model import MediaKind
from channel_recorder.protocol.tokens import RECORDER_GRANTS, Grants
from channel_recorder.rtc.serve.contract import RELIABLE_LABEL, PeerRole
from channel_recorder.sfu.contract import ClientInfo, Credentials, JoinRequest, SignalSession
from channel_recorder.sfu.server import TICK_SECONDS, ChannelServer
from channel_recorder.sfu.settings import ServerSettings
from tests.sfu.fakes import FakeIncoming, FakeOutgoing, FakePeer, FakeSink, Peers

START_UNIX_SECONDS = 1_800_000_000.0
AUDIO = models.TrackType.AUDIO
VIDEO = models.TrackType.VIDEO
SOURCES = {AUDIO: models.TrackSource.MICROPHONE, VIDEO: models.TrackSource.CAMERA}
KINDS = {AUDIO: MediaKind.AUDIO, VIDEO: MediaKind.VIDEO}
SIMULCAST = [
    models.VideoLayer(quality=models.VideoQuality.LOW, width=320, height=180),
    models.VideoLayer(quality=models.VideoQuality.MEDIUM, width=640, height=360),
    models.VideoLayer(quality=models.VideoQuality.HIGH, width=1280, height=720),
]


class Stage:
    def __init__(self, **settings: Any) -> None:
        self.now = 1000.0
        self.events: list[WebhookEvent] = []
        self.peers = Peers()
        self.tokens: list[Credentials] = []
        self.clients: list[Client] = []
        self.server = ChannelServer(
            self.peers,
            ServerSettings(**settings),
            lambda: self.now,
            lambda: START_UNIX_SECONDS + self.now,
            self.events.append,
            self._token,
        )

    def join(self, identity: str, *, connect: bool = True, **options: Any) -> Client:
        client = Client(self, identity, **options)
        client.join()
        self.clients.append(client)
        if connect:
            client.connect()
        return client

    def recorder(self, identity: str = "recorder", **options: Any) -> Client:
        return self.join(identity, grants=RECORDER_GRANTS, kind="egress", **options)

    def wait(self, seconds: float) -> None:
        """Clients keep pinging and answering meanwhile."""
        end = self.now + seconds
        while self.now < end:
            self.now += TICK_SECONDS
            for client in self.clients:
                if client.pings:
                    client.ask(ping_req=pb.Ping(timestamp=int(self.now * 1000)))
            self.settle()
            self.server.tick()

    def settle(self) -> None:
        """Every client answers and offers until nobody has anything to say."""
        while sum(client.negotiate() for client in self.clients):
            pass

    def events_named(self, name: str) -> list[WebhookEvent]:
        return [event for event in self.events if event.event == name]

    def _token(self, credentials: Credentials) -> str:
        self.tokens.append(credentials)
        return f"token {len(self.tokens)} of {credentials.identity}"


@dataclass(eq=False)
class Client:
    stage: Stage
    identity: str
    room: str = "call"
    protocol: int = 16
    v1: bool = False
    grants: Grants = field(default_factory=Grants)
    kind: str = "standard"
    auto_subscribe: bool = True
    pings: bool = True
    answers: bool = True
    metadata: str = ""
    join_tracks: tuple[pb.AddTrackRequest, ...] = ()
    join_offer: str | None = None

    def __post_init__(self) -> None:
        self.sink = FakeSink()
        self.session: SignalSession | None = None
        self.members: dict[str, models.ParticipantInfo] = {}
        """By identity, as a client keeps them."""
        self._seen = 0
        self._negotiated = 0
        self._lines: dict[str, str] = {}
        self._next_mid = 1
        self._offer_id = 0
        self._peers: list[FakePeer] = []

    # Joining

    def request(self, **changes: Any) -> JoinRequest:
        offer = None
        if self.join_offer is not None:
            self._offer_id += 1
            self._lines = dict(enumerate_lines(self.join_offer))
            self._next_mid = 1 + len(self._lines)
            offer = pb.SessionDescription(type="offer", sdp=self.join_offer, id=self._offer_id)
        values: dict[str, Any] = {
            "credentials": Credentials(
                api_key="key",
                identity=self.identity,
                room=self.room,
                grants=self.grants,
                kind=self.kind,
                name=self.identity.title(),
                metadata=self.metadata,
            ),
            "client": ClientInfo(protocol=self.protocol),
            "single_peer": self.v1,
            "auto_subscribe": self.auto_subscribe,
            "add_tracks": self.join_tracks,
            "publisher_offer": offer,
        }
        return JoinRequest(**(values | changes))

    def join(self, **changes: Any) -> None:
        made = len(self.stage.peers.made)
        self.session = self.stage.server.join(self.request(**changes), self.sink)
        self._peers = self.stage.peers.made[made:]
        self.look()

    def rejoin(self, **changes: Any) -> Client:
        """The same user with a new connection."""
        return self.stage.join(self.identity, room=self.room, protocol=self.protocol, v1=self.v1, **changes)

    def connect(self) -> None:
        if not self._peers:
            self.offer()
        self.primary.connect()

    @property
    def primary(self) -> FakePeer:
        return self.peer(PeerRole.OFFERS if self.joined.subscriber_primary else PeerRole.ANSWERS)

    @property
    def receiving(self) -> FakePeer:
        """What tracks come by."""
        return self.peer(PeerRole.ANSWERS if self.v1 else PeerRole.OFFERS)

    def peer(self, role: PeerRole) -> FakePeer:
        return next(peer for peer in self._peers if peer.role is role)

    def has_peer(self, role: PeerRole) -> bool:
        return any(peer.role is role for peer in self._peers)

    # Asking

    def ask(self, **message: Any) -> None:
        assert self.session is not None
        made = len(self.stage.peers.made)
        self.session.receive(pb.SignalRequest(**message))
        self._peers += self.stage.peers.made[made:]

    def add_track(self, cid: str, track_type: models.TrackType = AUDIO, **fields: Any) -> None:
        self.ask(add_track=add_track(cid, track_type, **fields))

    def offer_track(self, cid: str, track_type: models.TrackType = AUDIO, *, track_id: str | None = None) -> str:
        mid = self.add_line(KINDS[track_type], "send", cid if track_id is None else track_id)
        self.offer()
        return mid

    def publish(self, cid: str, track_type: models.TrackType = AUDIO, **fields: Any) -> models.TrackInfo:
        """As it is announced to the publisher."""
        self.add_track(cid, track_type, **fields)
        self.offer_track(cid, track_type)
        return next(m.track_published.track for m in self.sent("track_published")[::-1] if m.track_published.cid == cid)

    def unpublish(self, cid: str) -> None:
        for mid, line in self._lines.items():
            if line.endswith(f"send {cid}"):
                self._lines[mid] = line.replace(f"send {cid}", "off")
        self.offer()

    def add_line(self, kind: str, way: str, track_id: str = "") -> str:
        mid = str(self._next_mid)
        self._next_mid += 1
        self._lines[mid] = f"{mid} {kind} {way} {track_id}"
        return mid

    def offer(self) -> None:
        self._offer_id += 1
        sdp = "\n".join(self._lines.values())
        self.ask(offer=pb.SessionDescription(type="offer", sdp=sdp, id=self._offer_id))

    def negotiate(self) -> bool:
        """Answers what is unanswered, brings the m-lines asked for. False if there was nothing to do."""
        news = [message for message in self.sink.messages[self._negotiated :] if self.answers]
        self._negotiated = len(self.sink.messages)
        for message in news:
            if message.HasField("offer"):
                self.ask(answer=pb.SessionDescription(type="answer", sdp=message.offer.sdp, id=message.offer.id))
            if message.HasField("media_sections_requirement"):
                required = message.media_sections_requirement
                for kind, number in (("audio", required.num_audios), ("video", required.num_videos)):
                    for _ in range(number):
                        self.add_line(kind, "recv")
                self.offer()
        return bool(news)

    def leave(self) -> None:
        self.ask(leave=pb.LeaveRequest(reason=models.DisconnectReason.CLIENT_INITIATED))
        self.hang_up()

    def hang_up(self) -> None:
        """The WebSocket goes."""
        assert self.session is not None
        self.pings = False
        self.session.disconnected()

    def send(self, packet: models.DataPacket, label: str = RELIABLE_LABEL) -> None:
        self.peer(PeerRole.ANSWERS).receive_data(label, packet.SerializeToString())

    # Hearing

    @property
    def joined(self) -> pb.JoinResponse:
        return self.sink.messages[0].join

    @property
    def sid(self) -> str:
        return self.joined.participant.sid

    @property
    def left(self) -> pb.LeaveRequest | None:
        """What the server said at last, if it ended the session."""
        last = self.sink.messages[-1]
        return last.leave if last.HasField("leave") else None

    @property
    def names(self) -> list[str]:
        """Of the messages got so far."""
        return [message.WhichOneof("message") or "" for message in self.sink.messages]

    def sent(self, name: str) -> list[pb.SignalResponse]:
        return [message for message in self.sink.messages if message.WhichOneof("message") == name]

    def forget(self) -> None:
        """From here on only what is new."""
        self.look()
        self.negotiate()
        del self.sink.messages[1:]
        self._seen = self._negotiated = 1

    def look(self) -> None:
        """Takes in what the server told."""
        news = self.sink.messages[self._seen :]
        self._seen = len(self.sink.messages)
        for message in news:
            if message.HasField("join"):
                self._take_in(message.join.other_participants)
            elif message.HasField("update"):
                self._take_in(message.update.participants)

    def sees(self) -> dict[str, set[str]]:
        """Names of the tracks of the others, by identity."""
        self.look()
        return {identity: {track.name for track in info.tracks} for identity, info in self.members.items()}

    def member(self, identity: str) -> models.ParticipantInfo:
        self.look()
        return self.members[identity]

    def gets(self) -> Counter[str]:
        """Sids of the tracks under way to it."""
        if not self.v1 and not self.has_peer(PeerRole.OFFERS):
            return Counter()
        return Counter(track.track_id for track in self.receiving.sending)

    def outgoing(self, sid: str) -> FakeOutgoing:
        return next(track for track in self.receiving.sending if track.track_id == sid)

    def incoming(self, cid: str) -> FakeIncoming:
        tracks = self.peer(PeerRole.ANSWERS).incoming.values()
        return next(track for track in tracks if track.media.track_id == cid)

    def received(self) -> list[tuple[str, models.DataPacket]]:
        return [(label, models.DataPacket.FromString(payload)) for label, payload in self.primary.data]

    def texts(self) -> list[str]:
        return [packet.user.payload.decode() for _, packet in self.received()]

    def _take_in(self, infos: Any) -> None:
        for info in infos:
            known = self.members.get(info.identity)
            is_same = known is not None and known.sid == info.sid
            if known is not None and is_same:
                assert info.version >= known.version, "an older version after a newer one"
            if info.identity == self.identity:
                continue
            if info.state != models.ParticipantInfo.DISCONNECTED:
                self.members[info.identity] = info
            elif is_same:
                del self.members[info.identity]


def add_track(cid: str, track_type: models.TrackType = AUDIO, **fields: Any) -> pb.AddTrackRequest:
    values: dict[str, Any] = {"cid": cid, "name": cid, "type": track_type, "source": SOURCES.get(track_type, 0)}
    return pb.AddTrackRequest(**(values | fields))


def enumerate_lines(offer: str) -> list[tuple[str, str]]:
    return [(line.split()[0], line) for line in offer.splitlines()]


def message(text: str, **fields: Any) -> models.DataPacket:
    return models.DataPacket(user=models.UserPacket(payload=text.encode()), **fields)
