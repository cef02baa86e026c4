"""Calls that go any way they may: afterwards everybody has seen the same, and nothing of who left is left."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from livekit.protocol import models
from livekit.protocol import room as admin_pb
from livekit.protocol import rtc as pb

from channel_recorder.protocol.tokens import RECORDER_GRANTS, Grants
from channel_recorder.rtc.serve.contract import PeerRole
from channel_recorder.sfu.contract import AdminError
from channel_recorder.sfu.server import ChannelServer
from tests.sfu.fakes import FakePeer
from tests.sfu.stage import AUDIO, VIDEO, Client, Stage, message

IDENTITIES = st.sampled_from(["alice", "bob", "carol", "recorder"])
CIDS = st.sampled_from(["mic", "cam", "screen"])
TYPES = {"mic": AUDIO, "cam": VIDEO, "screen": VIDEO}
PICK = st.integers(0, 7)


def options_of(identity: str) -> dict[str, Any]:
    if identity == "recorder":
        return {"grants": RECORDER_GRANTS, "kind": "egress"}
    return {"grants": Grants(can_update_own_metadata=True)}


class Call(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(empty_timeout_seconds=30)
        self.sent = 0

    @property
    def server(self) -> ChannelServer:
        return self.stage.server

    @property
    def present(self) -> list[Client]:
        return [client for client in self.stage.clients if not client.sink.is_closed and client.pings]

    def one(self, pick: int) -> Client:
        return self.present[pick % len(self.present)]

    @rule(identity=IDENTITIES, v1=st.booleans(), connect=st.booleans(), auto=st.booleans())
    def join(self, identity: str, v1: bool, connect: bool, auto: bool) -> None:
        offer = "1 audio recv\n2 video recv" if v1 else None
        self.stage.join(identity, v1=v1, connect=connect, auto_subscribe=auto, join_offer=offer, **options_of(identity))

    @precondition(lambda self: self.present)
    @rule(pick=PICK, cid=CIDS, order=st.booleans())
    def publish(self, pick: int, cid: str, order: bool) -> None:
        client = self.one(pick)
        steps = [lambda: client.add_track(cid, TYPES[cid]), lambda: client.offer_track(cid, TYPES[cid])]
        for step in steps if order else steps[::-1]:
            step()

    @precondition(lambda self: self.present)
    @rule(pick=PICK, cid=CIDS)
    def unpublish(self, pick: int, cid: str) -> None:
        self.one(pick).unpublish(cid)

    @precondition(lambda self: self.present)
    @rule(pick=PICK, number=PICK, wanted=st.booleans())
    def subscribe(self, pick: int, number: int, wanted: bool) -> None:
        sids = [track.sid for client in self.present for track in published(self.server, client)]
        chosen = sids[number % len(sids)] if sids else "TR_none"
        self.one(pick).ask(subscription=pb.UpdateSubscription(track_sids=[chosen], subscribe=wanted))

    @precondition(lambda self: self.present)
    @rule(pick=PICK, number=PICK, muted=st.booleans())
    def mute(self, pick: int, number: int, muted: bool) -> None:
        client = self.one(pick)
        tracks = published(self.server, client)
        if tracks:
            sid = tracks[number % len(tracks)].sid
            client.ask(mute=pb.MuteTrackRequest(sid=sid, muted=muted))

    @precondition(lambda self: self.present)
    @rule(pick=PICK, everybody=st.booleans(), identity=IDENTITIES)
    def rule_out(self, pick: int, everybody: bool, identity: str) -> None:
        only = pb.TrackPermission(participant_identity=identity, all_tracks=True)
        permission = pb.SubscriptionPermission(all_participants=everybody, track_permissions=[only])
        self.one(pick).ask(subscription_permission=permission)

    @rule(identity=IDENTITIES, publish=st.booleans(), subscribe=st.booleans())
    def permit(self, identity: str, publish: bool, subscribe: bool) -> None:
        wish = models.ParticipantPermission(can_publish=publish, can_subscribe=subscribe)
        try:
            self.server.admin.update_participant(
                admin_pb.UpdateParticipantRequest(room="call", identity=identity, permission=wish)
            )
        except AdminError as error:
            assert error.code == "not_found"

    @precondition(lambda self: self.present)
    @rule(pick=PICK)
    def talk(self, pick: int) -> None:
        client = self.one(pick)
        if client.has_peer(PeerRole.ANSWERS):
            self.sent += 1
            client.send(message(str(self.sent)))

    @precondition(lambda self: self.present)
    @rule(pick=PICK, how=st.sampled_from(["leave", "hang_up", "garbage", "fail", "close", "connect", "reload"]))
    def happen(self, pick: int, how: str) -> None:
        client = self.one(pick)
        match how:
            case "leave" | "hang_up":
                getattr(client, how)()
            case "garbage":
                client.ask(offer=pb.SessionDescription(type="offer", sdp="garbage"))
            case "fail" | "close" | "connect":
                for peer in open_peers(client):
                    {"fail": peer.fail, "close": peer.say_goodbye, "connect": peer.connect}[how]()
            case _:
                client.hang_up()
                client.rejoin(grants=client.grants, kind=client.kind)

    @rule(seconds=st.sampled_from([0.25, 2, 6, 25]))
    def wait(self, seconds: float) -> None:
        self.stage.wait(seconds)

    @invariant()
    def everybody_sees_the_same(self) -> None:
        truth = {info.identity: info for info in participants(self.server)}
        visible = {identity: info for identity, info in truth.items() if not info.permission.hidden}
        for client in self.present:
            others = {identity: info for identity, info in visible.items() if identity != client.identity}
            client.look()
            assert client.members == others
            assert truth[client.identity].sid == client.sid

    @invariant()
    def nothing_is_sent_to_who_left(self) -> None:
        seated = {info.sid for info in participants(self.server)}
        for client in self.stage.clients:
            if client.sid not in seated:
                assert not any(peer.sending for peer in open_peers(client))

    @invariant()
    def tracks_go_to_who_may_have_them_once(self) -> None:
        sids = {track.sid for info in participants(self.server) for track in info.tracks}
        for client in self.present:
            gets = client.gets()
            assert set(gets) <= sids
            assert set(gets.values()) <= {1}
            assert not set(gets) & {track.sid for track in published(self.server, client)}
            truth = self.server.admin.get_participant(
                admin_pb.RoomParticipantIdentity(room="call", identity=client.identity)
            )
            assert truth.permission.can_subscribe or not gets

    def teardown(self) -> None:
        self.stage.settle()
        for client in self.present:
            client.pings = client.answers = False
        self.stage.wait(60)
        assert participants(self.server) == []
        assert self.stage.peers.open == []
        count(self.stage)


def participants(server: ChannelServer) -> list[models.ParticipantInfo]:
    try:
        return list(server.admin.list_participants(admin_pb.ListParticipantsRequest(room="call")).participants)
    except AdminError:
        return []


def published(server: ChannelServer, client: Client) -> list[models.TrackInfo]:
    return [track for info in participants(server) if info.sid == client.sid for track in info.tracks]


def open_peers(client: Client) -> list[FakePeer]:
    roles = [role for role in PeerRole if client.has_peer(role)]
    return [peer for peer in map(client.peer, roles) if not peer.is_closed]


def count(stage: Stage) -> None:
    """Every beginning that webhooks were told of has its end."""
    told = Counter(event.event for event in stage.events)
    assert told["room_started"] == told["room_finished"]
    assert told["track_published"] == told["track_unpublished"]
    assert told["participant_joined"] == told["participant_left"]


TestCall = Call.TestCase
TestCall.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_nothing_of_who_left_is_kept() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob", v1=True, join_offer="1 audio recv\n2 video recv")
    alice.publish("mic")
    bob.publish("cam", VIDEO)
    bob.ask(subscription_permission=pb.SubscriptionPermission(all_participants=True))
    stage.wait(6)
    kept = [weakref.ref(bob.session), weakref.ref(bob.session.seat), weakref.ref(bob.session.seat.member)]  # type: ignore[union-attr, arg-type]
    kept += [weakref.ref(peer) for peer in stage.peers.open if peer in open_peers(bob)]  # type: ignore[arg-type]
    assert len(kept) == 4
    bob.leave()
    stage.wait(6)
    stage.clients.remove(bob)
    stage.peers.made = [peer for peer in stage.peers.made if not peer.is_closed]
    del bob
    gc.collect()
    assert [reference() for reference in kept] == [None] * 4
    assert alice.sees() == {}


def test_nothing_of_a_room_that_ended_is_kept() -> None:
    stage = Stage()
    for number in range(3):
        stage.join("alice", room=f"room {number}").leave()
    rooms = [weakref.ref(room) for room in stage.server._rooms.values()]
    stage.wait(21)
    stage.clients.clear()
    stage.peers.made.clear()
    gc.collect()
    assert [reference() for reference in rooms] == [None] * 3
