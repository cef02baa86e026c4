"""How members go, how rooms end, and what the others are told."""

from __future__ import annotations

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.protocol.tokens import Grants
from channel_recorder.rtc.serve.contract import PeerRole
from channel_recorder.sfu.farewells import MAX_LINGERING
from tests.sfu.stage import VIDEO, Client, Stage, message

Reason = models.DisconnectReason
RECONNECT, DISCONNECT = pb.LeaveRequest.RECONNECT, pb.LeaveRequest.DISCONNECT


def told_of(client: Client, identity: str) -> models.ParticipantInfo:
    """The last that was said of somebody."""
    updates = [info for message in client.sent("update") for info in message.update.participants]
    return [info for info in updates if info.identity == identity][-1]


def ended(client: Client) -> tuple[int, int] | None:
    return (client.left.reason, client.left.action) if client.left is not None else None


def test_who_leaves_is_gone_at_once_with_all_tracks() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    bob.publish("mic")
    bob.leave()
    assert alice.sees() == {}
    assert not alice.gets()
    gone = told_of(alice, "bob")
    assert gone.state == models.ParticipantInfo.DISCONNECTED
    assert gone.disconnect_reason == Reason.CLIENT_INITIATED
    assert bob.left is None
    assert bob.sink.is_closed


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (Reason.USER_REJECTED, Reason.USER_REJECTED),
        (Reason.UNKNOWN_REASON, Reason.CLIENT_INITIATED),
        (Reason.ROOM_DELETED, Reason.CLIENT_INITIATED),
    ],
)
def test_what_clients_may_say_of_their_leaving_is_passed_on(said: Reason, told: Reason) -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    bob.ask(leave=pb.LeaveRequest(reason=said))
    assert told_of(alice, "bob").disconnect_reason == told


def test_a_second_client_with_the_same_identity_replaces_the_first() -> None:
    stage = Stage()
    alice, older = stage.join("alice"), stage.join("bob")
    old_mic = older.publish("mic")
    stage.settle()
    alice.forget()
    newer = stage.join("bob")
    assert ended(older) == (Reason.DUPLICATE_IDENTITY, DISCONNECT)
    assert older.sink.is_closed
    assert alice.member("bob").sid == newer.sid
    assert not alice.gets()[old_mic.sid]
    states = [info.state for message in alice.sent("update") for info in message.update.participants]
    assert models.ParticipantInfo.DISCONNECTED not in states
    assert newer.sees() == {"alice": set()}


def test_old_clients_are_told_that_the_first_left() -> None:
    stage = Stage()
    alice = stage.join("alice", protocol=9)
    older = stage.join("bob")
    stage.join("bob")
    updates = [(info.sid, info.state) for m in alice.sent("update") for info in m.update.participants]
    assert (older.sid, models.ParticipantInfo.DISCONNECTED) in updates
    assert alice.sees() == {"bob": set()}


def test_a_quick_rejoin_after_a_broken_websocket_leaves_but_a_small_gap() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    mic = bob.publish("mic")
    bob.hang_up()
    stage.wait(3)
    assert alice.sees() == {"bob": {"mic"}}
    assert alice.gets()[mic.sid]
    again = bob.rejoin()
    assert not alice.gets()
    again.publish("mic")
    assert alice.sees() == {"bob": {"mic"}}
    stage.wait(10)
    assert alice.sees() == {"bob": {"mic"}}
    assert bob.left is None


def test_who_does_not_come_back_is_gone_after_five_seconds() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    bob.hang_up()
    stage.wait(4.5)
    assert alice.sees() == {"bob": set()}
    stage.wait(1)
    assert alice.sees() == {}
    assert told_of(alice, "bob").disconnect_reason == Reason.SIGNAL_CLOSE


def test_who_hangs_up_before_media_is_up_is_gone_at_once() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob", connect=False)
    bob.hang_up()
    assert alice.sees() == {}


def test_without_websocket_nothing_is_offered() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    stage.settle()
    bob.hang_up()
    count = len(bob.sink.messages)
    alice.publish("mic")
    assert len(bob.sink.messages) == count


@pytest.mark.parametrize("role", [PeerRole.OFFERS, PeerRole.ANSWERS])
def test_lost_media_makes_the_client_start_anew(role: PeerRole) -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    bob.offer()
    bob.peer(role).fail()
    assert ended(bob) == (Reason.CONNECTION_TIMEOUT, RECONNECT)
    assert bob.left is not None
    assert bob.left.can_reconnect
    assert alice.sees() == {}


def test_lost_media_without_websocket_ends_the_seat() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    bob.hang_up()
    bob.primary.say_goodbye()
    assert alice.sees() == {}


def test_a_connection_closed_before_the_goodbye_arrives_is_an_ordinary_leave() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    bob.primary.say_goodbye()
    bob.leave()
    assert told_of(alice, "bob").disconnect_reason == Reason.CLIENT_INITIATED


def test_a_connection_closed_without_goodbye_starts_anew() -> None:
    stage = Stage()
    bob = stage.join("bob")
    bob.primary.say_goodbye()
    stage.wait(1.5)
    assert ended(bob) == (Reason.CONNECTION_TIMEOUT, RECONNECT)


