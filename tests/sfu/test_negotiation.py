"""Offers and answers: one at a time, in the right order, and never for something the client has not heard of."""

from __future__ import annotations

import json

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.rtc.serve.contract import PeerRole
from tests.sfu.stage import VIDEO, Client, Stage

Reason = models.DisconnectReason
RECONNECT, DISCONNECT = pb.LeaveRequest.RECONNECT, pb.LeaveRequest.DISCONNECT


def offers(client: Client) -> list[tuple[int, str]]:
    return [(message.offer.id, message.offer.sdp) for message in client.sent("offer")]


def required(client: Client) -> list[tuple[int, int]]:
    sent = [message.media_sections_requirement for message in client.sent("media_sections_requirement")]
    return [(section.num_audios, section.num_videos) for section in sent]


def answer(client: Client, number: int, sdp: str = "0 application") -> None:
    client.ask(answer=pb.SessionDescription(type="answer", sdp=sdp, id=number))


def ended(client: Client) -> tuple[int, int] | None:
    return (client.left.reason, client.left.action) if client.left is not None else None


def test_the_first_offer_holds_the_data_channels_and_what_is_there() -> None:
    stage = Stage()
    alice = stage.join("alice")
    assert offers(alice) == [(1, "0 application")]
    mic = alice.publish("mic")
    bob = stage.join("bob")
    assert offers(bob) == [(1, f"0 application\n1 audio send {mic.sid} {alice.sid}|camera")]


def test_one_offer_is_in_flight_and_later_changes_go_together() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    alice.publish("mic")
    alice.publish("cam", VIDEO)
    assert [number for number, _ in offers(bob)] == [1]
    answer(bob, 1)
    assert [number for number, _ in offers(bob)] == [1, 2]
    assert len(offers(bob)[1][1].splitlines()) == 3
    answer(bob, 2)
    assert len(offers(bob)) == 2


def test_a_track_is_described_before_it_is_offered() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    stage.settle()
    bob.forget()
    alice.publish("mic")
    assert bob.names == ["join", "update", "offer"]


def test_two_tracks_of_one_offer_make_one_update_and_one_offer() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    stage.settle()
    bob.forget()
    alice.add_track("mic")
    alice.add_track("cam", VIDEO)
    alice.add_line("audio", "send", "mic")
    alice.add_line("video", "send", "cam")
    alice.offer()
    assert bob.names == ["join", "update", "offer"]
    assert len(offers(bob)[0][1].splitlines()) == 3


def test_answers_to_older_offers_are_ignored_and_unnumbered_ones_taken() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    answer(bob, 1)
    alice.publish("mic")
    answer(bob, 1)
    alice.publish("cam", VIDEO)
    assert len(offers(bob)) == 2
    answer(bob, 0)
    assert len(offers(bob)) == 3
    answer(bob, 3)
    answer(bob, 3)
    assert bob.left is None


def test_answers_carry_the_number_of_the_offer() -> None:
    alice = Stage().join("alice")
    alice.offer()
    alice.offer()
    assert [message.answer.id for message in alice.sent("answer")] == [1, 2]


def test_who_has_one_connection_is_asked_for_the_m_lines_missing() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob", v1=True, join_offer="1 audio recv")
    mic, cam = alice.publish("mic"), alice.publish("cam", VIDEO)
    assert required(bob) == [(1, 0)]
    stage.settle()
    assert required(bob) == [(1, 0), (0, 1)]
    assert dict(bob.sent("answer")[-1].answer.mid_to_track_id) == {"1": mic.sid, "3": cam.sid}


def test_nobody_is_asked_for_m_lines_before_its_first_offer() -> None:
    stage = Stage()
    stage.join("alice").publish("mic")
    bob = stage.join("bob", v1=True)
    stage.wait(1)
    assert required(bob) == []
    bob.offer()
    assert required(bob) == [(1, 0)]


def test_an_offer_that_crossed_the_wish_does_not_double_it() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob", v1=True, join_offer="", answers=False)
    alice.publish("mic")
    bob.offer()
    assert required(bob) == [(1, 0)]
    stage.wait(2.5)
    assert required(bob) == [(1, 0), (1, 0)]


def test_an_m_line_set_free_is_told_and_given_to_the_next_track() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob", v1=True, join_offer="1 audio recv")
    alice.publish("mic")
    bob.offer()
    alice.unpublish("mic")
    assert required(bob)[-1] == (0, 0)
    stage.settle()
    assert dict(bob.sent("answer")[-1].answer.mid_to_track_id) == {}
    again = alice.publish("again")
    stage.settle()
    assert dict(bob.sent("answer")[-1].answer.mid_to_track_id) == {"1": again.sid}


def test_candidates_reach_the_connection_they_are_for() -> None:
    alice = Stage().join("alice")
    for target in (pb.SignalTarget.PUBLISHER, pb.SignalTarget.SUBSCRIBER):
        init = json.dumps({"candidate": f"candidate:{target}", "sdpMid": "0", "sdpMLineIndex": 0})
        alice.ask(trickle=pb.TrickleRequest(candidateInit=init, target=target))
    assert alice.peer(PeerRole.OFFERS).candidates == ["candidate:1"]
    single = Stage().join("single", v1=True)
    single.ask(trickle=pb.TrickleRequest(candidateInit=init, target=pb.SignalTarget.SUBSCRIBER))
    assert single.peer(PeerRole.ANSWERS).candidates == ["candidate:1"]


@pytest.mark.parametrize(
    "init",
    ["", "{", "[]", "7", '{"candidate": 3}', '{"candidate": ""}', "[" * 2000, '{"candidate": "\\ud800"}', "x" * 5000],
)
def test_candidates_that_are_none_are_ignored(init: str) -> None:
    alice = Stage().join("alice")
    alice.ask(trickle=pb.TrickleRequest(candidateInit=init, target=pb.SignalTarget.SUBSCRIBER))
    assert alice.peer(PeerRole.OFFERS).candidates == []
    assert alice.left is None


def test_an_offer_that_is_garbage_ends_that_client_only() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    bob.ask(offer=pb.SessionDescription(type="offer", sdp="garbage", id=1))
    assert ended(bob) == (Reason.STATE_MISMATCH, DISCONNECT)
    assert bob.sink.is_closed
    assert alice.sees() == {}
    assert alice.left is None


def test_an_answer_that_is_garbage_ends_that_client_only() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    answer(bob, 1, "garbage")
    assert ended(bob) == (Reason.STATE_MISMATCH, DISCONNECT)
    assert alice.sees() == {}


def test_a_garbage_offer_within_the_join_ends_it() -> None:
    stage = Stage()
    bob = stage.join("bob", v1=True, join_offer="gar bage x", connect=False)
    assert bob.names == ["join", "refresh_token", "leave"]
    stage.wait(1.25)
    assert stage.peers.open == []


def test_an_offer_on_a_connection_that_is_gone_starts_anew() -> None:
    stage = Stage()
    alice = stage.join("alice", v1=True)
    alice.peer(PeerRole.ANSWERS).say_goodbye()
    alice.offer()
    assert ended(alice) == (Reason.CONNECTION_TIMEOUT, RECONNECT)


def test_an_offer_never_answered_ends_the_session() -> None:
    stage = Stage()
    alice = stage.join("alice", answers=False)
    stage.wait(19)
    assert alice.left is None
    stage.wait(2)
    assert ended(alice) == (Reason.CONNECTION_TIMEOUT, RECONNECT)
    stage.wait(1.25)
    assert stage.peers.open == []
