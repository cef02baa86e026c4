"""Our data endpoint against aiortc's own, packets carried by hand."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.rtc.peer.data import DataEndpoint
from channel_recorder.rtc.peer.sections import DataChannels

DESCRIPTION = DataChannels(sctp_port=5000, max_message_size=65536)


class Wire:
    """A far side that opens channels, and us."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
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
            on_message=lambda label, payload: None,
        )

    def open(self, label: str, *, ordered: bool = True, retransmits: int | None = None) -> RTCDataChannel:
        parameters = RTCDataChannelParameters(label=label, ordered=ordered, maxRetransmits=retransmits)
        return RTCDataChannel(self.far_side._sctp, parameters)

    async def carry(self) -> None:
        """Until nobody has anything to say; aiortc sends from tasks of its own."""
        for _ in range(20):
            await asyncio.sleep(0)
            while self._packets:
                receiver, packet = self._packets.popleft()
                receiver.receive(packet)

    async def start(self) -> None:
        self.far_side.start()
        self.ours.start()
        await self.carry()

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
    from google_crc32c import value as crc32c

    wire = Wire()
    channel = wire.open("_reliable")
    await wire.start()
    tag = wire.ours._sctp._local_verification_tag.to_bytes(4, "big")
    chunk = st.tuples(
        st.sampled_from([0, 1, 2, 3, 4, 6, 7, 9, 10, 11, 130, 192]), st.integers(0, 7), st.binary(max_size=24)
    )

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=40), st.lists(chunk, min_size=1, max_size=3))
    def pour(rubbish: bytes, chunks: list[tuple[int, int, bytes]]) -> None:
        wire.ours.receive(rubbish)
        body = b"".join(
            bytes([kind, flags]) + (len(value) + 4).to_bytes(2, "big") + value + bytes(-len(value) % 4)
            for kind, flags, value in chunks
        )
        head = b"\x13\x88\x13\x88" + tag
        checksum = crc32c(head + bytes(4) + body).to_bytes(4, "little")
        wire.ours.receive(head + checksum + body)

    pour()
    assert channel.label == "_reliable"
    wire.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
