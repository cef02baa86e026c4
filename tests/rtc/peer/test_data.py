"""Our data endpoint against aiortc's own, packets carried by hand."""

from __future__ import annotations

import asyncio
import struct
from collections import deque

import pytest
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from google_crc32c import value as crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.rtc.peer.data import DataEndpoint
from channel_recorder.rtc.peer.sctp import MAX_HELD_CHUNKS
from channel_recorder.rtc.peer.sections import DataChannels

DESCRIPTION = DataChannels(sctp_port=5000, max_message_size=65536)


class Wire:
    """A far side that opens channels, and us."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.far_messages: list[tuple[str, bytes]] = []
        self.now_seconds = 0.0
        self._packets: deque[tuple[DataEndpoint, bytes]] = deque()
        self.ours = DataEndpoint(
            DESCRIPTION,
            is_dtls_client=True,
            send=lambda packet: self._packets.append((self.far_side, packet)),
            on_message=lambda label, payload: self.messages.append((label, payload)),
        )
        self.far_side = DataEndpoint(
            DESCRIPTION,
            is_dtls_client=False,
            send=lambda packet: self._packets.append((self.ours, packet)),
            on_message=lambda label, payload: self.far_messages.append((label, payload)),
        )

    def open(self, label: str, *, ordered: bool = True, retransmits: int | None = None) -> RTCDataChannel:
        parameters = RTCDataChannelParameters(label=label, ordered=ordered, maxRetransmits=retransmits)
        channel = RTCDataChannel(self.far_side._sctp, parameters)
        channel.on("message", lambda message: self.far_messages.append((label, message)))
        return channel

    async def carry(self) -> None:
        """Until nobody has anything to say; aiortc sends from tasks of its own."""
        for _ in range(20):
            await asyncio.sleep(0)
            while self._packets:
                receiver, packet = self._packets.popleft()
                receiver.receive(packet, self.now_seconds)

    async def start(self) -> None:
        self.far_side.start()
        self.ours.start()
        await self.carry()

    def swallow(self) -> int:
        """What is under way is lost."""
        lost = len(self._packets)
        self._packets.clear()
        return lost

    def forge(self, *chunks: bytes) -> None:
        """A packet of the far side's, made by hand."""
        head = b"\x13\x88\x13\x88" + self.ours._sctp._local_verification_tag.to_bytes(4, "big")
        body = b"".join(chunk + bytes(-len(chunk) % 4) for chunk in chunks)
        self.ours.receive(head + crc32c(head + bytes(4) + body).to_bytes(4, "little") + body, self.now_seconds)

    def close(self) -> None:
        self.ours.close()
        self.far_side.close()


async def test_messages_arrive_with_the_label_of_their_channel():
    wire = Wire()
    reliable = wire.open("_reliable")
    lossy = wire.open("_lossy", ordered=False, retransmits=0)
    await wire.start()
    reliable.send(b"bytes")
    reliable.send("text ä")
    lossy.send(b"x" * 5000)
    reliable.send(b"")
    await wire.carry()
    assert sorted(wire.messages) == sorted(
        [("_reliable", b"bytes"), ("_reliable", "text ä".encode()), ("_lossy", b"x" * 5000), ("_reliable", b"")]
    )
    wire.close()


async def test_channels_of_our_own_carry_messages():
    wire = Wire()
    wire.ours.open("_reliable")
    wire.ours.open("_lossy", ordered=False, max_retransmits=0)
    await wire.start()
    assert wire.ours.send("_reliable", b"one")
    assert wire.ours.send("_lossy", b"two")
    assert wire.ours.send("_reliable", b"")
    assert wire.ours.send("_reliable", b"x" * 65536)
    await wire.carry()
    assert sorted(wire.far_messages) == sorted(
        [("_reliable", b"one"), ("_lossy", b"two"), ("_reliable", b""), ("_reliable", b"x" * 65536)]
    )
    lossy = wire.far_side._channels["_lossy"]
    assert (lossy.ordered, lossy.maxRetransmits) == (False, 0)
    wire.close()


async def test_channels_of_the_far_side_carry_messages_back():
    wire = Wire()
    wire.open("_reliable")
    await wire.start()
    assert wire.ours.send("_reliable", b"back")
    await wire.carry()
    assert wire.far_messages == [("_reliable", b"back")]
    wire.close()


