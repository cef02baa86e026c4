"""The signalling client, message by message, its clock turned by hand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.channel.offer_gate import PATIENCE_SECONDS
from channel_recorder.channel.signal_events import (
    CandidateReceived,
    IceServersReceived,
    OfferReceived,
    SubscriptionFailed,
    SubscriptionPermissionChanged,
    TokenRefreshed,
)
from channel_recorder.channel.signal_messages import VideoLayer
from channel_recorder.channel.signalling import Signalling, Stage
from channel_recorder.events import (
    Disconnected,
    Joined,
    LeaveReason,
    ParticipantJoined,
    QualityChanged,
    RoomUpdated,
    SpeakersChanged,
    StreamPaused,
    TrackPublished,
    TrackUpdated,
)
from channel_recorder.model import ConnectionQuality, IceServer
from tests.channel.server_side import (
    OWN_IDENTITY,
    OWN_SID,
    audio,
    events,
    join,
    joined,
    leave,
    member,
    offer,
    response,
    sent,
    update,
    video,
)

REASON = models.DisconnectReason
ACTION = pb.LeaveRequest.Action


def test_the_join_tells_the_room_the_ice_servers_and_who_is_there() -> None:
    signalling = Signalling()
    turn = pb.ICEServer(urls=["turn:t:3478"], username="u", credential="hush")
    signalling.receive(join(member("alice", audio("TR_a")), ice_servers=[turn]), 0.0)
    first, second, *rest = events(signalling)
    assert first == Joined(
        room_sid="RM_1",
        room_name="lesson-7",
        identity=OWN_IDENTITY,
        participant_sid=OWN_SID,
        server_version="1.13.5",
        server_region="eu",
    )
    assert second == IceServersReceived(servers=(IceServer(urls=("turn:t:3478",), username="u", credential="hush"),))
    assert "hush" not in repr(second)
    assert [type(event) for event in rest] == [ParticipantJoined, TrackPublished]
    assert signalling.stage is Stage.JOINED


def test_nothing_but_a_join_or_a_leave_counts_before_the_join() -> None:
    signalling = Signalling()
    signalling.receive(update(member("alice")), 0.0)
    signalling.receive(offer(), 0.0)
    assert events(signalling) == []
    assert signalling.ignored_messages == 2
    assert signalling.next_timer() is None
    signalling.receive(leave(REASON.JOIN_FAILURE), 0.0)
    (ended,) = events(signalling)
    assert isinstance(ended, Disconnected)
    assert ended.reason is LeaveReason.JOIN_FAILURE


def test_a_second_join_is_ignored() -> None:
    signalling = joined(member("alice"))
    signalling.receive(join(member("bob")), 0.0)
    assert events(signalling) == []
    assert signalling.ignored_messages == 1


# Offers and candidates


def test_an_offer_of_announced_tracks_passes_and_is_answered_with_its_id() -> None:
    signalling = joined(member("alice", video("TR_v")))
    signalling.receive(offer("TR_v", offer_id=7), 0.0)
    (received,) = events(signalling)
    assert isinstance(received, OfferReceived)
    assert received.offer_id == 7
    signalling.send_answer("v=0 answer", received.offer_id)
    (answer,) = sent(signalling)
    assert (answer.answer.type, answer.answer.sdp, answer.answer.id) == ("answer", "v=0 answer", 7)


def test_an_offer_that_overtakes_the_announcement_waits_for_it() -> None:
    signalling = joined()
    signalling.receive(offer("TR_v"), 1.0)
    assert events(signalling) == []
    signalling.receive(update(member("alice", video("TR_v"))), 1.1)
    assert [type(event) for event in events(signalling)] == [ParticipantJoined, TrackPublished, OfferReceived]


def test_an_offer_of_a_track_never_announced_passes_after_a_short_wait_and_once_only() -> None:
    signalling = joined(now_seconds=0.9)
    signalling.handle_timer(0.9)
    signalling.receive(offer("TR_hidden", offer_id=1), 1.0)
    signalling.receive(candidate("candidate:1"), 1.0)
    signalling.receive(offer("TR_hidden", offer_id=2), 1.1)
    assert events(signalling) == []
    deadline_seconds = signalling.next_timer()
    assert deadline_seconds is not None
    assert deadline_seconds == 1.0 + PATIENCE_SECONDS
    signalling.handle_timer(deadline_seconds)
    first, second, third = events(signalling)
    assert isinstance(first, OfferReceived)
    assert isinstance(second, CandidateReceived), "never before the offer it came behind"
    assert isinstance(third, OfferReceived)
    assert (first.offer_id, third.offer_id) == (1, 2)
    signalling.receive(offer("TR_hidden", offer_id=3), 9.0)
    assert len(events(signalling)) == 1


def candidate(text: str, target: pb.SignalTarget = pb.SignalTarget.SUBSCRIBER) -> bytes:
    init = json.dumps({"candidate": text, "sdpMid": "0", "sdpMLineIndex": 3})
    return response(trickle=pb.TrickleRequest(candidateInit=init, target=target))


def test_candidates_come_and_go_as_json() -> None:
    signalling = joined()
    signalling.receive(candidate("candidate:1 1 udp"), 0.0)
    assert events(signalling) == [CandidateReceived(candidate="candidate:1 1 udp", mid="0", m_line_index=3)]
    signalling.send_candidate("candidate:2 1 udp", "1", 4)
    (trickle,) = sent(signalling)
    assert trickle.trickle.target == pb.SignalTarget.SUBSCRIBER
    assert json.loads(trickle.trickle.candidateInit) == {
        "candidate": "candidate:2 1 udp",
        "sdpMid": "1",
        "sdpMLineIndex": 4,
    }


@pytest.mark.parametrize("init", ["", "{", "[]", "{}", '{"candidate":""}', '{"candidate":7}', "[" * 100_000])
def test_a_candidate_that_is_none_is_ignored(init: str) -> None:
    signalling = joined()
    signalling.receive(response(trickle=pb.TrickleRequest(candidateInit=init, target=pb.SignalTarget.SUBSCRIBER)), 0.0)
    assert events(signalling) == []
    assert signalling.ignored_messages == 1


def test_candidates_of_the_publishing_connection_are_ignored() -> None:
    signalling = joined()
    signalling.receive(candidate("candidate:1", target=pb.SignalTarget.PUBLISHER), 0.0)
    assert events(signalling) == []


# What is wanted


def test_subscriptions_and_layers_are_asked_for() -> None:
    signalling = joined()
    signalling.subscribe(["TR_1", "TR_2"], True)
    signalling.subscribe(["TR_1"], False)
    signalling.subscribe([], True)
    signalling.set_track_settings(["TR_2"], layer=VideoLayer.HIGH)
    signalling.set_track_settings(["TR_2"], layer=VideoLayer.LOW, disabled=True)
    signalling.set_track_settings([], layer=VideoLayer.LOW)
    wanted, unwanted, high, low = sent(signalling)
    assert (list(wanted.subscription.track_sids), wanted.subscription.subscribe) == (["TR_1", "TR_2"], True)
    assert (list(unwanted.subscription.track_sids), unwanted.subscription.subscribe) == (["TR_1"], False)
    assert (list(high.track_setting.track_sids), high.track_setting.quality) == (["TR_2"], models.VideoQuality.HIGH)
    assert not high.track_setting.disabled
    assert (low.track_setting.quality, low.track_setting.disabled) == (models.VideoQuality.LOW, True)


def test_a_subscription_that_failed_is_told() -> None:
    signalling = joined()
    error = models.SubscriptionError.SE_CODEC_UNSUPPORTED
    signalling.receive(response(subscription_response=pb.SubscriptionResponse(track_sid="TR_1", err=error)), 0.0)
    assert events(signalling) == [SubscriptionFailed(track_sid="TR_1", reason="its codec is not supported")]


def test_a_permission_is_told_when_it_changes_only() -> None:
    signalling = joined()
    told: list[object] = []
    for allowed in (True, False, False, True, True):
        permission = pb.SubscriptionPermissionUpdate(track_sid="TR_1", allowed=allowed)
        signalling.receive(response(subscription_permission_update=permission), 0.0)
        told += events(signalling)
    assert told == [
        SubscriptionPermissionChanged(track_sid="TR_1", allowed=False),
        SubscriptionPermissionChanged(track_sid="TR_1", allowed=True),
    ]


# What else the server says


def test_speakers_and_qualities_are_told_by_identity_of_those_who_are_there() -> None:
    signalling = joined(member("alice"), member("bob"))
    speakers = [
        models.SpeakerInfo(sid="PA_alice", level=0.5, active=True),
        models.SpeakerInfo(sid="PA_bob", level=0.5, active=False),
        models.SpeakerInfo(sid="PA_stranger", level=1, active=True),
    ]
    signalling.receive(response(speakers_changed=pb.SpeakersChanged(speakers=speakers)), 0.0)
    qualities = [
        pb.ConnectionQualityInfo(participant_sid="PA_bob", quality=models.ConnectionQuality.LOST),
        pb.ConnectionQualityInfo(participant_sid=OWN_SID, quality=models.ConnectionQuality.POOR),
    ]
    signalling.receive(response(connection_quality=pb.ConnectionQualityUpdate(updates=qualities)), 0.0)
    signalling.receive(response(connection_quality=pb.ConnectionQualityUpdate(updates=qualities[1:])), 0.0)
    assert events(signalling) == [
        SpeakersChanged(levels={"alice": 0.5, "bob": 0.0}),
        QualityChanged(qualities={"bob": ConnectionQuality.LOST}),
    ]


def test_the_room_is_told_when_it_changes() -> None:
    signalling = joined()
    room = models.Room(sid="RM_1", metadata="m", active_recording=True, num_participants=3)
    for _ in range(2):
        signalling.receive(response(room_update=pb.RoomUpdate(room=room)), 0.0)
    assert events(signalling) == [RoomUpdated(metadata="m", active_recording=True, participant_count=3)]


def test_a_starved_track_and_a_muted_one() -> None:
    signalling = joined(member("alice", audio("TR_a")))
    state = pb.StreamStateInfo(participant_sid="PA_alice", track_sid="TR_a", state=pb.StreamState.PAUSED)
    signalling.receive(response(stream_state_update=pb.StreamStateUpdate(stream_states=[state])), 0.0)
    signalling.receive(response(mute=pb.MuteTrackRequest(sid="TR_a", muted=True)), 0.0)
    paused, muted = events(signalling)
    assert paused == StreamPaused(track_sid="TR_a", paused=True)
    assert isinstance(muted, TrackUpdated)
    assert muted.track.muted


def test_the_newest_token_is_kept_and_never_shown() -> None:
    signalling = joined()
    assert signalling.refreshed_token == ""
    for token in ("first", "second"):
        signalling.receive(response(refresh_token=token), 0.0)
    assert events(signalling) == [TokenRefreshed(token="first"), TokenRefreshed(token="second")]
    assert signalling.refreshed_token == "second"
    assert "second" not in repr(TokenRefreshed(token="second"))


# Pings


def test_both_kinds_of_ping_are_sent_at_the_servers_interval_and_the_round_trip_is_measured() -> None:
    signalling = joined(now_seconds=100.0)
    assert signalling.next_timer() == 100.0
    signalling.handle_timer(100.0)
    old, new = sent(signalling)
    assert (old.WhichOneof("message"), new.WhichOneof("message")) == ("ping", "ping_req")
    pong = pb.Pong(last_ping_timestamp=new.ping_req.timestamp, timestamp=5)
    signalling.receive(response(pong_resp=pong), 100.25)
    signalling.receive(response(pong=5), 100.25)
    assert signalling.round_trip_seconds == 0.25
    assert signalling.next_timer() == 105.0
    signalling.handle_timer(104.9)
    assert sent(signalling) == []
    signalling.handle_timer(105.0)
    assert sent(signalling)[1].ping_req.rtt == 250
    assert events(signalling) == []
    assert signalling.ignored_messages == 0


def test_a_pong_that_cannot_be_measures_nothing() -> None:
    signalling = joined(now_seconds=100.0)
    for timestamp in (-(2**63), 0, 2**62):
        signalling.receive(response(pong_resp=pb.Pong(last_ping_timestamp=timestamp)), 100.0)
    assert signalling.round_trip_seconds == 0.0


def test_a_server_that_falls_silent_is_given_up_after_its_own_timeout() -> None:
    signalling = joined(now_seconds=100.0)
    for now in (100.0, 105.0, 110.0):
        signalling.handle_timer(now)
    signalling.receive(response(pong=1), 112.0)
    signalling.handle_timer(126.9)
    assert events(signalling) == []
    signalling.handle_timer(127.0)
    (ended,) = events(signalling)
    assert ended == Disconnected(reason=LeaveReason.SIGNAL_TIMEOUT, detail="no message for 15 s")
    assert isinstance(ended, Disconnected)
    assert ended.can_rejoin
    assert signalling.next_timer() is None


def test_a_server_without_ping_settings_is_pinged_all_the_same() -> None:
    signalling = Signalling()
    signalling.receive(join(ping_interval=0, ping_timeout=-3), 0.0)
    signalling.handle_timer(0.0)
    assert signalling.next_timer() == 5.0


# The end


@pytest.mark.parametrize(
    ("reason", "action", "expected", "can_rejoin"),
    [
        (REASON.ROOM_CLOSED, ACTION.DISCONNECT, LeaveReason.ROOM_CLOSED, False),
        (REASON.ROOM_DELETED, ACTION.DISCONNECT, LeaveReason.ROOM_DELETED, False),
        (REASON.PARTICIPANT_REMOVED, ACTION.DISCONNECT, LeaveReason.PARTICIPANT_REMOVED, False),
        (REASON.DUPLICATE_IDENTITY, ACTION.DISCONNECT, LeaveReason.DUPLICATE_IDENTITY, False),
        (REASON.SERVER_SHUTDOWN, ACTION.DISCONNECT, LeaveReason.SERVER_SHUTDOWN, True),
        (REASON.STATE_MISMATCH, ACTION.RECONNECT, LeaveReason.STATE_MISMATCH, True),
        (REASON.CONNECTION_TIMEOUT, ACTION.RESUME, LeaveReason.MEDIA_FAILED, True),
        (REASON.MIGRATION, ACTION.RECONNECT, LeaveReason.MIGRATION, True),
        (REASON.CLIENT_INITIATED, ACTION.RECONNECT, LeaveReason.CLIENT_INITIATED, True),
        (REASON.UNKNOWN_REASON, ACTION.DISCONNECT, LeaveReason.UNKNOWN, True),
    ],
)
def test_every_reason_to_leave_is_kept_apart_with_its_action(
    reason: models.DisconnectReason, action: pb.LeaveRequest.Action, expected: LeaveReason, can_rejoin: bool
) -> None:
    signalling = joined()
    signalling.receive(leave(reason, action), 0.0)
    signalling.connection_lost("1000")
    (ended,) = events(signalling)
    assert isinstance(ended, Disconnected)
    assert (ended.reason, ended.can_rejoin) == (expected, can_rejoin)
    assert ended.detail == f"{REASON.Name(reason)}, {ACTION.Name(action)}"


def test_old_servers_say_reconnect_in_another_field() -> None:
    signalling = joined()
    signalling.receive(response(leave=pb.LeaveRequest(can_reconnect=True, reason=REASON.CLIENT_INITIATED)), 0.0)
    (ended,) = events(signalling)
    assert isinstance(ended, Disconnected)
    assert ended.can_rejoin


def test_a_lost_connection_ends_it_once() -> None:
    signalling = joined()
    signalling.connection_lost("code 1006")
    signalling.connection_lost("again")
    assert events(signalling) == [Disconnected(reason=LeaveReason.SIGNAL_CLOSED, detail="code 1006")]


def test_a_recorder_that_is_moved_to_another_room_comes_back() -> None:
    signalling = joined()
    signalling.receive(response(room_moved=pb.RoomMovedResponse(room=models.Room(name="other"))), 0.0)
    (ended,) = events(signalling)
    assert isinstance(ended, Disconnected)
    assert (ended.reason, ended.can_rejoin) == (LeaveReason.STATE_MISMATCH, True)


def test_our_own_leave_says_good_bye_and_then_nothing() -> None:
    signalling = joined()
    signalling.receive(update(member("alice")), 0.0)
    signalling.leave()
    signalling.leave()
    (good_bye,) = sent(signalling)
    assert good_bye.leave.reason == REASON.CLIENT_INITIATED
    assert good_bye.leave.action == ACTION.DISCONNECT
    signalling.receive(leave(REASON.CLIENT_INITIATED), 0.0)
    signalling.connection_lost("1000")
    signalling.handle_timer(1000.0)
    signalling.subscribe(["TR_1"], True)
    assert events(signalling) == []
    assert sent(signalling) == []


# Anything at all

MESSAGES = st.sampled_from([field.name for field in pb.SignalResponse.DESCRIPTOR.fields])


@given(st.lists(st.binary(max_size=200)))
@settings(deadline=None)
def test_any_bytes_are_survived_and_counted(messages: list[bytes]) -> None:
    signalling = joined(member("alice", audio("TR_a")))
    for number, message in enumerate(messages):
        signalling.receive(message, float(number))
        events(signalling)
    assert signalling.malformed_messages + signalling.ignored_messages <= len(messages)


@given(kind=MESSAGES, body=st.binary(max_size=100), now=st.floats(0, 1000))
@settings(deadline=None, max_examples=300)
def test_any_body_of_a_known_message_is_survived(kind: str, body: bytes, now: float) -> None:
    """The field's tag, then bytes that may or may not be its message."""
    number = pb.SignalResponse.DESCRIPTOR.fields_by_name[kind].number
    tag, length = number << 3 | 2, len(body)
    prefix = bytes([tag & 0x7F | 0x80, tag >> 7]) if tag > 0x7F else bytes([tag])
    for signalling in (Signalling(), joined(member("alice", audio("TR_a")))):
        signalling.receive(prefix + bytes([length]) + body, now)
        signalling.handle_timer(now)
        events(signalling)
        for request in signalling.messages_to_send():
            pb.SignalRequest.FromString(request)


