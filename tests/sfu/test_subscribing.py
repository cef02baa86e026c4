"""Who gets which track, and how much of it."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.protocol.tokens import Grants
from channel_recorder.rtc.serve.contract import PeerRole
from channel_recorder.sfu.layers import HIGHEST_LAYER
from channel_recorder.sfu.limits import Limits
from tests.sfu.stage import SIMULCAST, VIDEO, Client, Stage

Quality = models.VideoQuality
NOT_FOUND = models.SubscriptionError.SE_TRACK_NOTFOUND


def subscribe(client: Client, *sids: str, wanted: bool = True) -> None:
    client.ask(subscription=pb.UpdateSubscription(track_sids=sids, subscribe=wanted))


def permit(client: Client, *rules: pb.TrackPermission, everybody: bool = False) -> None:
    permission = pb.SubscriptionPermission(all_participants=everybody, track_permissions=rules)
    client.ask(subscription_permission=permission)


def permissions_told(client: Client) -> list[tuple[str, bool]]:
    updates = [message.subscription_permission_update for message in client.sent("subscription_permission_update")]
    return [(update.track_sid, update.allowed) for update in updates]


def test_everybody_gets_everything_but_their_own() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob", v1=True)
    bob.offer()
    mic, cam = alice.publish("mic"), alice.publish("cam", VIDEO)
    other = bob.publish("other")
    stage.settle()
    assert set(bob.gets()) == {mic.sid, cam.sid}
    assert set(alice.gets()) == {other.sid}
    assert set(stage.recorder().gets()) == {mic.sid, cam.sid, other.sid}


def test_who_subscribes_by_hand_gets_only_what_was_asked_for() -> None:
    stage = Stage()
    alice = stage.join("alice")
    mic, cam = alice.publish("mic"), alice.publish("cam", VIDEO)
    bob = stage.join("bob", auto_subscribe=False)
    assert not bob.gets()
    subscribe(bob, cam.sid)
    assert set(bob.gets()) == {cam.sid}
    tracks = models.ParticipantTracks(participant_sid=alice.sid, track_sids=[mic.sid])
    bob.ask(subscription=pb.UpdateSubscription(participant_tracks=[tracks], subscribe=True))
    subscribe(bob, cam.sid, wanted=False)
    subscribe(bob, cam.sid, wanted=False)
    assert set(bob.gets()) == {mic.sid}
    alice.publish("later")
    assert set(bob.gets()) == {mic.sid}


def test_subscribing_twice_sends_once() -> None:
    stage = Stage()
    mic = stage.join("alice").publish("mic")
    bob = stage.join("bob")
    subscribe(bob, mic.sid, mic.sid)
    assert bob.gets() == {mic.sid: 1}


def test_a_track_that_is_not_there_is_said_not_to_be() -> None:
    stage = Stage()
    alice = stage.join("alice")
    own = alice.publish("mic")
    subscribe(alice, "TR_gone", own.sid)
    failed = [message.subscription_response for message in alice.sent("subscription_response")]
    assert [(failure.track_sid, failure.err) for failure in failed] == [("TR_gone", NOT_FOUND), (own.sid, NOT_FOUND)]


def test_a_track_can_be_asked_for_as_soon_as_its_publisher_knows_its_sid() -> None:
    """A publisher may tell others by its own means, before the m-line is there."""
    stage = Stage()
    alice, bob, eve = (
        stage.join("alice"),
        stage.join("bob", auto_subscribe=False),
        stage.join("eve", auto_subscribe=False),
    )
    alice.add_track("mic")
    (message,) = alice.sent("track_published")
    sid = message.track_published.track.sid
    for client in (bob, eve):
        subscribe(client, sid)
    subscribe(eve, sid, wanted=False)
    alice.offer_track("mic")
    assert not bob.sent("subscription_response")
    assert set(bob.gets()) == {sid}
    assert not eve.gets()


def test_subscriptions_are_limited() -> None:
    stage = Stage(limits=Limits(subscriptions_per_member=1))
    alice = stage.join("alice")
    mic, other = alice.publish("mic"), alice.publish("other")
    bob = stage.join("bob")
    assert set(bob.gets()) == {mic.sid}
    assert bob.sent("subscription_response")[0].subscription_response.track_sid == other.sid


def test_who_may_not_subscribe_gets_nothing_until_it_may() -> None:
    stage = Stage()
    alice = stage.join("alice")
    mic = alice.publish("mic")
    bob = stage.join("bob", grants=Grants(can_subscribe=False))
    subscribe(bob, mic.sid)
    assert not bob.has_peer(PeerRole.OFFERS)
    assert permissions_told(bob) == []


@pytest.mark.parametrize(
    ("wish", "layer"),
    [
        ({"quality": Quality.LOW}, 0),
        ({"quality": Quality.MEDIUM}, 1),
        ({"quality": Quality.HIGH}, HIGHEST_LAYER),
        ({"width": 300, "height": 170}, 0),
        ({"width": 340, "height": 190}, 0),
        ({"width": 400, "height": 225}, 1),
        ({"width": 170, "height": 300}, 0),
        ({"width": 360, "height": 360}, 1),
        ({"width": 1000, "height": 600}, 2),
        ({"width": 4000, "height": 3000}, HIGHEST_LAYER),
        ({"width": 300, "height": 170, "quality": Quality.HIGH}, 0),
    ],
)
def test_the_layer_that_is_large_enough_is_forwarded(wish: dict[str, Any], layer: int) -> None:
    stage = Stage()
    cam = stage.join("alice").publish("cam", VIDEO, layers=SIMULCAST)
    bob = stage.join("bob")
    assert bob.outgoing(cam.sid).highest == HIGHEST_LAYER
    bob.ask(track_setting=pb.UpdateTrackSettings(track_sids=[cam.sid], **wish))
    assert bob.outgoing(cam.sid).highest == layer


def test_of_layers_without_sizes_the_best_is_forwarded() -> None:
    stage = Stage()
    cam = stage.join("alice").publish("cam", VIDEO)
    bob = stage.join("bob")
    bob.ask(track_setting=pb.UpdateTrackSettings(track_sids=[cam.sid], width=10, height=10))
    assert bob.outgoing(cam.sid).highest == HIGHEST_LAYER


def test_what_is_out_of_sight_is_not_sent_but_stays_subscribed() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    cam = alice.publish("cam", VIDEO)
    bob.ask(track_setting=pb.UpdateTrackSettings(track_sids=[cam.sid], disabled=True, quality=Quality.HIGH))
    assert bob.outgoing(cam.sid).is_paused
    alice.ask(mute=pb.MuteTrackRequest(sid=cam.sid, muted=True))
    alice.ask(mute=pb.MuteTrackRequest(sid=cam.sid, muted=False))
    assert bob.outgoing(cam.sid).is_paused
    bob.ask(track_setting=pb.UpdateTrackSettings(track_sids=[cam.sid, "TR_other"], quality=Quality.HIGH))
    assert not bob.outgoing(cam.sid).is_paused
    bob.ask(track_setting=pb.UpdateTrackSettings(track_sids=[cam.sid], quality=Quality.OFF))
    assert bob.outgoing(cam.sid).is_paused


def test_a_publisher_lets_only_some_have_its_tracks() -> None:
    stage = Stage()
    alice, bob, carol = (stage.join(name) for name in ("alice", "bob", "carol"))
    mic, cam = alice.publish("mic"), alice.publish("cam", VIDEO)
    permit(
        alice,
        pb.TrackPermission(participant_identity="bob", track_sids=[mic.sid]),
        pb.TrackPermission(participant_sid=carol.sid, all_tracks=True),
    )
    assert set(bob.gets()) == {mic.sid}
    assert permissions_told(bob) == [(cam.sid, False)]
    assert set(carol.gets()) == {mic.sid, cam.sid}
    assert permissions_told(carol) == []
    permit(alice, everybody=True)
    assert set(bob.gets()) == {mic.sid, cam.sid}
    assert permissions_told(bob)[1:] == [(cam.sid, True)]


def test_rules_hold_for_who_and_what_comes_later() -> None:
    stage = Stage()
    alice = stage.join("alice")
    permit(alice, pb.TrackPermission(participant_identity="bob", all_tracks=True))
    bob, carol = stage.join("bob"), stage.join("carol")
    mic = alice.publish("mic")
    assert set(bob.gets()) == {mic.sid}
    assert not carol.gets()
    assert permissions_told(carol) == [(mic.sid, False)]
    subscribe(carol, mic.sid)
    assert not carol.gets()


def test_recorders_get_what_rules_keep_from_others() -> None:
    stage = Stage()
    alice = stage.join("alice")
    mic = alice.publish("mic")
    permit(alice)
    assert set(stage.recorder().gets()) == {mic.sid}
    assert set(stage.join("agent", kind="agent").gets()) == {mic.sid}


def test_saying_the_same_rules_again_changes_nothing() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    alice.publish("mic")
    stage.settle()
    bob.forget()
    permit(alice, everybody=True)
    assert bob.names == ["join"]


def test_settings_outlive_a_while_without_permission() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    cam = alice.publish("cam", VIDEO, layers=SIMULCAST)
    permit(alice)
    bob.ask(track_setting=pb.UpdateTrackSettings(track_sids=[cam.sid], quality=Quality.LOW))
    permit(alice, everybody=True)
    assert bob.outgoing(cam.sid).highest == 0
