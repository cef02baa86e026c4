"""Data channels: what members send, told once, whole, and within bounds."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit.protocol import models as pb

from channel_recorder.channel.data import LOSSY_LABEL, MAX_SENDERS, RELIABLE_LABEL, DataReceiver
from channel_recorder.channel.data_stream import Limits
from channel_recorder.events import DataReceived


def packet(sequence: int = 0, sid: str = "PA_alice", identity: str = "alice", **value: Any) -> bytes:
    data = pb.DataPacket(participant_identity=identity, participant_sid=sid, sequence=sequence, **value)
    return data.SerializeToString()


def user(payload: bytes = b"x", sequence: int = 0, **sender: str) -> bytes:
    return packet(sequence, user=pb.UserPacket(payload=payload, topic="t"), **sender)


def header(stream_id: str = "s1", **fields: Any) -> bytes:
    if "byte_header" not in fields:
        fields["text_header"] = pb.DataStream.TextHeader()
    return packet(stream_header=pb.DataStream.Header(stream_id=stream_id, topic="chat", **fields))


def chunk(index: int, content: bytes, stream_id: str = "s1", version: int = 0) -> bytes:
    part = pb.DataStream.Chunk(stream_id=stream_id, chunk_index=index, content=content, version=version)
    return packet(stream_chunk=part)


def trailer(stream_id: str = "s1", **fields: Any) -> bytes:
    return packet(stream_trailer=pb.DataStream.Trailer(stream_id=stream_id, **fields))


def received(receiver: DataReceiver, *payloads: bytes, label: str = RELIABLE_LABEL) -> list[DataReceived]:
    return [event for payload in payloads for event in receiver.receive(label, payload)]


def only(events: list[DataReceived]) -> DataReceived:
    (event,) = events
    return event


def test_a_user_packet_says_which_channel_it_came_by() -> None:
    receiver = DataReceiver()
    for label, reliable in ((RELIABLE_LABEL, True), (LOSSY_LABEL, False)):
        assert received(receiver, user(b"hello"), label=label) == [
            DataReceived(identity="alice", kind="user", topic="t", payload=b"hello", reliable=reliable)
        ]
    assert received(receiver, user(), label="_data_track") == []
    assert receiver.ignored_packets == 1


def test_a_reliable_packet_that_comes_again_is_dropped_per_sender() -> None:
    receiver = DataReceiver()
    sent = [
        user(b"1", sequence=1),
        user(b"2", sequence=2),
        user(b"1", sequence=1),
        user(b"2", sequence=2),
        user(b"bob", sequence=1, sid="PA_bob", identity="bob"),
        user(b"3", sequence=3),
    ]
    assert [event.payload for event in received(receiver, *sent)] == [b"1", b"2", b"bob", b"3"]
    assert receiver.duplicate_packets == 2


def test_packets_without_a_number_and_lossy_ones_are_never_duplicates() -> None:
    receiver = DataReceiver()
    assert len(received(receiver, user(), user())) == 2
    assert len(received(receiver, user(sequence=5), user(sequence=5), label=LOSSY_LABEL)) == 2


def test_the_senders_remembered_are_bounded() -> None:
    receiver = DataReceiver()
    for number in range(MAX_SENDERS + 1):
        received(receiver, user(sequence=1, sid=f"PA_{number}"))
    assert received(receiver, user(sequence=1, sid="PA_0")) != [], "the oldest is forgotten"
    assert received(receiver, user(sequence=1, sid=f"PA_{MAX_SENDERS}")) == []


def test_a_text_is_put_together_from_its_chunks() -> None:
    attributes = {"lang": "en"}
    sent = [header(total_length=8, attributes=attributes, mime_type="text/plain"), chunk(1, b"word"), chunk(0, b"pass")]
    event = only(received(DataReceiver(), *sent, trailer(attributes={"done": "yes"})))
    assert event == DataReceived(
        identity="alice",
        kind="text_stream",
        topic="chat",
        payload=b"password",
        attributes={
            "lang": "en",
            "done": "yes",
            "stream.id": "s1",
            "stream.bytes": "8",
            "stream.mime_type": "text/plain",
        },
    )


def test_a_file_says_its_name() -> None:
    sent = [header(byte_header=pb.DataStream.ByteHeader(name="a.png")), chunk(0, b"\x89PNG"), trailer()]
    event = only(received(DataReceiver(), *sent))
    assert (event.kind, event.payload, event.attributes["stream.name"]) == ("byte_stream", b"\x89PNG", "a.png")


def test_a_short_text_comes_whole_in_its_header() -> None:
    event = only(received(DataReceiver(), header(inline_content=b"hi", total_length=2)))
    assert (event.payload, "stream.incomplete" in event.attributes) == (b"hi", False)


def deflated(content: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(content) + deflater.flush()


@pytest.mark.parametrize("inline", [True, False])
def test_a_compressed_text_is_inflated(inline: bool) -> None:
    text = b"again and again " * 1000
    compressed = deflated(text)
    settings: dict[str, Any] = {"compression": pb.DataStream.CompressionType.DEFLATE_RAW, "total_length": len(text)}
    half = len(compressed) // 2
    sent = (
        [header(inline_content=compressed, **settings)]
        if inline
        else [header(**settings), chunk(0, compressed[:half]), chunk(1, compressed[half:]), trailer()]
    )
    event = only(received(DataReceiver(), *sent))
    assert event.payload == text
    assert "stream.incomplete" not in event.attributes


def test_a_compressed_bomb_is_cut_at_the_limit() -> None:
    bomb = deflated(bytes(50_000_000))
    settings: dict[str, Any] = {"compression": pb.DataStream.CompressionType.DEFLATE_RAW, "total_length": 50_000_000}
    event = only(received(DataReceiver(Limits(stream_bytes=100_000)), header(inline_content=bomb, **settings)))
    assert len(event.payload) == 100_000
    assert event.attributes["stream.incomplete"] == "its length is not the one announced"


def test_what_does_not_inflate_is_told_as_incomplete() -> None:
    settings: dict[str, Any] = {"compression": pb.DataStream.CompressionType.DEFLATE_RAW, "total_length": 5}
    event = only(received(DataReceiver(), header(inline_content=b"\xff\xff", **settings)))
    assert (event.payload, event.attributes["stream.incomplete"]) == (b"", "its length is not the one announced")


def test_a_chunk_that_comes_again_is_ignored_and_a_corrected_one_replaces() -> None:
    receiver = DataReceiver()
    sent = [header(), chunk(0, b"one"), chunk(0, b"two"), chunk(0, b"ONE", version=1), trailer()]
    assert only(received(receiver, *sent)).payload == b"ONE"
    assert receiver.ignored_packets == 1


@pytest.mark.parametrize(
    ("sent", "payload", "why"),
    [
        ([header(), chunk(0, b"a"), chunk(2, b"c"), trailer()], b"ac", "chunks are missing"),
        ([header(total_length=9), chunk(0, b"a"), trailer()], b"a", "its length is not the one announced"),
        ([header(), chunk(0, b"a"), trailer(reason="sender gave up")], b"a", "sender gave up"),
        ([header(), chunk(0, b"a" * 20), chunk(1, b"b" * 900), trailer()], b"a" * 20, "it is too long"),
        ([header(), *(chunk(n, b"") for n in range(20)), trailer()], b"", "it is too long"),
    ],
)
def test_a_stream_that_is_not_whole_is_told_as_far_as_it_came(sent: list[bytes], payload: bytes, why: str) -> None:
    event = only(received(DataReceiver(Limits(stream_bytes=900)), *sent))
    assert (event.payload, event.attributes["stream.incomplete"]) == (payload, why)


def test_the_streams_of_a_sender_that_left_are_told_as_far_as_they_came() -> None:
    receiver = DataReceiver()
    assert received(receiver, user(sequence=9), header("s1"), chunk(0, b"half"), header("s2"))[1:] == []
    first, second = receiver.forget("PA_alice", "alice")
    assert (first.payload, first.attributes["stream.incomplete"]) == (b"half", "the sender left")
    assert second.attributes["stream.id"] == "s2"
    assert list(receiver.forget("PA_alice", "alice")) == []
    assert received(receiver, trailer("s1")) == []
    assert len(received(receiver, user(sequence=1))) == 1, "numbers begin anew"


def test_only_so_many_streams_stay_open() -> None:
    receiver = DataReceiver(Limits(open_streams=2))
    assert received(receiver, header("s1"), header("s2")) == []
    pushed_out = only(received(receiver, header("s3")))
    assert (pushed_out.attributes["stream.id"], pushed_out.attributes["stream.incomplete"]) == (
        "s1",
        "too many are open",
    )


def test_a_stream_begun_again_ends_the_first() -> None:
    receiver = DataReceiver()
    first = only(received(receiver, header(), chunk(0, b"old"), header()))
    assert (first.payload, first.attributes["stream.incomplete"]) == (b"old", "the sender began it again")
    assert only(received(receiver, chunk(0, b"new"), trailer())).payload == b"new"


PARTS = st.one_of(
    st.binary(max_size=60),
    st.builds(header, st.sampled_from(["s1", "s2"]), total_length=st.integers(0, 9) | st.just(2**64 - 1)),
    st.builds(
        header,
        st.sampled_from(["s1", "s2"]),
        inline_content=st.binary(max_size=9),
        compression=st.integers(0, 3),
    ),
    st.builds(
        chunk, st.integers(0, 2**64 - 1), st.binary(max_size=99), st.sampled_from(["s1", "s2"]), st.integers(-1, 1)
    ),
    st.builds(trailer, st.sampled_from(["s1", "s2"]), reason=st.text(max_size=3)),
    st.builds(user, st.binary(max_size=9), st.integers(0, 2**32 - 1)),
)


@given(st.lists(PARTS, max_size=12), st.sampled_from([RELIABLE_LABEL, LOSSY_LABEL, "", "other"]))
@settings(deadline=None)
def test_any_packets_in_any_order_are_told_or_counted(payloads: list[bytes], label: str) -> None:
    receiver = DataReceiver(Limits(open_streams=1, stream_bytes=200))
    told = received(receiver, *payloads, label=label)
    counted = receiver.malformed_packets + receiver.ignored_packets + receiver.duplicate_packets
    assert counted <= len(payloads)
    assert all(len(event.payload) <= 200 for event in told if event.kind.endswith("_stream"))


def sealed_packet(payload: bytes = b"sealed", key_index: int = 2) -> bytes:
    return packet(encrypted_packet=pb.EncryptedPacket(encrypted_value=payload, iv=b"iv", key_index=key_index))


def opening(content: bytes | None) -> DataReceiver:
    def open_packet(account: str, key_index: int, iv: bytes, sealed: bytes) -> bytes | None:
        assert (account, key_index, iv, sealed) == ("alice", 2, b"iv", b"sealed")
        return content

    return DataReceiver(open_packet=open_packet)


def test_an_encrypted_packet_is_told_as_if_it_had_come_in_clear() -> None:
    content = pb.EncryptedPacketPayload(user=pb.UserPacket(payload=b"hello", topic="t"))
    event = only(received(opening(content.SerializeToString()), sealed_packet()))
    assert event == DataReceived(identity="alice", kind="user", topic="t", payload=b"hello")


def test_an_encrypted_stream_is_put_together() -> None:
    parts = [
        pb.EncryptedPacketPayload(
            stream_header=pb.DataStream.Header(stream_id="s", topic="lk.chat", text_header=pb.DataStream.TextHeader())
        ),
        pb.EncryptedPacketPayload(stream_chunk=pb.DataStream.Chunk(stream_id="s", content=b"hello")),
        pb.EncryptedPacketPayload(stream_trailer=pb.DataStream.Trailer(stream_id="s")),
    ]
    contents = iter(part.SerializeToString() for part in parts)
    receiver = DataReceiver(open_packet=lambda *_: next(contents))
    event = only(received(receiver, *[sealed_packet()] * 3))
    assert (event.kind, event.topic, event.payload) == ("text_stream", "lk.chat", b"hello")


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"\x0a\xff"])
def test_an_encrypted_packet_that_does_not_open_is_told_as_it_came(content: bytes | None) -> None:
    event = only(received(opening(content), sealed_packet()))
    assert (event.kind, event.payload) == ("encrypted", b"sealed")
    assert event.attributes["key_index"] == "2"


@given(st.binary(max_size=60))
def test_whatever_an_encrypted_packet_holds_does_no_harm(content: bytes) -> None:
    for event in opening(content).receive(RELIABLE_LABEL, sealed_packet()):
        assert event.identity == "alice"