TEXTS = st.text(max_size=8) | st.sampled_from(["PA_alice", "alice", "TR_a", OWN_SID, OWN_IDENTITY])
TRACKS = st.builds(
    models.TrackInfo,
    sid=TEXTS,
    type=st.integers(-1, 9),
    source=st.integers(-1, 9),
    width=st.integers(0, 2**32 - 1),
    muted=st.booleans(),
    mime_type=TEXTS,
)
MEMBERS = st.builds(
    models.ParticipantInfo,
    sid=TEXTS,
    identity=TEXTS,
    state=st.integers(-1, 9),
    version=st.integers(0, 2**32 - 1),
    kind=st.integers(-1, 99),
    disconnect_reason=st.integers(-1, 99),
    tracks=st.lists(TRACKS, max_size=4),
)
LEAVES = st.builds(pb.LeaveRequest, reason=st.integers(-5, 99), action=st.integers(-5, 99))
SPEAKERS = st.builds(models.SpeakerInfo, sid=TEXTS, level=st.floats(width=32), active=st.booleans())
RESPONSES = st.one_of(
    st.builds(pb.SignalResponse, update=st.builds(pb.ParticipantUpdate, participants=st.lists(MEMBERS, max_size=3))),
    st.builds(pb.SignalResponse, leave=LEAVES),
    st.builds(pb.SignalResponse, speakers_changed=st.builds(pb.SpeakersChanged, speakers=st.lists(SPEAKERS))),
    st.builds(pb.SignalResponse, trickle=st.builds(pb.TrickleRequest, candidateInit=TEXTS, target=st.integers(-1, 5))),
    st.builds(pb.SignalResponse, offer=st.builds(pb.SessionDescription, sdp=st.text(), id=st.integers(0, 2**32 - 1))),
    st.builds(pb.SignalResponse, pong_resp=st.builds(pb.Pong, last_ping_timestamp=st.integers(-(2**63), 2**63 - 1))),
)


@given(st.lists(RESPONSES, max_size=8))
@settings(deadline=None)
def test_odd_but_valid_messages_keep_the_promises(messages: list[pb.SignalResponse]) -> None:
    signalling = joined(member("alice", audio("TR_a")))
    told: list[object] = []
    for message in messages:
        signalling.receive(message.SerializeToString(), 1.0)
        told += events(signalling)
    assert sum(isinstance(event, Disconnected) for event in told) == (signalling.stage is Stage.CLOSED)
    assert not any(isinstance(event, Disconnected) for event in told[:-1])
    assert signalling.malformed_messages == 0
