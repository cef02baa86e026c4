"""Packets of sound in sequence to frames: every packet is one (RFC 7587 section 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from channel_recorder.model import Codec, EncodedFrame
from channel_recorder.rtc.description import TrackListener
from channel_recorder.rtc.receive.statistics import Counters, Drop
from channel_recorder.rtc.receive.unwrap import unwrap32


class SoundFrames:
    """One SSRC of an audio m-line."""

    __slots__ = ("_codecs", "_count_drop", "_counters", "_lost", "_on_frame", "rotation", "timestamp")

    def __init__(
        self,
        codecs: Mapping[int, Codec],
        listener: TrackListener,
        counters: Counters,
        first_timestamp: int,
        count_drop: Callable[[Drop], None],
    ) -> None:
        self._codecs = codecs
        self._on_frame = listener.on_frame
        self._counters = counters
        self._count_drop = count_drop
        self._lost = 0
        self.timestamp = first_timestamp
        """Of the last frame, unwrapped."""
        self.rotation = 0

    def add(self, payload: bytes, second: int, timestamp: int, arrival_seconds: float) -> None:
        """The next packet in sequence. `second`: second byte of its header. Hot path."""
        codec = self._codecs.get(second & 0x7F)
        if codec is None:
            self._count_drop(Drop.UNKNOWN_PAYLOAD_TYPE)
            return
        if not payload:  # padding only
            return
        near = self.timestamp
        near += ((timestamp - near + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
        self.timestamp = near
        self._counters.frames += 1
        lost = self._lost
        if lost:
            self._lost = 0
        self._on_frame(EncodedFrame(codec, payload, near, arrival_seconds, True, 0, 0, 0, lost))

    def lost(self, count: int, now_seconds: float) -> None:
        """So many packets before the next one are given up."""
        self._lost += count

    def unwrap(self, timestamp: int) -> int:
        return unwrap32(timestamp, self.timestamp)
