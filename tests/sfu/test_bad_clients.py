"""Whatever a client sends, nothing raises, and nobody else notices."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.protocol.tokens import Grants
from channel_recorder.sfu.limits import Limits, RateLimit
from channel_recorder.sfu.subscription_rules import MAX_RULES, MAX_TRACKS_PER_RULE, SubscriptionRules
from tests.sfu.stage import Client, Stage

Reasons = pb.RequestResponse
MAY_RENAME = Grants(can_update_own_metadata=True)
MESSAGES = [field.name for field in pb.SignalRequest.DESCRIPTOR.oneofs_by_name["message"].fields]


def answer(client: Client) -> pb.RequestResponse:
    return client.sent("request_response")[-1].request_response


def test_a_flood_of_requests_ends_that_client_only() -> None:
    stage = Stage(limits=Limits(requests_per_second=1, request_burst=50))
    alice, bob = stage.join("alice"), stage.join("bob")
    for number in range(100):
        bob.ask(ping=number)
    assert len(bob.sent("pong")) == 50
    assert bob.left is not None
    assert bob.left.reason == models.DisconnectReason.PARTICIPANT_REMOVED
    assert (alice.sees(), alice.left) == ({}, None)


def test_who_may_changes_its_own_name_and_metadata() -> None:
    stage = Stage()
    alice, bob = stage.join("alice", grants=MAY_RENAME), stage.join("bob")
    request = pb.UpdateParticipantMetadata(name="A", metadata="m", attributes={"hand": "up"}, request_id=3)
    alice.ask(update_metadata=request)
    info = bob.member("alice")
    assert (info.name, info.metadata, dict(info.attributes)) == ("A", "m", {"hand": "up"})
    assert (answer(alice).request_id, answer(alice).reason) == (3, Reasons.OK)
    assert alice.sent("update")[-1].update.participants[0] == info
    alice.ask(update_metadata=pb.UpdateParticipantMetadata(attributes={"hand": ""}))
    assert (bob.member("alice").name, dict(bob.member("alice").attributes)) == ("A", {})


def test_old_clients_hear_of_refusals_only() -> None:
    alice = Stage().join("alice", grants=MAY_RENAME, protocol=13)
    alice.ask(update_metadata=pb.UpdateParticipantMetadata(name="A", request_id=3))
    assert alice.sent("request_response") == []


def test_who_may_not_changes_nothing() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    alice.ask(update_metadata=pb.UpdateParticipantMetadata(name="root", request_id=3))
    assert (answer(alice).request_id, answer(alice).reason) == (3, Reasons.NOT_ALLOWED)
    assert bob.member("alice").name == "Alice"


def test_names_metadata_and_attributes_are_limited() -> None:
    stage = Stage()
    alice, bob = stage.join("alice", grants=MAY_RENAME), stage.join("bob")
    for too_large in (
        pb.UpdateParticipantMetadata(name="n" * 257),
        pb.UpdateParticipantMetadata(metadata="ü" * 33000),
        pb.UpdateParticipantMetadata(attributes={"k": "v" * 65536}),
    ):
        alice.ask(update_metadata=too_large)
        assert answer(alice).reason == Reasons.LIMIT_EXCEEDED
    for number in range(20):
        alice.ask(update_metadata=pb.UpdateParticipantMetadata(attributes={f"k{number}": "v" * 10_000}))
    assert len(bob.member("alice").attributes) == 6


def test_what_this_server_has_not_is_answered_so() -> None:
    alice = Stage().join("alice")
    alice.ask(publish_data_track_request=pb.PublishDataTrackRequest(name="d"))
    alice.ask(get_data_blob_request=pb.GetDataBlobRequest(request_id=8))
    answers = [message.request_response for message in alice.sent("request_response")]
    assert [(a.request_id, a.reason) for a in answers] == [(0, Reasons.UNSUPPORTED_TYPE), (8, Reasons.UNSUPPORTED_TYPE)]


def test_rules_without_end_are_cut_and_then_allow_less() -> None:
    rules = SubscriptionRules()
    many = [pb.TrackPermission(participant_identity=str(number), all_tracks=True) for number in range(MAX_RULES + 1)]
    rules.set(pb.SubscriptionPermission(track_permissions=many))
    assert rules.allow("0", "PA", "TR")
    assert not rules.allow(str(MAX_RULES), "PA", "TR")
    sids = [str(number) for number in range(MAX_TRACKS_PER_RULE + 1)]
    rules.set(
        pb.SubscriptionPermission(track_permissions=[pb.TrackPermission(participant_identity="a", track_sids=sids)])
    )
    assert rules.allow("a", "PA", "0")
    assert not rules.allow("a", "PA", str(MAX_TRACKS_PER_RULE))


def test_a_rate_limit_forgives_with_time() -> None:
    limit = RateLimit(10, 5, 0.0)
    assert [limit.allows(1, 0.0) for _ in range(6)] == [True] * 5 + [False]
    assert limit.allows(1, 0.1)
    assert not limit.allows(1, 0.1)
    assert [limit.allows(1, 100.0) for _ in range(6)] == [True] * 5 + [False]


texts = st.text(max_size=8) | st.sampled_from(
    ["mic", "cam", "bob", "1 audio send mic", "1 video recv", "0 application"]
)


@st.composite
def any_request(draw: st.DrawFn) -> bytes:
    """A request of a known kind with wild contents, as bytes."""
    request = pb.SignalRequest()
    name = draw(st.sampled_from(MESSAGES))
    if name == "ping":
        request.ping = draw(st.integers(-(2**63), 2**63 - 1))
        return request.SerializeToString()
    message = getattr(request, name)
    message.SetInParent()
    for field in message.DESCRIPTOR.fields:
        if field.type == field.TYPE_STRING and not field.is_repeated and draw(st.booleans()):
            setattr(message, field.name, draw(texts))
        elif field.type == field.TYPE_STRING and field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(texts, max_size=3)))
        elif field.type in (field.TYPE_UINT32, field.TYPE_ENUM) and not field.is_repeated:
            setattr(message, field.name, draw(st.integers(0, 9)))
    return request.SerializeToString()


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(any_request() | st.binary(max_size=40), max_size=12), st.booleans())
def test_wild_requests_raise_nothing_and_reach_nobody_else(requests: list[bytes], v1: bool) -> None:
    stage = Stage()
    alice = stage.join("alice")
    mic = alice.publish("mic")
    bob = stage.join("bob", v1=v1, grants=MAY_RENAME, connect=False)
    for payload in requests:
        try:
            request = pb.SignalRequest.FromString(payload)
        except Exception:  # noqa: BLE001 - what is no protobuf ends at the door
            continue
        assert bob.session is not None
        bob.session.receive(request)
    stage.wait(2)
    assert alice.left is None
    assert set(stage.join("carol").gets()) >= {mic.sid}
    assert ("bob" in alice.sees()) == (bob.left is None and not bob.sink.is_closed)
