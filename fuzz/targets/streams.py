"""Whole ends of a media path, fed record by record: what receives, what is forwarded, what data channels carry."""

from __future__ import annotations

import asyncio
from typing import cast

from google_crc32c import value as crc32c  # pyright: ignore[reportUnknownVariableType]

from channel_recorder.channel.data import LOSSY_LABEL, RELIABLE_LABEL, DataReceiver
from channel_recorder.channel.data_stream import Limits
from channel_recorder.events import DataReceived
from channel_recorder.rtc.peer.data import DataEndpoint
from channel_recorder.rtc.peer.sctp import MAX_HELD_CHUNKS
from channel_recorder.rtc.peer.sections import DataChannels
from fuzz.records import unpack
from tests.rtc.forward.publisher import EXTENSIONS
from tests.rtc.forward.wire import Wire as Forwarding
from tests.rtc.forward.wire import send_description, video
from tests.rtc.receive.packets import Wire as Reception
from tests.rtc.receive.packets import audio

DESCRIPTION = DataChannels(sctp_port=5000, max_message_size=65536)
INIT = bytes.fromhex("010000140000002a00010000ffffffff00000064")
PARAMETERS_OF_INIT_ACK = 32
STATE_COOKIE = 7


def receive(data: bytes) -> None:
    """The first byte of a record tells: a packet of media, of reports, or that time passes."""
    wire = Reception(video(extensions=EXTENSIONS), audio(ssrc=0x3333))
    for record in unpack(data):
        kind, packet = record[:1], record[1:]
        if kind < b"\xa0":
            wire.receiver.receive_rtp(packet, wire.now)
        elif kind < b"\xd0":
            wire.receiver.receive_rtcp(packet, wire.now)
        else:
            wire.wait(0.02 * len(packet))
    wire.wait(3.0)
    frames = wire.collector.frames
    assert sum(len(frame.data) for frame in frames) <= 4 * len(data) + 64


def forward(data: bytes) -> None:
    wire = Forwarding(video(extensions=EXTENSIONS), audio(ssrc=0x3333))
    wire.subscribe(send_description())
    for record in unpack(data):
        kind, packet = record[:1], record[1:]
        if kind < b"\x80":
            wire.uplink.receive_rtp(packet, wire.now)
        elif kind < b"\xa0":
            wire.uplink.receive_rtcp(packet, wire.now)
        elif kind < b"\xd0":
            wire.downlink.receive_rtcp(packet, wire.now)
        else:
            wire.wait(0.02 * len(packet))
            wire.downward()
    wire.wait(1.0)


def sctp(data: bytes) -> None:
    """Packets of a far side, with a right checksum and tag, so that more than those is tried."""
    asyncio.run(_sctp(unpack(data)))


async def _sctp(packets: list[bytes]) -> None:
    far_side = FarSide()
    if packets[:1] != [b"\xff"]:
        far_side.associate()
    for packet in packets:
        if packet[:1] == b"\xff":
            far_side.send(packet[1:])
        else:
            far_side.send_sealed(packet)
        assert far_side.association._held_chunks <= 2 * MAX_HELD_CHUNKS  # pyright: ignore[reportPrivateUsage]
    far_side.endpoint.close()


class FarSide:
    """Says what it is told to, as packets of an association."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.endpoint = DataEndpoint(
            DESCRIPTION, is_dtls_client=False, send=self.answers.append, on_message=lambda _label, _payload: None
        )
        self.endpoint.start()
        self.association = self.endpoint._sctp  # pyright: ignore[reportPrivateUsage]
        self._now = 0.0

    def associate(self) -> None:
        """RFC 9260 section 5.1: what our INIT ACK holds as its cookie is echoed."""
        self.send_sealed(INIT)
        parameters = self.answers[-1][PARAMETERS_OF_INIT_ACK:]
        while parameters:
            kind, length = int.from_bytes(parameters[:2], "big"), int.from_bytes(parameters[2:4], "big")
            if kind == STATE_COOKIE:
                self.send_sealed(b"\x0a\0" + length.to_bytes(2, "big") + parameters[4:length])
            parameters = parameters[length + -length % 4 :]

    def send_sealed(self, chunks: bytes) -> None:
        """With a right checksum and tag; the packet that begins an association has none yet."""
        tag = 0 if chunks[:1] == b"\x01" else self.association._local_verification_tag  # pyright: ignore[reportPrivateUsage]
        head = b"\x13\x88\x13\x88" + tag.to_bytes(4, "big")
        checksum = cast("int", crc32c(head + bytes(4) + chunks))
        self.send(head + checksum.to_bytes(4, "little") + chunks)

    def send(self, packet: bytes) -> None:
        self._now += 0.01
        self.endpoint.receive(packet, self._now)


def data_packets(data: bytes) -> None:
    """Messages of LiveKit's data channels; streams are put together."""
    receiver = DataReceiver()
    told: list[DataReceived] = []
    for record in unpack(data):
        label = (RELIABLE_LABEL, LOSSY_LABEL, "other")[record[0] % 3] if record else RELIABLE_LABEL
        told += receiver.receive(label, record[1:])
    told += receiver.forget("PA_x", "alice")
    # Streams may be compressed: no message is larger for it than one may be.
    assert all(len(event.payload) <= max(len(data), Limits().stream_bytes) for event in told)
