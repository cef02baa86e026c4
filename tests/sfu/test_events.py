"""What webhooks are told."""

from __future__ import annotations

from livekit.protocol import models

from tests.sfu.stage import VIDEO, Stage

Reason = models.DisconnectReason


def test_a_call_is_told_from_its_beginning_to_its_end() -> None:
    stage = Stage()
    alice = stage.join("alice")
    cam = alice.publish("cam", VIDEO)
    alice.leave()
    stage.wait(21)
    assert [event.event for event in stage.events] == [
        "room_started",
        "participant_joined",
        "track_published",
        "track_unpublished",
        "participant_left",
        "room_finished",
    ]
    started, joined, published, unpublished, left, finished = stage.events
    assert {event.room.sid for event in stage.events} == {alice.joined.room.sid}
    assert started.created_at == 1_800_001_000
    assert (joined.participant.identity, joined.participant.state) == ("alice", models.ParticipantInfo.ACTIVE)
    assert (published.track.sid, published.participant.sid) == (cam.sid, alice.sid)
    assert unpublished.track.sid == cam.sid
    assert left.participant.disconnect_reason == Reason.CLIENT_INITIATED
    assert finished.room_end_reason == models.RoomEndReason.ROOM_END_IDLE_TIMEOUT
    assert len({event.id for event in stage.events}) == 6


def test_who_never_got_media_up_did_not_leave_but_failed_to_come() -> None:
    stage = Stage()
    stage.join("alice", connect=False).leave()
    names = [event.event for event in stage.events]
    assert names == ["room_started", "participant_connection_aborted"]


def test_recorders_come_and_go_too() -> None:
    stage = Stage()
    stage.recorder().leave()
    assert [event.participant.identity for event in stage.events_named("participant_joined")] == ["recorder"]
    assert [event.participant.identity for event in stage.events_named("participant_left")] == ["recorder"]


def test_media_that_comes_up_twice_is_one_join() -> None:
    stage = Stage()
    alice = stage.join("alice")
    alice.connect()
    assert len(stage.events_named("participant_joined")) == 1


def test_a_replaced_seat_is_one_that_left_before_the_new_one_joined() -> None:
    stage = Stage()
    older = stage.join("alice")
    newer = stage.join("alice")
    told = [(event.event, event.participant.sid) for event in stage.events[1:]]
    assert told == [
        ("participant_joined", older.sid),
        ("participant_left", older.sid),
        ("participant_joined", newer.sid),
    ]
