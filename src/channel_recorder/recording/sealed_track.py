"""A track that its publisher encrypted for the members of the channel: opened on its way, or kept as it came."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from channel_recorder.e2ee.frames import PATIENCE_FRAMES, FrameOpener
from channel_recorder.model import Codec, EncodedFrame, MediaKind
from channel_recorder.recording.contract import RecordedTrack, TrackSink
from channel_recorder.recording.sealed_file import pack_units
from channel_recorder.recording.track_pipe import TrackPipe
from channel_recorder.timeline import Timeline

OpenFile = Callable[[float], TrackSink]


class SealedTrack:
    """Opens the frames of one track and counts those that stay sealed."""

    __slots__ = (
        "_on_failing",
        "_open",
        "_told",
        "codec",
        "end_seconds",
        "key_indexes",
        "opener",
        "start_seconds",
        "track",
        "unopened_frames",
    )

    def __init__(self, track: RecordedTrack, opener: FrameOpener, on_failing: Callable[[SealedTrack], None]) -> None:
        """`on_failing` is called once, when no key opened anything for `PATIENCE_FRAMES` in a row.

        The first frames of a sender may come before it encrypts, or before its key is known here.
        """
        self.track = track
        self.opener = opener
        self.codec = ""
        self.unopened_frames = 0
        self.key_indexes: set[int] = set()
        """Of the frames that no key opened."""
        self.start_seconds = 0.0
        """Recording time of the first of them, and of the last."""
        self.end_seconds = 0.0
        self._on_failing = on_failing
        self._told = False

    def failed(self, frame: EncodedFrame) -> None:
        """No key opened it. Its time is set."""
        if not self.unopened_frames:
            self.start_seconds = frame.time_seconds
        self.codec = frame.codec.value
        self.end_seconds = frame.time_seconds
        self.unopened_frames += 1
        self.key_indexes.add(self.opener.key_index)
        if not self._told and self.opener.failures >= PATIENCE_FRAMES:
            self._told = True
            self._on_failing(self)


class SealedTrackPipe(TrackPipe):
    """An `UnsealingListener`: the pipe of an encrypted track."""

    __slots__ = ("_file", "_open_file", "_sealed", "_sealed_seconds")

    def __init__(
        self, kind: MediaKind, timeline: Timeline, sender: str, *, sealed: SealedTrack, open_file: OpenFile | None
    ) -> None:
        """`open_file(at_seconds)`: where frames go that stay sealed; None: nowhere."""
        super().__init__(kind, timeline, sender)
        self._sealed = sealed
        self._open_file = open_file
        self._file: TrackSink | None = None
        self._sealed_seconds = 0.0

    def unseal(self, codec: Codec, unit: bytes) -> bytes:
        """Hot path."""
        opener = self._sealed.opener
        return b"" if opener.is_injected(unit) else opener.open(codec, unit)

    def on_sealed_frame(self, frame: EncodedFrame, units: Sequence[bytes]) -> None:
        if self._sealed.opener.is_injected(units[-1]):
            return
        self.frames += 1
        self.bytes += sum(map(len, units))
        self.lost_packets += frame.lost_packets
        if not self.is_open:
            return
        seconds = self._locate(frame.timestamp, frame.arrival_seconds) - self._zero_seconds
        frame.time_seconds = self._sealed_seconds = max(0.0, seconds)
        self._sealed.failed(frame)
        if self._open_file is not None:
            self._keep(frame, units, self._open_file)

    def discard(self) -> None:
        super().discard()
        if self._file is not None:
            self._file.close(self._sealed_seconds)
            self._file = None

    def _keep(self, frame: EncodedFrame, units: Sequence[bytes], open_file: OpenFile) -> None:
        if self._file is None:
            self._file = open_file(frame.time_seconds)
        frame.data = pack_units(units)
        self.recorded_bytes += len(frame.data)
        self._file.write(frame)