async def test_nothing_is_sent_where_no_channel_is_open():
    wire = Wire()
    wire.ours.open("_reliable")
    assert not wire.ours.send("_reliable", b"too early")
    await wire.start()
    assert not wire.ours.send("_lossy", b"no such channel")
    wire.close()
    assert not wire.ours.send("_reliable", b"too late")
    await wire.carry()
    assert wire.far_messages == []


async def test_a_channel_that_the_far_side_closed_is_forgotten():
    wire = Wire()
    channel = wire.open("_reliable")
    await wire.start()
    channel.close()
    await wire.carry()
    assert not wire.ours.send("_reliable", b"x")
    wire.open("_reliable")
    await wire.carry()
    assert wire.ours.send("_reliable", b"again")
    await wire.carry()
    assert wire.far_messages == [("_reliable", b"again")]
    wire.close()


async def test_no_task_is_made_for_a_message():
    wire = Wire()
    wire.ours.open("_reliable")
    await wire.start()
    before = asyncio.all_tasks()
    wire.ours.send("_reliable", b"x")
    assert asyncio.all_tasks() == before
    wire.close()


async def test_a_far_side_that_takes_nothing_makes_us_keep_no_more_than_the_limit():
    wire = Wire()
    wire.ours.open("_reliable")
    wire.ours.open("_lossy", ordered=False, max_retransmits=0)
    await wire.start()
    message = bytes(50_000)
    reliable = sum(wire.ours.send("_reliable", message) for _ in range(200))
    lossy = sum(wire.ours.send("_lossy", message) for _ in range(200))
    assert 4 * 1024 * 1024 - len(message) < reliable * len(message) <= 4 * 1024 * 1024 + 2 * len(message)
    assert lossy == 1
    wire.close()


async def test_what_was_lost_arrives_later_and_in_order():
    wire = Wire()
    wire.ours.open("_reliable")
    await wire.start()
    wire.ours.send("_reliable", b"1")
    assert wire.swallow() == 1
    for number in b"23456":
        wire.ours.send("_reliable", bytes([number]))
    await wire.carry()
    assert b"".join(payload for _, payload in wire.far_messages) == b"123456"
    wire.close()


async def test_a_message_above_the_limit_is_dropped():
    wire = Wire()
    channel = wire.open("_reliable")
    await wire.start()
    wire.ours._max_message_bytes = 1000
    assert not wire.ours.send("_reliable", bytes(65537))
    channel.send(b"x" * 1001)
    channel.send(b"x" * 1000)
    await wire.carry()
    assert [len(payload) for _, payload in wire.messages] == [1000]
    wire.close()


# Bad people

FIRST, LAST, UNORDERED = 2, 1, 4


def data_chunk(tsn: int, flags: int, payload: bytes = b"x", *, stream: int = 1, sequence: int = 0) -> bytes:
    value = struct.pack("!LHHL", tsn & 0xFFFFFFFF, stream, sequence, 53) + payload
    return struct.pack("!BBH", 0, flags, len(value) + 4) + value


def is_alive(wire: Wire) -> bool:
    return wire.ours._sctp.state == "connected"


async def connected() -> tuple[Wire, int]:
    """And the number of the next chunk that the far side would send."""
    wire = Wire()
    wire.open("_reliable")
    await wire.start()
    return wire, wire.far_side._sctp._local_tsn


@pytest.mark.parametrize("kind", [1, 2, 4, 5, 6, 9, 130])
async def test_a_parameter_without_length_is_not_read_for_ever(kind: int):
    wire, _ = await connected()
    value = bytes(64)
    wire.forge(bytes([kind, 0]) + (len(value) + 4).to_bytes(2, "big") + value)
    assert wire.ours.malformed_packets == 1
    assert is_alive(wire)
    wire.close()


async def test_fragments_behind_a_gap_are_kept_up_to_a_limit():
    wire, tsn = await connected()
    for number in range(2, 5000):
        wire.now_seconds += 0.001
        wire.forge(data_chunk(tsn + number, FIRST))
    assert wire.ours._sctp._held_chunks == MAX_HELD_CHUNKS
    assert len(wire.ours._sctp._sack_misordered) == MAX_HELD_CHUNKS
    assert is_alive(wire)
    wire.close()


