"""The media loop's end of a track: puts every frame on recording time and hands it to the recorder."""

from __future__ import annotations

from collections.abc import Callable

from channel_recorder.codecs.opus import LOOK_AHEAD_SECONDS
from channel_recorder.model import EncodedFrame, MediaKind
from channel_recorder.recording.contract import TrackSink
from channel_recorder.timeline import Timeline

HELD_FRAMES_LIMIT = 250
"""Sound and pictures of some 3 s: media may come before the channel has told whose it is."""

_CLOCK_RATES_HZ = {MediaKind.AUDIO: 48_000, MediaKind.VIDEO: 90_000}


class TrackPipe:
    """A `TrackListener`. Frames are held until `open` or `discard` says what becomes of them."""

    __slots__ = (
        "_held",
        "_locate",
        "_on_first_frame",
        "_report",
        "_restart",
        "_sink",
        "_told_first",
        "_track",
        "_write",
        "_zero_seconds",
        "bytes",
        "frames",
        "kind",
        "lost_packets",
        "recorded_bytes",
    )

    def __init__(self, kind: MediaKind, timeline: Timeline, sender: str) -> None:
        track = timeline.track(_CLOCK_RATES_HZ[kind], sender)
        self.kind = kind
        self.frames = 0
        self.bytes = 0
        self.recorded_bytes = 0
        self.lost_packets = 0
        self._track = track
        self._locate = track.locate
        self._report = track.report
        self._restart = track.restart
        self._held: list[EncodedFrame] = []
        self._sink: TrackSink | None = None
        self._write: Callable[[EncodedFrame], object] = self._hold
        self._on_first_frame: Callable[[EncodedFrame], None] = _ignore
        self._told_first = False
        self._zero_seconds = 0.0

    @property
    def is_open(self) -> bool:
        return self._sink is not None

    # TrackListener, called straight from the datagram

    def on_frame(self, frame: EncodedFrame) -> None:
        self.frames += 1
        self.bytes += len(frame.data)
        self.lost_packets += frame.lost_packets
        self._write(frame)

    def on_sender_report(self, timestamp: int, ntp_seconds: float, arrival_seconds: float) -> None:
        self._report(timestamp, ntp_seconds, arrival_seconds)

    def on_restart(self) -> None:
        self._restart()

    # Called by the recording

    def open(self, sink: TrackSink, zero_seconds: float, on_first_frame: Callable[[EncodedFrame], None]) -> None:
        """Record from now on, beginning with what was held. `zero_seconds`: the timeline's time at recording time 0.

        `on_first_frame` is called once in the life of the pipe, with the first key frame or packet of sound.
        """
        self._sink = sink
        # Decoders put out sound so much later than where its packets lie: pictures wait for it.
        self._zero_seconds = zero_seconds - (LOOK_AHEAD_SECONDS if self.kind is MediaKind.VIDEO else 0.0)
        self._on_first_frame = on_first_frame
        self._write = self._record if self._told_first else self._first
        held, self._held = self._held, []
        for frame in held:
            self._write(frame)

    def discard(self) -> None:
        """Let what comes go by: paused, or excluded."""
        self._sink = None
        self._held = []
        self._write = self._drop

    def _hold(self, frame: EncodedFrame) -> None:
        if len(self._held) >= HELD_FRAMES_LIMIT:
            self._held.clear()
        # Pictures after a hole would smear: what is held begins with a key frame.
        if self._held or frame.key_frame:
            self._held.append(frame)

    def _drop(self, frame: EncodedFrame) -> None:
        pass

    def _first(self, frame: EncodedFrame) -> None:
        if frame.key_frame:
            self._told_first = True
            self._write = self._record
            self._on_first_frame(frame)
        self._record(frame)

    def _record(self, frame: EncodedFrame) -> None:
        seconds = self._locate(frame.timestamp, frame.arrival_seconds) - self._zero_seconds
        # What was captured just before the recording began belongs to its beginning.
        frame.time_seconds = seconds if seconds > 0.0 else 0.0
        frame.error_seconds = self._track.error_seconds
        self.recorded_bytes += len(frame.data)
        self._sink.write(frame)  # pyright: ignore[reportOptionalMemberAccess] - set whenever this is installed


def _ignore(frame: EncodedFrame) -> None:
    del frame
