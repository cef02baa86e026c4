"""Messages between members: who gets them, and from whom they seem to be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models as pb

from channel_recorder.protocol.tokens import Grants
from channel_recorder.rtc.serve.contract import LOSSY_LABEL, RELIABLE_LABEL, PeerRole
from channel_recorder.sfu.data import DataInlet
from channel_recorder.sfu.limits import Limits
from tests.sfu.stage import Client, Stage, message


def speaker(stage: Stage, identity: str, **options: Any) -> Client:
    client = stage.join(identity, **options)
    client.offer()
    return client


def test_everybody_but_the_sender_gets_a_message() -> None:
    stage = Stage()
    alice, bob, single = speaker(stage, "alice"), stage.join("bob"), stage.join("single", v1=True)
    stranger = stage.join("stranger", room="other")
    alice.send(message("hello"))
    single.send(message("hi"), LOSSY_LABEL)
    assert bob.texts() == ["hello", "hi"]
    assert [label for label, _ in bob.received()] == [RELIABLE_LABEL, LOSSY_LABEL]
    assert alice.texts() == ["hi"]
    assert single.texts() == ["hello"]
    assert stranger.texts() == []


def test_the_sender_is_who_the_server_says() -> None:
    stage = Stage()
    alice, bob = speaker(stage, "alice"), stage.join("bob")
    forged = message("hello", participant_identity="bob", participant_sid=bob.sid, kind=pb.DataPacket.LOSSY, sequence=9)
    forged.user.participant_identity = "bob"
    forged.user.participant_sid = bob.sid
    forged.user.topic = "news"
    alice.send(forged)
    _, packet = bob.received()[0]
    assert (packet.participant_identity, packet.participant_sid) == ("alice", alice.sid)
    assert (packet.user.participant_identity, packet.user.participant_sid) == ("alice", alice.sid)
    assert (packet.kind, packet.sequence, packet.user.topic) == (pb.DataPacket.RELIABLE, 9, "news")


def test_hidden_senders_have_no_name() -> None:
    stage = Stage()
    ghost, bob = speaker(stage, "ghost", grants=Grants(hidden=True)), stage.join("bob")
    forged = message("boo", participant_identity="bob")
    ghost.send(forged)
    _, packet = bob.received()[0]
    assert (packet.participant_identity, packet.participant_sid, packet.user.participant_identity) == ("", "", "")


def test_a_message_goes_to_those_it_is_for() -> None:
    stage = Stage()
    alice = speaker(stage, "alice")
    bob, carol, dave = (stage.join(name) for name in ("bob", "carol", "dave"))
    alice.send(message("new", destination_identities=["bob", "alice", "nobody"]))
    old = message("old")
    old.user.destination_identities.append("bob")
    alice.send(old)
    older = message("older")
    older.user.destination_sids.append(carol.sid)
    alice.send(older)
    assert bob.texts() == ["new", "old"]
    assert carol.texts() == ["older"]
    assert dave.texts() == []
    assert alice.texts() == []
    assert list(bob.received()[0][1].user.destination_identities) == ["bob", "alice", "nobody"]
    assert list(bob.received()[1][1].destination_identities) == ["bob"]


@pytest.mark.parametrize(
    "packet",
    [
        pb.DataPacket(chat_message=pb.ChatMessage(id="1", message="hi")),
        pb.DataPacket(rpc_request=pb.RpcRequest(id="1", method="greet")),
        pb.DataPacket(rpc_ack=pb.RpcAck(request_id="1")),
        pb.DataPacket(rpc_response=pb.RpcResponse(request_id="1", payload="yes")),
        pb.DataPacket(stream_header=pb.DataStream.Header(stream_id="1", topic="file")),
        pb.DataPacket(stream_chunk=pb.DataStream.Chunk(stream_id="1", content=b"x")),
        pb.DataPacket(stream_trailer=pb.DataStream.Trailer(stream_id="1")),
        pb.DataPacket(encrypted_packet=pb.EncryptedPacket(encrypted_value=b"x")),
        pb.DataPacket(transcription=pb.Transcription(track_id="TR_1")),
        pb.DataPacket(sip_dtmf=pb.SipDTMF(digit="5")),
    ],
    ids=lambda packet: packet.WhichOneof("value"),
)
def test_chat_calls_streams_and_the_like_arrive_as_they_were_sent(packet: pb.DataPacket) -> None:
    stage = Stage()
    alice, bob = speaker(stage, "alice"), stage.join("bob")
    alice.send(packet)
    _, received = bob.received()[0]
    kind = packet.WhichOneof("value")
    assert kind is not None
    assert received.WhichOneof("value") == kind
    assert getattr(received, kind) == getattr(packet, kind)
    assert received.participant_identity == "alice"


def test_members_cannot_speak_for_the_server() -> None:
    stage = Stage()
    alice, bob = speaker(stage, "alice"), stage.join("bob")
    alice.send(pb.DataPacket(speaker=pb.ActiveSpeakerUpdate(speakers=[pb.SpeakerInfo(sid=bob.sid, level=1)])))
    alice.send(pb.DataPacket())
    assert bob.received() == []


def test_who_may_not_send_data_does_not() -> None:
    stage = Stage()
    alice, bob = speaker(stage, "alice", grants=Grants(can_publish_data=False)), stage.join("bob")
    alice.send(message("hello"))
    assert bob.texts() == []


def test_what_is_too_long_or_no_packet_or_on_another_channel_is_dropped() -> None:
    stage = Stage()
    alice, bob = speaker(stage, "alice"), stage.join("bob")
    peer = alice.peer(PeerRole.ANSWERS)
    peer.receive_data(RELIABLE_LABEL, b"\xff\xff\xff")
    peer.receive_data("mine", message("hello").SerializeToString())
    alice.send(message("x" * 65536))
    assert bob.texts() == []
    alice.send(message("x" * 65500))
    assert bob.texts() == ["x" * 65500]


def test_a_flood_is_dropped_and_then_ended_and_others_do_not_notice() -> None:
    limits = Limits(data_packets_per_second=10, data_packet_burst=20, data_drops=30)
    stage = Stage(limits=limits)
    alice, bob, carol = speaker(stage, "alice"), stage.join("bob"), speaker(stage, "carol")
    for number in range(40):
        alice.send(message(str(number)))
    assert bob.texts() == [str(number) for number in range(20)]
    assert alice.left is None
    carol.send(message("still here"))
    assert bob.texts()[-1] == "still here"
    for number in range(20):
        alice.send(message(str(number)))
    assert alice.left is not None
    assert alice.left.reason == pb.DisconnectReason.PARTICIPANT_REMOVED
    assert bob.sees() == {"carol": set()}


def test_a_file_of_a_hundred_megabytes_goes_through_at_once_a_second() -> None:
    stage = Stage()
    alice, bob = speaker(stage, "alice"), stage.join("bob")
    chunk = pb.DataPacket(stream_chunk=pb.DataStream.Chunk(stream_id="f", content=bytes(15_000)))
    for _ in range(10):
        for _ in range(700):
            alice.send(chunk)
        stage.wait(1)
    assert len(bob.received()) == 7000


def test_who_has_no_open_channel_misses_the_message_only() -> None:
    stage = Stage()
    alice, bob = speaker(stage, "alice"), stage.join("bob")
    bob.primary.channels_open = False
    alice.send(message("hello"))
    bob.primary.channels_open = True
    alice.send(message("again"))
    assert bob.texts() == ["again"]


@given(st.lists(st.tuples(st.sampled_from([RELIABLE_LABEL, LOSSY_LABEL, "x"]), st.binary(max_size=60))))
def test_garbage_is_dropped_or_forwarded_never_raised(sent: list[tuple[str, bytes]]) -> None:
    stage = Stage()
    alice, bob = speaker(stage, "alice"), stage.join("bob")
    for label, payload in sent:
        alice.peer(PeerRole.ANSWERS).receive_data(label, payload)
    assert all(packet.participant_sid == alice.sid for _, packet in bob.received())


def test_drops_are_counted() -> None:
    inlet = DataInlet(Limits(data_bytes_per_second=0, data_byte_burst=10), 0.0)
    assert inlet.read(RELIABLE_LABEL, message("x").SerializeToString(), 0.0) is not None
    assert inlet.read(RELIABLE_LABEL, message("x" * 20).SerializeToString(), 0.0) is None
    assert inlet.read("other", b"", 0.0) is None
    assert inlet.dropped_packets == 2
