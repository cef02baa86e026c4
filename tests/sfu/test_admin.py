"""What RoomService does to rooms and members."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import models, rtc
from livekit.protocol import room as pb

from channel_recorder.protocol.tokens import Grants
from channel_recorder.sfu.contract import AdminError
from channel_recorder.sfu.limits import Limits
from tests.sfu.stage import VIDEO, Stage

Reason = models.DisconnectReason
Permission = models.ParticipantPermission


def test_a_room_is_made_before_anybody_comes_and_waits_as_long_as_asked() -> None:
    stage = Stage()
    admin = stage.server.admin
    request = pb.CreateRoomRequest(name="call", empty_timeout=60, max_participants=1, metadata="agenda")
    room = admin.create_room(request)
    assert (room.name, room.empty_timeout, room.departure_timeout, room.metadata) == ("call", 60, 20, "agenda")
    assert admin.create_room(pb.CreateRoomRequest(name="call")).sid == room.sid
    stage.wait(50)
    alice = stage.join("alice")
    assert (alice.joined.room.sid, alice.joined.room.metadata) == (room.sid, "agenda")
    alice.leave()
    stage.wait(21)
    admin.create_room(request)
    stage.wait(61)
    assert list(admin.list_rooms(pb.ListRoomsRequest()).rooms) == []


def test_a_room_that_exists_takes_the_new_configuration() -> None:
    stage = Stage()
    alice = stage.join("alice")
    stage.server.admin.create_room(pb.CreateRoomRequest(name="call", departure_timeout=99, metadata="new"))
    room = alice.sent("room_update")[-1].room_update.room
    assert (room.departure_timeout, room.metadata, room.empty_timeout) == (99, "new", 300)


def test_rooms_are_listed_with_their_numbers() -> None:
    stage = Stage()
    stage.join("alice").publish("mic")
    stage.join("bob")
    stage.recorder()
    stage.join("carol", room="other")
    rooms = {room.name: room for room in stage.server.admin.list_rooms(pb.ListRoomsRequest()).rooms}
    assert (rooms["call"].num_participants, rooms["call"].num_publishers) == (2, 1)
    assert rooms["call"].active_recording
    named = stage.server.admin.list_rooms(pb.ListRoomsRequest(names=["other", "none"])).rooms
    assert [room.name for room in named] == ["other"]


def test_deleting_a_room_ends_it_for_all() -> None:
    stage = Stage()
    clients = [stage.join("alice"), stage.recorder()]
    stage.server.admin.delete_room(pb.DeleteRoomRequest(room="call"))
    for client in clients:
        assert client.left is not None
        assert client.left.reason == Reason.ROOM_DELETED
    stage.wait(1.25)
    assert stage.peers.open == []


def test_members_are_listed_hidden_ones_too() -> None:
    stage = Stage()
    stage.join("alice").publish("mic")
    stage.recorder()
    admin = stage.server.admin
    infos = {
        info.identity: info for info in admin.list_participants(pb.ListParticipantsRequest(room="call")).participants
    }
    assert set(infos) == {"alice", "recorder"}
    assert [track.name for track in infos["alice"].tracks] == ["mic"]
    one = admin.get_participant(pb.RoomParticipantIdentity(room="call", identity="recorder"))
    assert one.kind == models.ParticipantInfo.EGRESS
    assert one.permission.recorder


def test_a_member_removed_is_told_so_and_gone() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    stage.server.admin.remove_participant(pb.RoomParticipantIdentity(room="call", identity="bob"))
    assert bob.left is not None
    assert (bob.left.reason, bob.left.action) == (Reason.PARTICIPANT_REMOVED, rtc.LeaveRequest.DISCONNECT)
    assert alice.sees() == {}


def test_a_track_muted_from_afar_stops_at_once_and_its_client_is_told() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    mic = alice.publish("mic")
    request = pb.MuteRoomTrackRequest(room="call", identity="alice", track_sid=mic.sid, muted=True)
    assert stage.server.admin.mute_published_track(request).track.muted
    assert (alice.sent("mute")[0].mute.sid, alice.sent("mute")[0].mute.muted) == (mic.sid, True)
    assert bob.member("alice").tracks[0].muted
    assert bob.outgoing(mic.sid).is_paused
    own = [info for message in alice.sent("update") for info in message.update.participants if info.sid == alice.sid]
    assert own[-1].tracks[0].muted


def test_nobody_is_unmuted_from_afar_unless_that_is_switched_on() -> None:
    stage = Stage()
    mic = stage.join("alice").publish("mic", muted=True)
    request = pb.MuteRoomTrackRequest(room="call", identity="alice", track_sid=mic.sid, muted=False)
    with pytest.raises(AdminError) as refused:
        stage.server.admin.mute_published_track(request)
    assert refused.value.code == "failed_precondition"
    lenient = Stage(remote_unmute=True)
    request.track_sid = lenient.join("alice").publish("mic", muted=True).sid
    assert not lenient.server.admin.mute_published_track(request).track.muted


def test_name_metadata_and_attributes_change_for_all() -> None:
    stage = Stage()
    alice, bob = stage.join("alice", metadata="old"), stage.join("bob")
    update = pb.UpdateParticipantRequest(
        room="call", identity="alice", name="Dr. Alice", attributes={"a": "1", "b": "2"}
    )
    stage.server.admin.update_participant(update)
    info = stage.server.admin.update_participant(
        pb.UpdateParticipantRequest(room="call", identity="alice", attributes={"a": ""})
    )
    assert bob.member("alice") == info
    assert (info.name, info.metadata, dict(info.attributes)) == ("Dr. Alice", "old", {"b": "2"})
    assert alice.sent("update")[-1].update.participants[0] == info


def test_who_may_not_publish_any_more_is_unpublished() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    mic, cam = alice.publish("mic"), alice.publish("cam", VIDEO)
    wish = Permission(can_subscribe=True, can_publish=True, can_publish_sources=[models.TrackSource.MICROPHONE])
    stage.server.admin.update_participant(pb.UpdateParticipantRequest(room="call", identity="alice", permission=wish))
    assert [message.track_unpublished.track_sid for message in alice.sent("track_unpublished")] == [cam.sid]
    assert bob.sees() == {"alice": {"mic"}}
    assert set(bob.gets()) == {mic.sid}
    own = alice.sent("update")[-1].update.participants[0].permission
    assert list(own.can_publish_sources) == [models.TrackSource.MICROPHONE]
    assert stage.tokens[-1].grants.can_publish_sources == ("microphone",)
    alice.unpublish("cam")
    assert bob.sees() == {"alice": {"mic"}}


def test_who_may_subscribe_later_gets_everything_then() -> None:
    stage = Stage()
    mic = stage.join("alice").publish("mic")
    bob = stage.join("bob", grants=Grants(can_subscribe=False, can_publish=False))
    wish = Permission(can_subscribe=True)
    update = pb.UpdateParticipantRequest(room="call", identity="bob", permission=wish)
    made = len(stage.peers.made)
    stage.server.admin.update_participant(update)
    [peer] = stage.peers.made[made:]
    assert [track.track_id for track in peer.sending] == [mic.sid]
    assert "offer" in bob.names
    update.permission.CopyFrom(Permission())
    stage.server.admin.update_participant(update)
    assert peer.sending == []


def test_who_may_subscribe_again_does_not_get_its_own() -> None:
    stage = Stage()
    alice = stage.join("alice")
    alice.publish("mic")
    for may in (False, True):
        wish = Permission(can_subscribe=may, can_publish=True)
        update = pb.UpdateParticipantRequest(room="call", identity="alice", permission=wish)
        stage.server.admin.update_participant(update)
    assert not alice.gets()


def test_nobody_is_hidden_or_made_a_recorder_from_afar() -> None:
    stage = Stage()
    bob = stage.join("bob")
    stage.join("alice")
    wish = Permission(can_subscribe=True, can_publish=True, hidden=True, recorder=True, agent=True)
    stage.server.admin.update_participant(pb.UpdateParticipantRequest(room="call", identity="alice", permission=wish))
    own = bob.member("alice").permission
    assert (own.hidden, own.recorder, own.agent, own.can_publish) == (False, False, False, True)


def test_subscriptions_are_changed_from_afar() -> None:
    stage = Stage()
    mic = stage.join("alice").publish("mic")
    bob = stage.join("bob", auto_subscribe=False)
    update = pb.UpdateSubscriptionsRequest(room="call", identity="bob", track_sids=[mic.sid], subscribe=True)
    stage.server.admin.update_subscriptions(update)
    assert set(bob.gets()) == {mic.sid}
    update.subscribe = False
    stage.server.admin.update_subscriptions(update)
    assert not bob.gets()


def test_the_server_sends_data_without_a_name() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    request = pb.SendDataRequest(room="call", data=b"all", kind=models.DataPacket.LOSSY, topic="news")
    stage.server.admin.send_data(request)
    request = pb.SendDataRequest(room="call", data=b"bob", destination_identities=["bob"])
    stage.server.admin.send_data(request)
    assert alice.texts() == ["all"]
    assert bob.texts() == ["all", "bob"]
    assert [label for label, _ in bob.received()] == ["_lossy", "_reliable"]
    assert bob.received()[0][1].user.topic == "news"
    assert bob.received()[0][1].participant_identity == ""


def test_metadata_of_a_room_is_told_to_all() -> None:
    stage = Stage()
    alice = stage.join("alice")
    room = stage.server.admin.update_room_metadata(pb.UpdateRoomMetadataRequest(room="call", metadata="now"))
    assert room.metadata == "now"
    assert alice.sent("room_update")[-1].room_update.room.metadata == "now"
    stage.server.admin.update_room_metadata(pb.UpdateRoomMetadataRequest(room="call", metadata=""))
    assert alice.sent("room_update")[-1].room_update.room.metadata == ""


NOBODY: dict[str, Any] = {"room": "call", "identity": "nobody"}


@pytest.mark.parametrize(
    ("method", "request_", "code"),
    [
        ("create_room", pb.CreateRoomRequest(), "invalid_argument"),
        ("create_room", pb.CreateRoomRequest(name="r" * 257), "invalid_argument"),
        ("create_room", pb.CreateRoomRequest(name="r", metadata="m" * 65537), "invalid_argument"),
        ("create_room", pb.CreateRoomRequest(name="another"), "resource_exhausted"),
        ("delete_room", pb.DeleteRoomRequest(room="none"), "not_found"),
        ("list_participants", pb.ListParticipantsRequest(room="none"), "not_found"),
        ("get_participant", pb.RoomParticipantIdentity(**NOBODY), "not_found"),
        ("get_participant", pb.RoomParticipantIdentity(room="none", identity="alice"), "not_found"),
        ("remove_participant", pb.RoomParticipantIdentity(**NOBODY), "not_found"),
        ("mute_published_track", pb.MuteRoomTrackRequest(**NOBODY), "not_found"),
        ("mute_published_track", pb.MuteRoomTrackRequest(room="call", identity="alice", track_sid="TR"), "not_found"),
        ("update_participant", pb.UpdateParticipantRequest(**NOBODY), "not_found"),
        (
            "update_participant",
            pb.UpdateParticipantRequest(room="call", identity="alice", name="n" * 257),
            "invalid_argument",
        ),
        ("update_subscriptions", pb.UpdateSubscriptionsRequest(**NOBODY), "not_found"),
        ("send_data", pb.SendDataRequest(room="none"), "not_found"),
        ("send_data", pb.SendDataRequest(room="call", data=bytes(65537)), "invalid_argument"),
        ("send_data", pb.SendDataRequest(room="call", kind=7), "invalid_argument"),  # type: ignore[arg-type]
        ("update_room_metadata", pb.UpdateRoomMetadataRequest(room="none"), "not_found"),
        ("update_room_metadata", pb.UpdateRoomMetadataRequest(room="call", metadata="m" * 65537), "invalid_argument"),
    ],
)
def test_what_cannot_be_done_is_said_so(method: str, request_: Any, code: str) -> None:
    stage = Stage(limits=Limits(rooms=1))
    stage.join("alice")
    with pytest.raises(AdminError) as refused:
        getattr(stage.server.admin, method)(request_)
    assert refused.value.code == code
    assert str(refused.value)
