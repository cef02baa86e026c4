"""What a client learns when it comes, and what the others learn of it."""

from __future__ import annotations

import re

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.model import Codec
from channel_recorder.protocol.tokens import Grants
from channel_recorder.rtc.serve.contract import PeerRole
from channel_recorder.sfu.contract import JoinRefusedError
from channel_recorder.sfu.limits import Limits
from tests.sfu.stage import AUDIO, VIDEO, Client, Stage, add_track

State = models.ParticipantInfo


def refusal(client: Client) -> JoinRefusedError:
    with pytest.raises(JoinRefusedError) as caught:
        client.join()
    assert client.sink.messages == []
    return caught.value


def test_the_first_message_holds_what_native_clients_panic_without() -> None:
    alice = Stage().join("alice", connect=False)
    joined = alice.joined
    assert alice.names[0] == "join"
    assert re.fullmatch(r"RM_\w+", joined.room.sid)
    assert re.fullmatch(r"PA_\w+", joined.participant.sid)
    major, minor, _ = (int(part) for part in joined.server_version.split("."))
    assert (major, minor) >= (1, 9)
    assert joined.server_info.version == joined.server_version
    assert (joined.ping_interval, joined.ping_timeout) == (5, 15)
    assert joined.participant.permission.can_publish
    assert joined.participant.permission.can_subscribe
    assert joined.participant.joined_at == 1_800_001_000
    assert joined.participant.state == State.JOINED
    assert (joined.room.name, joined.room.num_participants) == ("call", 1)


def test_codecs_are_listed_with_the_one_to_fall_back_to_first() -> None:
    joined = Stage().join("alice").joined
    mimes = [codec.mime for codec in joined.enabled_publish_codecs]
    assert mimes == ["video/VP8", "video/H264", "video/VP9", "video/AV1", "video/H265", "audio/opus"]
    fewer = Stage(codecs=(Codec.H264, Codec.OPUS)).join("alice").joined
    assert [codec.mime for codec in fewer.enabled_publish_codecs] == ["video/H264", "audio/opus"]


def test_names_metadata_and_attributes_of_the_token_are_shown() -> None:
    stage = Stage()
    alice = stage.join("alice")
    stage.join("bob", metadata='{"seat": 3}')
    bob = alice.member("bob")
    assert (bob.name, bob.metadata, bob.identity) == ("Bob", '{"seat": 3}', "bob")


def test_members_read_of_each_other_whoever_came_first() -> None:
    stage = Stage()
    alice = stage.join("alice")
    alice.publish("mic")
    bob = stage.join("bob")
    assert bob.sees() == {"alice": {"mic"}}
    assert alice.sees() == {"bob": set()}
    assert stage.join("carol", room="another").sees() == {}


def test_a_member_becomes_active_when_its_media_is_up() -> None:
    stage = Stage()
    alice = stage.join("alice")
    bob = stage.join("bob", connect=False)
    assert alice.member("bob").state == State.JOINED
    version = alice.member("bob").version
    bob.connect()
    assert alice.member("bob").state == State.ACTIVE
    assert alice.member("bob").version > version
    assert "update" not in bob.names


def test_the_connection_that_receives_is_the_primary_one_where_there_are_two() -> None:
    stage = Stage()
    assert stage.join("modern").joined.subscriber_primary
    assert not stage.join("single", v1=True).joined.subscriber_primary
    assert not stage.join("ancient", protocol=2, connect=False).joined.subscriber_primary
    mute = stage.join("mute", grants=Grants(can_subscribe=False), connect=False)
    assert not mute.joined.subscriber_primary
    mute.offer()
    mute.connect()
    assert stage.join("last").member("mute").state == State.ACTIVE


def test_who_may_publish_is_told_to_do_so_at_once() -> None:
    stage = Stage()
    assert stage.join("alice").joined.fast_publish
    assert not stage.join("bob", grants=Grants(can_publish=False)).joined.fast_publish


def test_who_only_listens_gets_no_second_connection() -> None:
    bob = Stage().join("bob", grants=Grants(can_publish=False))
    assert not bob.has_peer(PeerRole.ANSWERS)


def test_hidden_members_are_seen_by_nobody() -> None:
    stage = Stage()
    alice = stage.join("alice")
    ghost = stage.join("ghost", grants=Grants(hidden=True))
    assert alice.sees() == {}
    assert stage.join("bob").sees() == {"alice": set()}
    assert ghost.sees() == {"alice": set(), "bob": set()}
    ghost.leave()
    assert "ghost" not in str(alice.sink.messages)


def test_everybody_is_told_while_a_recorder_is_there() -> None:
    stage = Stage()
    alice = stage.join("alice")
    assert not alice.joined.room.active_recording
    recorder = stage.recorder()
    assert alice.sent("room_update")[-1].room_update.room.active_recording
    assert stage.join("bob").joined.room.active_recording
    assert alice.sees() == {"bob": set()}
    recorder.leave()
    assert not alice.sent("room_update")[-1].room_update.room.active_recording


def test_a_recorder_that_takes_its_own_place_leaves_the_room_recorded() -> None:
    stage = Stage()
    alice = stage.join("alice")
    stage.recorder()
    alice.forget()
    stage.recorder()
    assert all(update.room_update.room.active_recording for update in alice.sent("room_update"))


