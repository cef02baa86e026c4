"""Light members of a channel server: talkers send streams of usual sizes, listeners receive as the recorder does.

Every packet of sound carries the instant at which it was handed to the talker's socket, so that a listener tells how
long it took: through the talker's SRTP, two sockets, the server, and the listener's receive path.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from bench.media import FPS, SOUND_HZ, Stream
from channel_recorder.channel.channel import Channel
from channel_recorder.channel.signal_events import CandidateReceived, OfferReceived, SignalEvent
from channel_recorder.model import Codec, EncodedFrame, MediaKind
from channel_recorder.rtc.description import MediaDescription
from channel_recorder.rtc.peer.connection import SubscriberPeer
from channel_recorder.rtc.peer.contract import PeerState
from testbed.hand_made import HandMadePublisher
from testbed.server_process import ServerProcess

LIMIT_SECONDS = 30.0
HEADER_BYTES = 12
STAMP_BYTES = 8
REPORT_CYCLES = 3 * SOUND_HZ
KEY_FRAME_PICTURES = 4 * FPS


class Talker:
    """A microphone and a camera, made by hand."""

    def __init__(self, server: ServerProcess, channel: str, identity: str, frame_bytes: int) -> None:
        self._publisher = HandMadePublisher(server, channel, identity, ("audio", "video"))
        self._frame_bytes = frame_bytes
        self.packets = 0
        self.late_seconds = 0.0

    async def join(self) -> None:
        await self._publisher.__aenter__()
        self._sound = Stream(Codec.OPUS, self._publisher.ssrc("audio"))
        self._pictures = Stream(Codec.VP8, self._publisher.ssrc("video"), frame_bytes=self._frame_bytes)
        self._begin = time.monotonic()
        self._begin_unix = time.time()
        self._task = asyncio.create_task(self._run())

    async def leave(self) -> None:
        self._task.cancel()
        await self._publisher.__aexit__(None, None, None)

    async def _run(self) -> None:
        cycle = 0
        while True:
            due = self._begin + cycle / SOUND_HZ
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.late_seconds = max(self.late_seconds, time.monotonic() - due)
            await self._cycle(cycle)
            cycle += 1

    async def _cycle(self, number: int) -> None:
        for packet in self._sound.frame(number):
            body = packet[HEADER_BYTES + 1 + STAMP_BYTES :]
            stamp = time.monotonic_ns().to_bytes(STAMP_BYTES, "big")
            await self._send("audio", packet[: HEADER_BYTES + 1] + stamp + body)
        picture = number * FPS // SOUND_HZ
        if picture != (number - 1) * FPS // SOUND_HZ:
            for packet in self._pictures.frame(picture, key_frame=picture % KEY_FRAME_PICTURES == 0):
                await self._send("video", packet)
        if number % REPORT_CYCLES == REPORT_CYCLES // 10:
            seconds = number / SOUND_HZ
            for stream in (self._sound, self._pictures):
                await self._publisher.send(stream.report(seconds, self._begin_unix + seconds))

    async def _send(self, kind: str, packet: bytes) -> None:
        second = packet[1] & 0x80 | self._publisher.payload_type(kind)
        await self._publisher.send(packet[:1] + bytes((second,)) + packet[2:])
        self.packets += 1


@dataclass
class Received:
    """By all listeners together."""

    sounds: int = 0
    pictures: int = 0
    lost_packets: int = 0
    delays: list[float] = field(default_factory=list[float])
    """Of sound, in seconds."""


class _Track:
    def __init__(self, kind: MediaKind, received: Received) -> None:
        self._is_sound = kind is MediaKind.AUDIO
        self._received = received

    def on_frame(self, frame: EncodedFrame) -> None:
        received = self._received
        received.lost_packets += frame.lost_packets
        if self._is_sound:
            received.sounds += 1
            sent = int.from_bytes(frame.data[1 : 1 + STAMP_BYTES], "big")
            received.delays.append((time.monotonic_ns() - sent) / 1e9)
        else:
            received.pictures += 1

    def on_sender_report(self, timestamp: int, ntp_seconds: float, arrival_seconds: float) -> None: ...

    def on_restart(self) -> None: ...


class Listener:
    """A member that only receives, with the recorder's own signalling and peer connection."""

    def __init__(self, server: ServerProcess, channel: str, identity: str, received: Received) -> None:
        token = server.token(channel, identity)
        self._channel = Channel(server.url, token, auto_subscribe=True, listener=self)
        self._peer = SubscriberPeer(listener=self)
        self._received = received
        self._answers: set[asyncio.Task[None]] = set()
        self._connected = asyncio.Event()
        self.tracks = 0

    async def join(self) -> None:
        await self._channel.connect(timeout_seconds=LIMIT_SECONDS)
        async with asyncio.timeout(LIMIT_SECONDS):
            await self._connected.wait()

    async def leave(self) -> None:
        await self._channel.close()
        await self._peer.close()

    def on_event(self, event: SignalEvent) -> None:
        if isinstance(event, OfferReceived):
            task = asyncio.get_running_loop().create_task(self._answer(event))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)
        elif isinstance(event, CandidateReceived):
            self._peer.add_remote_candidate(event.candidate)

    async def _answer(self, offer: OfferReceived) -> None:
        self._channel.send_answer(await self._peer.answer(offer.sdp), offer.offer_id)

    def on_media_added(self, media: MediaDescription) -> _Track:
        self.tracks += 1
        return _Track(media.kind, self._received)

    def on_media_removed(self, media: MediaDescription) -> None:
        self.tracks -= 1

    def on_state(self, state: PeerState, detail: str) -> None:
        if state is PeerState.CONNECTED:
            self._connected.set()

    def on_data(self, label: str, payload: bytes) -> None: ...

    def on_local_candidate(self, candidate: str, mid: str, m_line_index: int) -> None:
        self._channel.send_candidate(candidate, mid, m_line_index)