def test_tracks_that_come_while_a_connection_closes_are_not_sent_on_it() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    bob.primary.say_goodbye()
    alice.publish("cam", VIDEO)
    assert not bob.gets()


def test_silent_clients_are_removed() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob", pings=False)
    stage.settle()
    stage.wait(14.5)
    assert alice.sees() == {"bob": set()}
    stage.wait(1)
    assert alice.sees() == {}
    assert ended(bob) == (Reason.SIGNAL_CLOSE, RECONNECT)


def test_any_message_is_a_sign_of_life() -> None:
    stage = Stage()
    bob = stage.join("bob", pings=False)
    stage.settle()
    for _ in range(5):
        stage.wait(10)
        bob.ask(ping=1)
    assert bob.left is None


def test_who_gets_no_media_up_in_a_minute_is_removed() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob", connect=False)
    stage.wait(59)
    assert bob.left is None
    stage.wait(2)
    assert ended(bob) == (Reason.JOIN_FAILURE, DISCONNECT)
    assert alice.sees() == {}


def test_pings_are_answered() -> None:
    stage = Stage()
    alice = stage.join("alice")
    alice.ask(ping=5)
    alice.ask(ping_req=pb.Ping(timestamp=77, rtt=3))
    assert alice.sent("pong")[0].pong == 1_800_001_000_000
    pong = alice.sent("pong_resp")[0].pong_resp
    assert (pong.last_ping_timestamp, pong.timestamp) == (77, 1_800_001_000_000)


def test_connections_outlive_the_word_to_leave_until_it_is_read() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    bob.offer()
    alice.publish("mic")
    stage.join("bob")
    peer = bob.primary
    assert bob.left is not None
    assert (peer.is_closed, peer.sending) == (False, [])
    bob.send(message("from beyond"))
    peer.fail()
    assert alice.texts() == []
    assert alice.sees() == {"bob": set()}
    stage.wait(1.25)
    assert peer.is_closed


def test_few_connections_linger() -> None:
    stage = Stage()
    for _ in range(2 * MAX_LINGERING):
        stage.join("alice")
    assert len(stage.peers.open) == MAX_LINGERING + 1


def test_who_says_goodbye_itself_is_cut_off_at_once() -> None:
    stage = Stage()
    stage.join("alice").leave()
    assert stage.peers.open == []


def test_a_room_ends_twenty_seconds_after_its_last_member_left() -> None:
    stage = Stage()
    alice, recorder = stage.join("alice"), stage.recorder()
    alice.leave()
    stage.wait(19)
    assert recorder.left is None
    stage.wait(2)
    assert ended(recorder) == (Reason.ROOM_CLOSED, DISCONNECT)
    assert stage.events[-1].event == "room_finished"
    stage.wait(1.25)
    assert stage.peers.open == []
    sid = recorder.joined.room.sid
    assert stage.join("alice").joined.room.sid != sid


def test_a_room_that_only_recorders_came_to_waits_five_minutes() -> None:
    stage = Stage()
    recorder = stage.recorder()
    stage.wait(299)
    assert recorder.left is None
    stage.wait(2)
    assert ended(recorder) == (Reason.ROOM_CLOSED, DISCONNECT)


def test_hidden_members_keep_a_room_alive_recorders_do_not() -> None:
    stage = Stage()
    recorder = stage.recorder()
    stage.join("listener", grants=Grants(hidden=True))
    stage.wait(400)
    assert recorder.left is None


def test_who_comes_back_in_time_finds_the_room_as_it_was() -> None:
    stage = Stage()
    alice = stage.join("alice")
    sid = alice.joined.room.sid
    alice.leave()
    stage.wait(15)
    again = stage.join("alice")
    assert again.joined.room.sid == sid
    stage.wait(60)
    assert again.left is None


def test_a_closing_server_tells_everybody_not_to_wait() -> None:
    stage = Stage()
    clients = [stage.join("alice"), stage.join("bob", room="other"), stage.recorder()]
    stage.server.close()
    assert [ended(client) for client in clients] == [(Reason.SERVER_SHUTDOWN, DISCONNECT)] * 3
    assert stage.peers.open == []
    stage.server.tick()


def test_after_the_end_nothing_of_a_client_is_heard() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    peer = bob.primary
    bob.leave()
    bob.add_track("mic")
    bob.offer()
    peer.connect()
    bob.hang_up()
    assert alice.sees() == {}


@pytest.mark.parametrize(
    ("scenario", "action"),
    [
        ({"server_leave": True}, DISCONNECT),
        ({"node_failure": True}, RECONNECT),
        ({"leave_request_full_reconnect": True}, RECONNECT),
        ({"speaker_update": 3}, None),
    ],
)
def test_clients_test_their_reconnect(scenario: dict[str, object], action: int | None) -> None:
    alice = Stage().join("alice")
    alice.ask(simulate=pb.SimulateScenario(**scenario))  # type: ignore[arg-type]
    assert (alice.left.action if alice.left else None) == action
