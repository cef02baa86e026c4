"""The other end for tests of a whole connection: aiortc offers and sends pictures and tones."""

from __future__ import annotations

import asyncio
import fractions
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import av
import numpy as np
from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from aiortc.mediastreams import MediaStreamTrack
from av import AudioFrame, VideoFrame

from channel_recorder.model import Codec, EncodedFrame
from channel_recorder.rtc.description import MediaDescription
from channel_recorder.rtc.peer.connection import SubscriberPeer
from channel_recorder.rtc.peer.contract import PeerState

SAMPLE_RATE_HZ = 48_000
TONE_HZ = 1000


class GrayTrack(VideoStreamTrack):
    """A picture of one luma value."""

    def __init__(self, luma: int) -> None:
        super().__init__()
        self._picture = np.full((72, 64), 128, np.uint8)
        self._picture[:48] = luma

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame.from_ndarray(self._picture, format="yuv420p")
        frame.pts, frame.time_base = pts, time_base
        return frame


class ToneTrack(AudioStreamTrack):
    """A sine of 1 kHz."""

    _samples = 0

    async def recv(self) -> AudioFrame:
        await super().recv()  # paces
        count = SAMPLE_RATE_HZ // 50
        seconds = (np.arange(count) + self._samples) / SAMPLE_RATE_HZ
        self._samples += count
        samples = (8000 * np.sin(2 * np.pi * TONE_HZ * seconds)).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, self._samples
        frame.time_base = fractions.Fraction(1, SAMPLE_RATE_HZ)
        return frame


class Owner:
    """A PeerListener that keeps everything and can be waited for."""

    def __init__(self) -> None:
        self.media: dict[str, MediaDescription] = {}
        self.removed: list[MediaDescription] = []
        self.frames: defaultdict[str, list[EncodedFrame]] = defaultdict(list)
        """By track id."""
        self.reports: defaultdict[str, list[float]] = defaultdict(list)
        self.states: list[tuple[PeerState, str]] = []
        self.data: list[tuple[str, bytes]] = []
        self.wanted: Callable[[MediaDescription], bool] = lambda _: True
        self._changed = asyncio.Event()

    async def until(self, holds: Callable[[], object]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    async def until_state(self, state: PeerState) -> str:
        """Returns the detail."""
        await self.until(lambda: self.states and self.states[-1][0] is state)
        return self.states[-1][1]

    def on_media_added(self, media: MediaDescription) -> TrackNotes | None:
        self.media[media.mid] = media
        return TrackNotes(self, media.track_id) if self.wanted(media) else None

    def on_media_removed(self, media: MediaDescription) -> None:
        self.removed.append(self.media.pop(media.mid))
        self.changed()

    def on_state(self, state: PeerState, detail: str) -> None:
        self.states.append((state, detail))
        self.changed()

    def on_data(self, label: str, payload: bytes) -> None:
        self.data.append((label, payload))
        self.changed()

    def on_local_candidate(self, candidate: str, mid: str, m_line_index: int) -> None:
        raise AssertionError("the offer names every candidate, so there is nothing to trickle")

    def changed(self) -> None:
        self._changed.set()


class TrackNotes:
    """A TrackListener."""

    def __init__(self, owner: Owner, track_id: str) -> None:
        self._owner = owner
        self._track_id = track_id

    def on_frame(self, frame: EncodedFrame) -> None:
        self._owner.frames[self._track_id].append(frame)
        self._owner.changed()

    def on_sender_report(self, timestamp: int, ntp_seconds: float, arrival_seconds: float) -> None:
        self._owner.reports[self._track_id].append(ntp_seconds)
        self._owner.changed()

    def on_restart(self) -> None:
        raise AssertionError("nobody restarts in these tests")


class Call:
    """A far side and our peer, with the signalling between them."""

    def __init__(self, connect_timeout_seconds: float) -> None:
        self.far_side = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.owner = Owner()
        self.peer = SubscriberPeer(listener=self.owner, connect_timeout_seconds=connect_timeout_seconds)

    def send(self, track: MediaStreamTrack) -> MediaStreamTrack:
        self.far_side.addTransceiver(track, direction="sendonly")
        return track

    async def negotiate(self, change: Callable[[str], str] = lambda sdp: sdp) -> str:
        """One offer of the far side, as `change` lets it through, and our answer."""
        await self.far_side.setLocalDescription(await self.far_side.createOffer())
        answer = await self.peer.answer(change(self.far_side.localDescription.sdp))
        await self.accept(answer)
        return answer

    async def accept(self, answer: str) -> None:
        await self.far_side.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))

    def cut(self) -> None:
        """The far side falls silent, without a word."""
        for transceiver in self.far_side.getTransceivers():
            for protocol in transceiver.sender.transport.transport._connection._protocols:
                protocol.datagram_received = _hear_nothing

    def frames_of(self, track: MediaStreamTrack) -> list[EncodedFrame]:
        return self.owner.frames[track.id]


def _hear_nothing(data: bytes | str, addr: tuple[Any, ...]) -> None: ...


@asynccontextmanager
async def call(connect_timeout_seconds: float = 15.0) -> AsyncGenerator[Call]:
    """Nothing of ours may be left running after it."""
    before = asyncio.all_tasks()
    both = Call(connect_timeout_seconds)
    try:
        yield both
    finally:
        await both.peer.close()
        await both.far_side.close()
    # aiortc's own tasks need a few rounds to end.
    for _ in range(20):
        await asyncio.sleep(0)
    left = [task for task in asyncio.all_tasks() - before if "channel_recorder" in repr(task)]
    assert left == []


def decode(frames: list[EncodedFrame]) -> list[np.ndarray]:
    """Pictures as luma planes, sound as samples of one channel."""
    names = {Codec.OPUS: "libopus", Codec.VP8: "vp8", Codec.H264: "h264"}
    decoder = av.CodecContext.create(names[frames[0].codec], "r")
    assert isinstance(decoder, av.AudioCodecContext | av.VideoCodecContext)
    if isinstance(decoder, av.AudioCodecContext):
        decoder.sample_rate, decoder.layout = SAMPLE_RATE_HZ, "stereo"
    decoded = [out for frame in frames for out in decoder.decode(av.Packet(frame.data))]
    return [out.to_ndarray()[: out.height] if isinstance(out, VideoFrame) else out.to_ndarray() for out in decoded]
