"""Connections past their handshakes, and what is behind them: the path of a packet, whole or cut off early."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from bench.media import KEYS, Stream
from bench.recordings import open_recording, publish
from channel_recorder.handler import LeavePath
from channel_recorder.model import EncodedFrame, MediaKind, Source, User
from channel_recorder.recording.contract import RecordedTrack, TrackSink
from channel_recorder.recording.recording import Recording
from channel_recorder.recording.track_pipe import TrackPipe
from channel_recorder.recording.writer import QueuedRecorder, WriterThread
from channel_recorder.rtc.description import MediaDescription, TrackListener
from channel_recorder.rtc.peer.connection import SubscriberPeer
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.peer.ice import IceHandlers, _Protocol
from channel_recorder.rtc.peer.srtp import SrtpSessions
from channel_recorder.timeline import Timeline

START = 1000.0
USER = User(uid=7, account="7")


class Stage(StrEnum):
    """Where the path ends. Each includes those before."""

    NOTHING = "nothing"
    SRTP = "srtp"
    FRAME = "frame"
    QUEUE = "queue"
    FILE = "file"


class Virtual:
    """The clock of a run."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Paths:
    """So many connections, each receiving the same user. To be made on a running loop."""

    def __init__(
        self, root: Path, streams: Sequence[Stream], stage: Stage, count: int, clock: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._root = root
        self._streams = streams
        self._writer = WriterThread()
        self._recordings: list[Recording] = []
        self._queues: list[QueuedRecorder] = []
        self._peers: list[SubscriberPeer] = []
        self._nothing = 0
        self.protocols = [self._protocol(index, stage) for index in range(count)]

    @property
    def packets(self) -> int:
        """RTP packets that came through."""
        return self._nothing + sum(peer.statistics(s.mid).packets for peer in self._peers for s in self._streams)

    def end_batch(self) -> None:
        """A tick of the media loop, and the writer's batch that follows."""
        now = self._clock()
        for recording in self._recordings:
            recording.advance(now)
        for queue in self._queues[-1:]:
            queue.flush().result()

    async def close(self) -> None:
        for recording in self._recordings:
            await recording.finish(LeavePath.CLIENT_INITIATED, self._clock())
        for peer in self._peers:
            await peer.close()
        self._writer.stop()

    def _protocol(self, index: int, stage: Stage) -> _Protocol:
        if stage is Stage.NOTHING:
            return _protocol(self._count)
        peer = _connect(self._tracks(index, stage), self._streams, self._clock)
        self._peers.append(peer)
        if stage is Stage.SRTP:
            peer._transport._secure._on_rtp = _counting(peer)
        return _protocol(peer._transport.receive_media)

    def _count(self, packet: bytes) -> None:
        self._nothing += 1

    def _tracks(self, index: int, stage: Stage) -> dict[str, TrackListener]:
        """Where the frames of a connection go, by mid."""
        if stage is Stage.FILE:
            return self._recorded(index)
        if stage is Stage.QUEUE:
            return self._queued()
        return {stream.mid: _NoTrack() for stream in self._streams}

    def _recorded(self, index: int) -> dict[str, TrackListener]:
        now = self._clock()
        recording = open_recording(self._root, self._writer, now, f"bench{index}")
        self._recordings.append(recording)
        self._queues.append(recording._archive.recorder)
        publish(recording, USER.uid, self._streams, now)
        return {
            stream.mid: recording.begin_media(stream.description().track_id, stream.codec.kind, "PA_7", now)
            for stream in self._streams
        }

    def _queued(self) -> dict[str, TrackListener]:
        queue = self._writer.open(cast("Any", _NoRecorder()), on_error=_fail)
        self._queues.append(queue)
        timeline = Timeline(self._clock())
        tracks: dict[str, TrackListener] = {}
        for stream in self._streams:
            kind = stream.codec.kind
            source = Source.MICROPHONE if kind is MediaKind.AUDIO else Source.CAMERA
            sink = queue.add_track(RecordedTrack(sid=stream.mid, user=USER, kind=kind, source=source), 0.0)
            pipe = tracks[stream.mid] = TrackPipe(kind, timeline, "PA_7")
            pipe.open(sink, 0.0, lambda frame: None)
        return tracks


def _connect(
    tracks: Mapping[str, TrackListener], streams: Sequence[Stream], now: Callable[[], float]
) -> SubscriberPeer:
    """A peer connection as it is after ICE and DTLS, receiving the streams."""
    peer = SubscriberPeer(listener=_Listener(tracks), now=now)
    peer._transport._secure._srtp = SrtpSessions(KEYS)
    peer._transport.state = PeerState.CONNECTED
    for stream in streams:
        peer._add(stream.description(), now())
    return peer


def _protocol(on_media: Callable[[bytes], None]) -> _Protocol:
    handlers = IceHandlers(
        on_media=on_media,
        on_dtls=_ignore,
        on_connected=lambda: None,
        on_failed=_ignore,
        on_candidate=_ignore,
    )
    return _Protocol(cast("Any", _NoIce()), handlers)


def _counting(peer: SubscriberPeer) -> Callable[[bytes], None]:
    """Decrypted packets are counted, no more."""
    counters = next(iter(peer._receiver._streams.values()))._counters

    def count(packet: bytes) -> None:
        counters.packets += 1

    return count


def _ignore(_: object) -> None:
    pass


def _fail(error: BaseException) -> None:
    raise error


class _Listener:
    """Of a connection."""

    def __init__(self, tracks: Mapping[str, TrackListener]) -> None:
        self._tracks = tracks

    def on_media_added(self, media: MediaDescription) -> TrackListener:
        return self._tracks[media.mid]

    def on_media_removed(self, media: MediaDescription) -> None: ...

    def on_state(self, state: PeerState, detail: str) -> None: ...

    def on_data(self, label: str, payload: bytes) -> None: ...

    def on_local_candidate(self, candidate: str, mid: str, m_line_index: int) -> None: ...


class _NoIce:
    """Another process's checks may find a port that is ours now."""

    def request_received(self, message: object, address: object, protocol: object) -> None: ...

    def data_received(self, data: bytes, component: int) -> None: ...

    def protocol_lost(self, protocol: object) -> None: ...


class _NoTrack:
    """Frames end here."""

    def on_frame(self, frame: EncodedFrame) -> None:
        pass

    def on_sender_report(self, timestamp: int, ntp_seconds: float, arrival_seconds: float) -> None: ...

    def on_restart(self) -> None: ...


class _NoRecorder:
    """The writer thread's queue ends here."""

    def add_track(self, track: RecordedTrack, at_seconds: float) -> TrackSink:
        return self

    def write(self, frame: EncodedFrame) -> None:
        pass

    def close(self, at_seconds: float) -> None:
        pass
