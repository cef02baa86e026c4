"""Sound without holes: packets that come and do not come, made one contiguous stream.

Players play the packet after a hole at once, so a mute would put all later sound ahead of the picture.
Every sample from a file's first to its last therefore lies in a packet: a real one or a filler.
"""

from __future__ import annotations

from typing import Protocol

from channel_recorder.codecs import opus

SAMPLE_RATE_HZ = opus.CLOCK_RATE_HZ
SILENCE_10MS = b"\xf0\xff\xfe"
"""10 ms of nothing, mono, CELT fullband."""

_SILENCE_SAMPLES = opus.SILENCE_20MS_TICKS
_SHORT_SILENCE_SAMPLES = _SILENCE_SAMPLES // 2
_CONCEALED_PACKETS = 3
"""Longest hole that the decoder is asked to conceal: libopus fades to silence by then."""


class PacketWriter(Protocol):
    def __call__(self, data: bytes, position_samples: int, samples: int) -> None: ...


class SoundTimeline:
    """Puts Opus packets one after another, at most 20 ms from where they belong. Counted in samples of 48 kHz.

    A packet within 20 ms of the end so far follows it directly, so jitter and drift move nothing. Ahead of
    that, fillers come first: for up to three packets the decoder conceals, else silence. A packet whose
    place is filled already is dropped: a doubled one, one that is late, or one that a fast sender has
    too many after some minutes.
    """

    __slots__ = (
        "_heard_end",
        "_previous",
        "_previous_timestamp",
        "_put",
        "dropped_packets",
        "end_samples",
        "filled_packets",
        "is_flowing",
        "late_samples",
        "packets",
    )

    def __init__(self, put: PacketWriter) -> None:
        self._put = put
        self.end_samples = 0
        """Where the next packet goes."""
        self.packets = 0
        """Real ones written."""
        self.filled_packets = 0
        self.dropped_packets = 0
        """Came when their place was filled; doubled ones not counted."""
        self.late_samples = 0
        """How much later than where it belongs the last real packet lies: less than 20 ms, either way."""
        self.is_flowing = False
        """Real packets come, if perhaps too late: no silence was needed since the last."""
        self._heard_end = 0
        self._previous = b""
        self._previous_timestamp: int | None = None

    def write(self, data: bytes, position_samples: int, timestamp: int) -> int:
        """Write a packet that belongs at `position_samples`. Hot path.

        `timestamp` is its RTP time stamp, which tells doubled packets. Returns the samples of fillers
        between the real packet before and this one, -1 if this one was dropped.
        Raises `MalformedError` for a packet that is no Opus.
        """
        samples = opus.duration_ticks(data)
        self.is_flowing = True
        ahead = position_samples - self.end_samples
        if ahead >= _SILENCE_SAMPLES:
            self._fill_hole(ahead, samples)
        elif timestamp == self._previous_timestamp:
            return -1
        elif ahead <= -_SILENCE_SAMPLES and ahead <= -samples // 2:
            self.dropped_packets += 1
            return -1
        start = self.end_samples
        self._put(data, start, samples)
        self.end_samples = start + samples
        self.late_samples = start - position_samples
        hole = start - self._heard_end
        self._heard_end = self.end_samples
        self._previous = data
        self._previous_timestamp = timestamp
        self.packets += 1
        return hole

    def fill_to(self, position_samples: int) -> None:
        """Silence as far as whole fillers reach."""
        while self.end_samples + _SILENCE_SAMPLES <= position_samples:
            self.is_flowing = False
            self._fill(opus.SILENCE_20MS, _SILENCE_SAMPLES)

    def finish(self, position_samples: int) -> None:
        """Silence to the end of the file, to within 10 ms."""
        self.fill_to(position_samples)
        if self.end_samples + _SHORT_SILENCE_SAMPLES <= position_samples:
            self._fill(SILENCE_10MS, _SHORT_SILENCE_SAMPLES)

    def _fill_hole(self, hole: int, samples: int) -> None:
        """`samples`: the length of the packet after the hole, and so most likely of those missing."""
        if self._heard_end == self.end_samples and hole <= (_CONCEALED_PACKETS + 0.5) * samples:
            filler = opus.conceal(self._previous) if self._previous else opus.SILENCE_20MS
            length = opus.duration_ticks(filler)
            count = round(hole / length)
            if abs(hole - count * length) < _SILENCE_SAMPLES:
                for _ in range(count):
                    self._fill(filler, length)
                return
        self.finish(self.end_samples + hole)
        self.is_flowing = True

    def _fill(self, data: bytes, samples: int) -> None:
        self._put(data, self.end_samples, samples)
        self.end_samples += samples
        self.filled_packets += 1