async def test_a_message_that_never_ends_ends_the_association():
    wire, tsn = await connected()
    for number in range(5000):
        wire.now_seconds += 0.001
        wire.forge(data_chunk(tsn + number, FIRST if number == 0 else 0))
    assert not is_alive(wire)
    assert wire.ours._sctp._held_chunks <= 2 * MAX_HELD_CHUNKS
    wire.close()


async def test_large_fragments_are_not_kept_beyond_the_window():
    wire, tsn = await connected()
    for number in range(300):
        wire.forge(data_chunk(tsn + number, UNORDERED | (FIRST if number == 0 else 0), bytes(16_000)))
    assert not is_alive(wire)
    assert (
        sum(len(c.user_data) for s in wire.ours._sctp._inbound_streams.values() for c in s.reassembly) < 2**21 + 16_000
    )
    wire.close()


async def test_fragments_far_ahead_are_not_kept():
    wire, tsn = await connected()
    wire.forge(*(data_chunk(tsn + 2000 + number, FIRST) for number in range(50)))
    assert wire.ours._sctp._held_chunks == 0
    wire.close()


async def test_streams_nobody_agreed_on_end_the_association():
    wire, tsn = await connected()
    wire.forge(data_chunk(tsn, FIRST | LAST, stream=200))
    assert not is_alive(wire)
    wire.close()


async def test_a_channel_with_an_endless_name_ends_the_association():
    wire, _ = await connected()
    wire.open("x" * 30_000)
    await wire.carry()
    assert not is_alive(wire)
    wire.close()


@pytest.mark.parametrize("blocks", [[(1, 65535)] * 300, [(2, 1)], [(0, 0)], [(5, 6), (2, 3)], [(1, 1)]])
async def test_an_acknowledgement_of_what_was_never_sent_is_passed_over(blocks: list[tuple[int, int]]):
    wire, _ = await connected()
    last = wire.ours._sctp._local_tsn - 1
    value = struct.pack("!LLHH", last & 0xFFFFFFFF, 1000, len(blocks), 0)
    value += b"".join(struct.pack("!HH", *block) for block in blocks)
    wire.forge(struct.pack("!BBH", 3, 0, len(value) + 4) + value)
    assert wire.ours.malformed_packets == 1
    assert is_alive(wire)
    wire.close()


async def test_a_flood_is_dropped_and_the_association_survives_it():
    wire, tsn = await connected()
    for number in range(10_000):
        wire.forge(data_chunk(tsn + number, FIRST | LAST, sequence=number))
    assert 1000 < len(wire.messages) < 3000
    assert wire.ours.malformed_packets > 5000
    delivered = len(wire.messages)
    wire.now_seconds += 10
    for number in range(delivered, delivered + 100):
        wire.forge(data_chunk(tsn + number, FIRST | LAST, sequence=number))
    assert len(wire.messages) == delivered + 100
    wire.close()


async def test_nothing_runs_on_after_the_end():
    wire = Wire()
    wire.open("_reliable")
    await wire.start()
    wire.close()
    await wire.carry()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert wire.ours._sctp.state == "closed"


async def test_an_error_of_the_listener_is_not_taken_for_a_bad_packet():
    wire = Wire()

    def refuse(label: str, payload: bytes) -> None:
        raise ValueError(label)

    wire.ours._on_message = refuse
    channel = wire.open("_reliable")
    await wire.start()
    channel.send(b"x")
    with pytest.raises(ValueError, match="_reliable"):
        await wire.carry()
    assert wire.ours.malformed_packets == 0
    wire.close()


def test_garbage_raises_nothing():
    asyncio.run(_pour_garbage())


async def _pour_garbage() -> None:
    wire = Wire()
    channel = wire.open("_reliable")
    await wire.start()
    chunk = st.tuples(
        st.sampled_from([0, 1, 2, 3, 4, 6, 7, 9, 10, 11, 130, 192]),
        st.integers(0, 7),
        st.binary(max_size=24) | st.lists(st.sampled_from([b"\0\0", b"\0\1", b"\0\4", b"\xff\xff"])).map(b"".join),
    )

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=40), st.lists(chunk, min_size=1, max_size=3))
    def pour(rubbish: bytes, chunks: list[tuple[int, int, bytes]]) -> None:
        wire.ours.receive(rubbish, 0.0)
        wire.now_seconds += 1
        wire.forge(
            *(bytes([kind, flags]) + (len(value) + 4).to_bytes(2, "big") + value for kind, flags, value in chunks)
        )

    pour()
    assert channel.label == "_reliable"
    wire.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