def test_the_number_of_members_is_told_within_a_second_without_recorders() -> None:
    stage = Stage()
    alice = stage.join("alice")
    stage.join("bob")
    stage.recorder()
    stage.wait(1.5)
    room = alice.sent("room_update")[-1].room_update.room
    assert (room.num_participants, room.num_publishers) == (2, 0)
    alice.forget()
    stage.wait(5)
    assert alice.sent("room_update") == []


def test_tokens_are_renewed_at_once_and_every_five_minutes() -> None:
    stage = Stage()
    alice = stage.join("alice", grants=Grants(can_update_own_metadata=True))
    assert alice.names[:2] == ["join", "refresh_token"]
    alice.ask(update_metadata=pb.UpdateParticipantMetadata(name="Alice B.", attributes={"mood": "fine"}))
    stage.wait(301)
    assert [m.refresh_token for m in alice.sent("refresh_token")] == ["token 1 of alice", "token 2 of alice"]
    assert (stage.tokens[-1].name, dict(stage.tokens[-1].attributes)) == ("Alice B.", {"mood": "fine"})
    assert stage.tokens[-1].grants == alice.grants


def test_a_single_connection_is_answered_with_the_join_and_all_tracks_on_it() -> None:
    stage = Stage()
    alice = stage.join("alice")
    mic = alice.publish("mic")
    cam = alice.publish("cam", VIDEO)
    bob = stage.join(
        "bob",
        v1=True,
        join_tracks=(add_track("bob-mic"),),
        join_offer="1 audio send bob-mic\n2 audio recv\n3 video recv\n4 video recv",
    )
    assert bob.names[:4] == ["join", "refresh_token", "track_published", "answer"]
    answer = bob.sent("answer")[0].answer
    assert answer.id == 1
    assert dict(answer.mid_to_track_id) == {"2": mic.sid, "3": cam.sid}
    assert "media_sections_requirement" not in bob.names
    assert alice.sees() == {"bob": {"bob-mic"}}


def test_a_reconnecting_client_is_told_to_join_anew() -> None:
    stage = Stage()
    stage.join("alice")
    again = Client(stage, "alice")
    session = stage.server.join(again.request(reconnect=True, participant_sid="PA_old"), again.sink)
    assert again.names == ["leave"]
    assert again.sink.is_closed
    leave = again.sink.messages[0].leave
    assert (leave.reason, leave.action) == (models.DisconnectReason.STATE_MISMATCH, pb.LeaveRequest.RECONNECT)
    session.receive(pb.SignalRequest(ping=1))
    session.disconnected()


def test_a_full_room_takes_no_further_people_but_recorders() -> None:
    stage = Stage(max_participants=2)
    stage.join("alice")
    stage.join("bob")
    assert refusal(Client(stage, "carol")).status == 503
    stage.recorder()
    stage.join("agent", kind="agent")
    stage.join("alice")
    assert refusal(Client(stage, "carol")).status == 503
    stage.join("dave", room="another")


def test_who_is_refused_leaves_nothing_behind() -> None:
    stage = Stage(limits=Limits(members_per_room=1, rooms=2))
    alice = stage.join("alice")
    open_peers = len(stage.peers.open)
    assert refusal(Client(stage, "bob")).status == 503
    assert len(stage.peers.open) == open_peers
    assert alice.sees() == {}
    stage.join("bob", room="second")
    assert refusal(Client(stage, "carol", room="third")).status == 503


def test_rooms_are_made_on_demand_unless_that_is_switched_off() -> None:
    stage = Stage(auto_create=False)
    refused = refusal(Client(stage, "alice"))
    assert (refused.status, str(refused)) == (404, "requested room does not exist")
    stage.join("admin", grants=Grants(room_create=True))
    stage.join("alice")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"identity": ""}, 400),
        ({"identity": "x" * 257}, 400),
        ({"identity": "alice", "room": ""}, 400),
        ({"identity": "alice", "room": "r" * 257}, 400),
        ({"identity": "alice", "metadata": "m" * 65537}, 400),
        ({"identity": "alice", "grants": Grants(room_join=False)}, 401),
    ],
)
def test_joins_that_make_no_sense_are_refused(options: dict[str, object], status: int) -> None:
    assert refusal(Client(Stage(), **options)).status == status  # type: ignore[arg-type]


def test_a_token_that_names_only_unknown_sources_allows_to_publish_none() -> None:
    stage = Stage()
    assert not stage.join(
        "a", grants=Grants(can_publish_sources=("hologram",))
    ).joined.participant.permission.can_publish
    some = stage.join("b", grants=Grants(can_publish_sources=("hologram", "CAMERA"))).joined.participant.permission
    assert list(some.can_publish_sources) == [models.TrackSource.CAMERA]


def test_speakers_and_qualities_are_told_to_who_comes_later() -> None:
    stage = Stage()
    alice = stage.join("alice")
    alice.publish("mic", AUDIO)
    alice.incoming("mic").level = 0.5
    stage.wait(6)
    bob = stage.join("bob")
    assert [s.sid for s in bob.sent("speakers_changed")[0].speakers_changed.speakers] == [alice.sid]
    assert [q.participant_sid for q in bob.sent("connection_quality")[0].connection_quality.updates] == [alice.sid]


def test_a_closing_server_lets_nobody_in() -> None:
    stage = Stage()
    alice = stage.join("alice")
    stage.server.close()
    assert alice.left is not None
    assert alice.left.reason == models.DisconnectReason.SERVER_SHUTDOWN
    assert refusal(Client(stage, "bob")).status == 503
    assert stage.peers.open == []
