"""Packets of video in sequence to whole frames whose references are there.

A frame is the packets of one time stamp up to the marker. After a loss nothing is delivered before the next
complete key frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from channel_recorder.codecs.blank import is_blank
from channel_recorder.codecs.info import FrameInfo
from channel_recorder.codecs.registry import INSPECTORS, frame_completer
from channel_recorder.errors import MalformedError
from channel_recorder.model import Codec, EncodedFrame
from channel_recorder.rtc.description import TrackListener
from channel_recorder.rtc.receive.depacketize import PayloadFormat
from channel_recorder.rtc.receive.depacketize.formats import FORMATS
from channel_recorder.rtc.receive.key_frames import KeyFrameRequests
from channel_recorder.rtc.receive.statistics import Counters, Drop
from channel_recorder.rtc.receive.unwrap import unwrap32
from channel_recorder.rtc.wire.rtp import MARKER

MAX_FRAME_PACKETS = 16_384
"""A picture larger than 16 MB is none."""
_NONE = -1


class PictureFrames:
    """One SSRC of a video m-line."""

    __slots__ = (
        "_arrival_seconds",
        "_ask",
        "_assemble",
        "_broken",
        "_certain",
        "_codec",
        "_codecs",
        "_complete",
        "_count_drop",
        "_counters",
        "_first_payload",
        "_follows",
        "_inspect",
        "_key_frames",
        "_lost",
        "_marked",
        "_needs_key_frame",
        "_on_frame",
        "_padding_perhaps",
        "_payloads",
        "_plain",
        "_skipped_timestamp",
        "_starts_frame",
        "_wire_timestamp",
        "rotation",
        "timestamp",
    )

    def __init__(
        self,
        codecs: Mapping[int, Codec],
        listener: TrackListener,
        counters: Counters,
        first_timestamp: int,
        count_drop: Callable[[Drop], None],
        key_frames: KeyFrameRequests,
        ask: Callable[[float], None],
    ) -> None:
        """`ask(now_seconds)`: a key frame is needed."""
        self._codecs = codecs
        self._on_frame = listener.on_frame
        self._counters = counters
        self._count_drop = count_drop
        self._key_frames = key_frames
        self._ask = ask
        self.timestamp = first_timestamp
        """Of the last frame, unwrapped."""
        self.rotation = 0
        """Degrees, for the frames from now on."""
        self._codec: Codec | None = None
        self._follows: Callable[[bytes, bytes], bool] | None = None
        self._plain = self._marked = _NONE
        self._payloads: list[bytes] = []
        self._wire_timestamp = _NONE
        self._arrival_seconds = 0.0
        self._lost = 0
        self._needs_key_frame = True
        self._broken = True
        """The beginning of the next frame is not known yet: a loss, or the stream's first packet."""
        self._certain = False
        """The frame in progress has its beginning for sure, not by the looks of its first packet."""
        self._skipped_timestamp = _NONE
        self._first_payload = b""
        """Of the last frame."""
        self._padding_perhaps = 0
        """So many packets are lost between two frames: if they were padding, nothing is missing."""

    def add(self, payload: bytes, second: int, timestamp: int, arrival_seconds: float) -> None:
        """The next packet in sequence. `second`: second byte of its header. Hot path."""
        payloads = self._payloads
        if payloads and timestamp != self._wire_timestamp:  # no marker, but nothing is missing in between
            self._finish(self._arrival_seconds)
        if (second != self._marked and second != self._plain) or not payload:
            self._unusual(payload, second, timestamp, arrival_seconds)
            return
        if self._broken:
            if self._padding_perhaps:
                self._look_for_missing_pictures(payload, arrival_seconds)
            if not self._begins(payload, second, timestamp):
                return
        payloads.append(payload)
        self._wire_timestamp = timestamp
        if second == self._marked:
            self._finish(arrival_seconds)
        else:
            self._arrival_seconds = arrival_seconds
            if len(payloads) > MAX_FRAME_PACKETS:
                self._count_drop(Drop.MALFORMED_FRAME)
                self.lost(0, arrival_seconds)

    def lost(self, count: int, now_seconds: float) -> None:
        """So many packets before the next one are given up (0: unknown how many)."""
        self._lost += count
        if count and self._is_between_pictures():
            self._broken = True
            self._padding_perhaps += count
            return
        if self._payloads:
            self._payloads.clear()
            self._counters.dropped_frames += 1
            self._skipped_timestamp = self._wire_timestamp
        self._broken = True
        self._need_key_frame(now_seconds)

    def _is_between_pictures(self) -> bool:
        """All before is whole, and the next one will tell whether it follows."""
        whole = not self._payloads and (not self._broken or self._padding_perhaps > 0)
        return whole and not self._needs_key_frame and self._follows is not None

    def _look_for_missing_pictures(self, payload: bytes, now_seconds: float) -> None:
        """Servers probe the bandwidth with packets of padding, and can't repeat them."""
        assert self._follows is not None
        padding, self._padding_perhaps = self._padding_perhaps, 0
        if self._starts_frame(payload) and self._follows(self._first_payload, payload):
            self._lost -= padding
        else:
            self._need_key_frame(now_seconds)

    def unwrap(self, timestamp: int) -> int:
        return unwrap32(timestamp, self.timestamp)

    def _finish(self, arrival_seconds: float) -> None:
        """All packets of a frame are there."""
        payloads = self._payloads
        self._first_payload = payloads[0]
        try:
            data = self._assemble(payloads)
        except MalformedError:
            payloads.clear()
            self._certain = True
            self._count_drop(Drop.MALFORMED_FRAME)
            self._drop(arrival_seconds)
            return
        payloads.clear()
        if not data:
            self._stays_sealed(arrival_seconds)
            return
        info = self._inspect(data)
        if info[0] or self._needs_key_frame:
            self._finish_special(data, info, arrival_seconds)
            return
        complete = self._complete
        if complete is not None:
            data = complete(data)
            if not data:
                return
        self._deliver(data, info, arrival_seconds)

    def _finish_special(self, data: bytes, info: FrameInfo, arrival_seconds: float) -> None:
        """Key frames, and whatever comes while one is needed."""
        certain, self._certain = self._certain, True
        if info.key_frame and self._codec and is_blank(self._codec, info.width, info.height):
            self._blank()
            return
        bare = not info.width
        if self._complete is not None:
            completed = self._complete(data)
            if not completed:
                return
            if completed is not data:
                data, info = completed, self._inspect(completed)
        # Behind a loss a key frame without its parameter sets may have lost them: others may be meant than are known.
        if not info.key_frame or not info.width or (bare and not certain):
            self._drop(arrival_seconds)
            return
        self._needs_key_frame = False
        self._key_frames.arrived()
        self._counters.key_frames += 1
        self._deliver(data, info, arrival_seconds)

    def _deliver(self, data: bytes, info: FrameInfo, arrival_seconds: float) -> None:
        near = self.timestamp
        near += ((self._wire_timestamp - near + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
        self.timestamp = near
        self._counters.frames += 1
        lost = self._lost
        if lost:
            self._lost = 0
        key_frame, width, height = info
        codec = self._codec
        self._on_frame(
            EncodedFrame(codec, data, near, arrival_seconds, key_frame, width, height, self.rotation, lost)  # pyright: ignore[reportArgumentType]
        )

    def _drop(self, now_seconds: float) -> None:
        self._counters.dropped_frames += 1
        self._need_key_frame(now_seconds)

    def _need_key_frame(self, now_seconds: float) -> None:
        self._needs_key_frame = True
        self._ask(now_seconds)

    def _blank(self) -> None:
        """The track was muted or closed: no reason to ask before something comes that cannot be decoded."""
        self._counters.blank_frames += 1
        self._needs_key_frame = True
        self._key_frames.arrived()

    def _begins(self, payload: bytes, second: int, timestamp: int) -> bool:
        """Behind a loss: does a frame begin with this packet? The rest of an incomplete frame is left out."""
        if timestamp != self._skipped_timestamp:
            if self._starts_frame(payload):
                self._broken = False
                self._certain = False
                return True
            self._skipped_timestamp = timestamp
            self._counters.dropped_frames += 1
        if second >= MARKER:
            self._broken = False
            self._certain = True
            self._skipped_timestamp = _NONE
        return False

    def _unusual(self, payload: bytes, second: int, timestamp: int, arrival_seconds: float) -> None:
        """Another payload type, or padding only."""
        if not payload:
            if second == self._marked and self._payloads:
                self._finish(arrival_seconds)
            return
        codec = self._codecs.get(second & 0x7F)
        if codec is None:
            self._count_drop(Drop.UNKNOWN_PAYLOAD_TYPE)
            return
        self._switch(second & 0x7F, codec)
        self.add(payload, second, timestamp, arrival_seconds)

    def _switch(self, payload_type: int, codec: Codec) -> None:
        self._plain = payload_type
        self._marked = payload_type | MARKER
        if codec is self._codec:
            return
        self._codec = codec
        self._payloads.clear()
        self._padding_perhaps = 0
        self._use_format(codec, FORMATS[codec])
        self._inspect = INSPECTORS[codec]
        completer = frame_completer(codec)
        self._complete = completer.complete if completer else None
        self._needs_key_frame = True

    def _use_format(self, codec: Codec, payload_format: PayloadFormat) -> None:
        del codec
        self._starts_frame = payload_format.starts_frame
        self._assemble = payload_format.assemble
        self._follows = payload_format.follows

    def _stays_sealed(self, arrival_seconds: float) -> None:
        """Nothing was assembled, which happens to encrypted frames only: see `sealed`."""
