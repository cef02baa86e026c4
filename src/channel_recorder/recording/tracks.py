"""Every published track and where its frames go: to a sink, or nowhere.

A track is recorded while it is wanted and a span of the recording is open. It is known by its announcement,
its media by the connection; either may come first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from channel_recorder.model import EncodedFrame, MediaKind
from channel_recorder.recording.contract import RecordedTrack, Recorder, TrackSink
from channel_recorder.recording.frozen import FrozenWatch, Remedy
from channel_recorder.recording.track_pipe import TrackPipe
from channel_recorder.timeline import Timeline

MakePipe = Callable[[MediaKind, Timeline, str], TrackPipe]


class Uplink(Protocol):
    """What a recording asks of the connection it has at present."""

    def subscribe(self, track_sids: Iterable[str], wanted: bool) -> None: ...

    def choose_layer(self, track_sid: str, *, low: bool) -> None: ...

    def request_key_frame(self, track_sid: str) -> None: ...


class NoUplink:
    """Between two connections."""

    def subscribe(self, track_sids: Iterable[str], wanted: bool) -> None:
        pass

    def choose_layer(self, track_sid: str, *, low: bool) -> None:
        pass

    def request_key_frame(self, track_sid: str) -> None:
        pass


@dataclass(slots=True)
class Reception:
    """What was received of all tracks so far."""

    audio_frames: int = 0
    video_frames: int = 0
    audio_bytes: int = 0
    video_bytes: int = 0
    recorded_bytes: int = 0
    lost_packets: int = 0

    def add(self, pipe: TrackPipe) -> None:
        if pipe.kind is MediaKind.AUDIO:
            self.audio_frames += pipe.frames
            self.audio_bytes += pipe.bytes
        else:
            self.video_frames += pipe.frames
            self.video_bytes += pipe.bytes
        self.recorded_bytes += pipe.recorded_bytes
        self.lost_packets += pipe.lost_packets


@dataclass(slots=True)
class _Entry:
    """A track from its announcement to its end."""

    track: RecordedTrack
    wanted: bool
    subscribed: bool = False
    sink: TrackSink | None = None
    watch: FrozenWatch = field(default_factory=FrozenWatch)


class Tracks:
    """All tracks of one recording."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        timeline: Timeline,
        low_layer: bool,
        on_first_frame: Callable[[RecordedTrack, EncodedFrame], None],
    ) -> None:
        self.uplink: Uplink = NoUplink()
        self._recorder = recorder
        self._timeline = timeline
        self._low_layer = low_layer
        self._on_first_frame = on_first_frame
        self._entries: dict[str, _Entry] = {}
        self._pipes: dict[str, TrackPipe] = {}
        self._ended = Reception()
        self._zero_seconds: float | None = None
        """The timeline's time at recording time zero; None: no span is open."""

    # Spans

    def begin_span(self, zero_seconds: float, at_seconds: float) -> None:
        """Every wanted track is recorded from now on. Pictures begin with the key frame asked for here."""
        self._zero_seconds = zero_seconds
        for sid, entry in self._entries.items():
            self._settle(sid, at_seconds)
            if entry.track.kind is MediaKind.VIDEO and sid in self._pipes:
                self.uplink.request_key_frame(sid)

    def end_span(self, at_seconds: float) -> None:
        self._zero_seconds = None
        for sid in self._entries:
            self._settle(sid, at_seconds)

    # Announcements

    def publish(self, track: RecordedTrack, wanted: bool, at_seconds: float) -> None:
        self._entries[track.sid] = _Entry(track, wanted)
        self._settle(track.sid, at_seconds)

    def unpublish(self, sid: str, at_seconds: float) -> None:
        entry = self._entries.pop(sid, None)
        if entry is not None and entry.sink is not None:
            entry.sink.close(at_seconds)
        self.end_media(sid)

    def want(self, sid: str, wanted: bool, at_seconds: float) -> None:
        """The filter changed. What is excluded is dropped here at once, and then no longer sent."""
        entry = self._entries.get(sid)
        if entry is not None and entry.wanted != wanted:
            entry.wanted = wanted
            self._settle(sid, at_seconds)

    def mute(self, sid: str, muted: bool, at_seconds: float) -> None:
        entry = self._entries.get(sid)
        if entry is not None:
            entry.track = replace(entry.track, muted=muted)
            self._recorder.mute_track(sid, muted, at_seconds)

    # Media

    def begin_media(
        self, sid: str, kind: MediaKind, sender: str, at_seconds: float, make_pipe: MakePipe = TrackPipe
    ) -> TrackPipe:
        """The connection will deliver the track: here is where. `sender`: tracks of one sender are lip-synced."""
        entry = self._entries.get(sid)
        if entry is not None and entry.track.source.is_screen:
            # Sound can't be moved once it is written: a shared screen's must not depend on where the microphone's lies.
            sender += "/screen"
        pipe = self._pipes[sid] = make_pipe(kind, self._timeline, sender)
        self._settle(sid, at_seconds)
        return pipe

    def end_media(self, sid: str) -> None:
        pipe = self._pipes.pop(sid, None)
        if pipe is not None:
            pipe.discard()
            self._ended.add(pipe)

    def cut(self, at_seconds: float) -> None:
        """The connection is gone: its tracks end, and will be announced again under other sids."""
        self.uplink = NoUplink()
        for sid in list(self._entries):
            self.unpublish(sid, at_seconds)
        for sid in list(self._pipes):
            self.end_media(sid)
        self._timeline.new_connection()

    def advance(self, now_seconds: float) -> list[tuple[str, Remedy]]:
        """Time passed. Asks again for pictures that froze; returns the sids, and what was asked for."""
        asked: list[tuple[str, Remedy]] = []
        for sid, entry in self._entries.items():
            if entry.track.kind is MediaKind.VIDEO and (remedy := self._look_at(sid, entry, now_seconds)):
                asked.append((sid, remedy))
        return asked

    def _look_at(self, sid: str, entry: _Entry, now_seconds: float) -> Remedy | None:
        pipe = self._pipes.get(sid)
        if pipe is None or not pipe.is_open or entry.track.muted:
            entry.watch.rest()
            return None
        remedy = entry.watch.look(pipe.frames, now_seconds)
        if remedy is Remedy.KEY_FRAME:
            self.uplink.request_key_frame(sid)
        elif remedy is Remedy.SUBSCRIPTION:
            self.uplink.subscribe([sid], False)
            entry.subscribed = False
            self._settle_subscription(entry)
        return remedy

    def request_key_frames(self) -> None:
        for sid, pipe in self._pipes.items():
            if pipe.kind is MediaKind.VIDEO and pipe.is_open:
                self.uplink.request_key_frame(sid)

    def reception(self) -> Reception:
        total = replace(self._ended)
        for pipe in self._pipes.values():
            total.add(pipe)
        return total

    def _settle(self, sid: str, at_seconds: float) -> None:
        """Brings subscription, sink and pipe of a track to what they should be now."""
        entry = self._entries.get(sid)
        if entry is None:
            return
        self._settle_subscription(entry)
        pipe = self._pipes.get(sid)
        if entry.wanted and self._zero_seconds is not None:
            if entry.sink is None:
                entry.sink = self._recorder.add_track(entry.track, at_seconds)
            if pipe is not None and not pipe.is_open:
                track = entry.track
                pipe.open(entry.sink, self._zero_seconds, lambda frame: self._on_first_frame(track, frame))
        else:
            if pipe is not None:
                pipe.discard()
            if entry.sink is not None:
                entry.sink.close(at_seconds)
                entry.sink = None

    def _settle_subscription(self, entry: _Entry) -> None:
        if entry.subscribed == entry.wanted:
            return
        entry.subscribed = entry.wanted
        self.uplink.subscribe([entry.track.sid], entry.wanted)
        if entry.wanted and entry.track.kind is MediaKind.VIDEO and self._low_layer:
            self.uplink.choose_layer(entry.track.sid, low=True)
