"""A server with one port and browsers (aiortc) that join it over loopback, for tests of whole peer connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import av
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from channel_recorder.model import MediaKind
from channel_recorder.rtc.peer.connection import SubscriberPeer
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.serve.contract import IncomingTrack, PeerRole, PublishOptions
from channel_recorder.rtc.serve.peer import ServingPeerConnection
from channel_recorder.rtc.serve.port import MediaPort
from channel_recorder.rtc.wire.sdp_parser import parse_session_description
from channel_recorder.rtc.wire.sdp_writer import write_session_description
from tests.rtc.peer.far_side import Owner as Notes


class Owner:
    """A ServingListener that keeps everything and can be waited for."""

    def __init__(self) -> None:
        self.options = PublishOptions()
        self.tracks: dict[str, IncomingTrack] = {}
        """By the publisher's track id."""
        self.ended: list[IncomingTrack] = []
        self.states: list[tuple[PeerState, str]] = []
        self.data: list[tuple[str, bytes]] = []
        self._changed = asyncio.Event()

    async def until(self, holds: Callable[[], object]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    async def until_state(self, state: PeerState) -> str:
        """Returns the detail."""
        await self.until(lambda: self.states and self.states[-1][0] is state)
        return self.states[-1][1]

    def publish_options(self, kind: MediaKind, track_id: str) -> PublishOptions:
        return self.options

    def on_incoming_track(self, track: IncomingTrack) -> None:
        self.tracks[track.media.track_id] = track
        self._changed.set()

    def on_incoming_track_ended(self, track: IncomingTrack) -> None:
        self.ended.append(self.tracks.pop(track.media.track_id))
        self._changed.set()

    def on_state(self, state: PeerState, detail: str) -> None:
        self.states.append((state, detail))
        self._changed.set()

    def on_data(self, label: str, payload: bytes) -> None:
        self.data.append((label, payload))
        self._changed.set()


class FarSide:
    """Somebody, and the server's end of the connection to them."""

    def __init__(self, port: MediaPort, role: PeerRole, connect_timeout_seconds: float = 15.0) -> None:
        self.owner = Owner()
        self.server = ServingPeerConnection(port, role, self.owner, connect_timeout_seconds=connect_timeout_seconds)

    async def close(self) -> None:
        self.server.close()


class Recorder(FarSide):
    """Our own client."""

    def __init__(self, port: MediaPort) -> None:
        super().__init__(port, PeerRole.OFFERS)
        self.notes = Notes()
        self.peer = SubscriberPeer(listener=self.notes)

    async def accept_offer(self) -> None:
        """The server offers."""
        offer = self.server.offer()
        assert offer is not None
        self.server.accept_answer(await self.peer.answer(offer))

    async def close(self) -> None:
        await super().close()
        await self.peer.close()


class Browser(FarSide):
    """One peer connection of a browser."""

    def __init__(self, port: MediaPort, role: PeerRole, connect_timeout_seconds: float = 15.0) -> None:
        super().__init__(port, role, connect_timeout_seconds)
        self.far_side = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.received: list[MediaStreamTrack] = []
        self.channels: dict[str, RTCDataChannel] = {}
        self.data: list[tuple[str, bytes]] = []
        self._changed = asyncio.Event()
        self.far_side.on("connectionstatechange", self._changed.set)
        self.far_side.on("track", self.received.append)
        self.far_side.on("datachannel", self.adopt)

    async def until(self, holds: Callable[[], object]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    def adopt(self, channel: RTCDataChannel) -> None:
        def keep(message: bytes) -> None:
            self.data.append((channel.label, message))
            self._changed.set()

        channel.on("message", keep)
        channel.on("open", self._changed.set)
        self.channels[channel.label] = channel
        self._changed.set()

    @property
    def open_labels(self) -> set[str]:
        return {label for label, channel in self.channels.items() if channel.readyState == "open"}

    def open_channels(self) -> None:
        self.adopt(self.far_side.createDataChannel("_reliable"))
        self.adopt(self.far_side.createDataChannel("_lossy", ordered=False, maxRetransmits=0))

    async def offer(self) -> dict[str, str]:
        """The browser offers. Returns what the server sends, by mid."""
        await self.far_side.setLocalDescription(await self.far_side.createOffer())
        answer = self.server.answer(self.far_side.localDescription.sdp)
        await self.far_side.setRemoteDescription(_for_aiortc(answer.sdp, "answer"))
        return dict(answer.track_ids)

    async def accept_offer(self) -> None:
        """The server offers."""
        offer = self.server.offer()
        assert offer is not None
        await self.far_side.setRemoteDescription(_for_aiortc(offer, "offer"))
        await self.far_side.setLocalDescription(await self.far_side.createAnswer())
        self.server.accept_answer(self.far_side.localDescription.sdp)

    async def frames(self, kind: str, count: int) -> list[av.VideoFrame | av.AudioFrame]:
        """The next ones of the track of that kind that was received last."""
        track = next(track for track in reversed(self.received) if track.kind == kind)
        frames = [await track.recv() for _ in range(count)]
        return [frame for frame in frames if isinstance(frame, av.VideoFrame | av.AudioFrame)]

    async def close(self) -> None:
        await super().close()
        await self.far_side.close()


def _for_aiortc(sdp: str, kind: str) -> RTCSessionDescription:
    """It looks for the transport of a bundle in the last section, and for one in rejected sections."""
    session = parse_session_description(sdp)
    first = next(each for each in session.media if each.candidates)
    sections = [
        replace(
            each,
            ice_ufrag=first.ice_ufrag,
            ice_pwd=first.ice_pwd,
            fingerprints=first.fingerprints,
            setup=first.setup,
            candidates=first.candidates,
            end_of_candidates=True,
        )
        for each in session.media
    ]
    return RTCSessionDescription(sdp=write_session_description(replace(session, media=tuple(sections))), type=kind)


class Room:
    def __init__(self, port: MediaPort) -> None:
        self.port = port
        self.members: list[FarSide] = []

    def join(self, role: PeerRole, connect_timeout_seconds: float = 15.0) -> Browser:
        browser = Browser(self.port, role, connect_timeout_seconds)
        self.members.append(browser)
        return browser

    def record(self) -> Recorder:
        recorder = Recorder(self.port)
        self.members.append(recorder)
        return recorder


@asynccontextmanager
async def room() -> AsyncGenerator[Room]:
    """Nothing of ours may be left running after it."""
    before = asyncio.all_tasks()
    port = await MediaPort.open("127.0.0.1", 0)
    opened = Room(port)
    try:
        yield opened
    finally:
        for member in opened.members:
            await member.close()
        await port.close()
    # aiortc's own tasks need a few rounds to end.
    for _ in range(20):
        await asyncio.sleep(0)
    left = [task for task in asyncio.all_tasks() - before if "channel_recorder" in repr(task)]
    assert left == []
