"""What of one SSRC came and what did not: duplicates, packets to ask for again, reports to the sender."""

from __future__ import annotations

from channel_recorder.rtc.receive.nack import MissingPackets, RoundTrip
from channel_recorder.rtc.receive.reports import ReceptionReport
from channel_recorder.rtc.wire.rtcp import ReportBlock, SenderReport

WINDOW_SECONDS = 0.5
"""So long a packet is asked for: subscribers wait hardly longer."""
MAX_ABSENT = 1024
MAX_FRAME_SECONDS = 2.0
"""A longer pause says nothing of the frame rate."""


class Reception:
    """Numbers are not wrapped. What is in order needs none of this but `begin_frame`."""

    __slots__ = (
        "_absent",
        "_base",
        "_clock_rate_hz",
        "_jitter_ticks",
        "_transit",
        "duplicates",
        "frame_seconds",
        "interval_seconds",
        "missing",
        "recovered",
        "report",
    )

    def __init__(self, before: range, clock_rate_hz: int, asks: bool, round_trip: RoundTrip) -> None:
        """`before`: packets that the first may have overtaken. `asks`: NACK was negotiated."""
        self.report = ReceptionReport(before.stop & 0xFFFF)
        self.missing = MissingPackets(WINDOW_SECONDS, asks, round_trip)
        self.duplicates = 0
        """Not those of the RTX stream."""
        self.recovered = 0
        self.frame_seconds = 0.0
        """When the newest frame began to arrive."""
        self.interval_seconds = 0.0
        """Between frames, smoothed."""
        self._base = before.stop & ~0xFFFF
        self._clock_rate_hz = clock_rate_hz
        self._absent = dict[int, None].fromkeys(before)
        """Numbers that did not come, those no longer asked for too."""
        self._jitter_ticks = 0.0
        self._transit: float | None = None

    def begin_frame(self, timestamp: int, now_seconds: float) -> None:
        """The first packet of another time stamp (RFC 3550 appendix A.8)."""
        transit = now_seconds * self._clock_rate_hz - timestamp
        if self._transit is None:
            self._transit = transit
        difference = abs(transit - self._transit)
        self._transit = transit
        if difference < 1e9:  # else the time stamp wrapped
            self._jitter_ticks += (difference - self._jitter_ticks) / 16
        if self.frame_seconds:
            elapsed_seconds = min(now_seconds - self.frame_seconds, MAX_FRAME_SECONDS)
            self.interval_seconds += (elapsed_seconds - self.interval_seconds) / 8
        self.frame_seconds = now_seconds

    def skip(self, numbers: range, now_seconds: float, is_wanted: bool) -> None:
        """A gap. Nobody is asked for what nobody wants."""
        for number in numbers[-MAX_ABSENT:]:
            self._absent[number] = None
        while len(self._absent) > MAX_ABSENT:
            del self._absent[next(iter(self._absent))]
        if is_wanted:
            self.missing.add(numbers, now_seconds)

    def fill(self, number: int, now_seconds: float, is_repeat: bool) -> bool:
        """A packet others overtook. False if it was there already. `is_repeat`: through RTX."""
        if number not in self._absent:
            self.duplicates += not is_repeat
            return False
        del self._absent[number]
        self.recovered += self.missing.received(number, now_seconds)
        return True

    def sender_report(self, report: SenderReport, now_seconds: float) -> None:
        self.report.sender_report(report, now_seconds)

    def block(self, ssrc: int, highest: int, packets: int, now_seconds: float) -> ReportBlock | None:
        """`packets`: of this SSRC, duplicates included. None if nothing came since the last."""
        received = packets - self.duplicates
        if not self.report.has_news(received):
            return None
        return self.report.block(ssrc, highest - self._base, received, self._jitter_ticks, now_seconds)
