"""What receiver reports say of one source (RFC 3550 section 6.4.1 and appendix A.3)."""

from __future__ import annotations

from channel_recorder.rtc.wire.rtcp import ReportBlock, SenderReport

_DELAY_UNITS_PER_SECOND = 65536


class ReceptionReport:
    """Turns running totals into report blocks, one per interval."""

    __slots__ = (
        "_arrival_seconds",
        "_expected_before",
        "_last_report",
        "_received_before",
        "expected_packets",
        "first_sequence",
        "fraction_lost",
    )

    def __init__(self, first_sequence: int) -> None:
        self.first_sequence = first_sequence
        self.fraction_lost = 0
        """Of 256, in the last interval."""
        self.expected_packets = 0
        """In the last interval."""
        self._expected_before = 0
        self._received_before = 0
        self._last_report = 0
        self._arrival_seconds = 0.0

    def sender_report(self, report: SenderReport, now_seconds: float) -> None:
        self._last_report = report.ntp >> 16 & 0xFFFFFFFF
        self._arrival_seconds = now_seconds

    def has_news(self, received: int) -> bool:
        return received != self._received_before

    def block(self, ssrc: int, highest: int, received: int, jitter_ticks: float, now_seconds: float) -> ReportBlock:
        """`highest`: unwrapped sequence number; `received`: packets of this SSRC, duplicates left out."""
        expected = highest - self.first_sequence + 1
        expected_now = expected - self._expected_before
        lost_now = expected_now - (received - self._received_before)
        self._expected_before, self._received_before = expected, received
        self.expected_packets = max(expected_now, 0)
        self.fraction_lost = min(255, (lost_now << 8) // expected_now) if expected_now > 0 and lost_now > 0 else 0
        delay_seconds = now_seconds - self._arrival_seconds if self._last_report else 0.0
        return ReportBlock(
            ssrc=ssrc,
            fraction_lost=self.fraction_lost,
            packets_lost=expected - received,
            highest_sequence=highest & 0xFFFFFFFF,
            jitter_ticks=min(int(jitter_ticks), 0xFFFFFFFF),
            last_report=self._last_report,
            delay_since_last_report=min(int(delay_seconds * _DELAY_UNITS_PER_SECOND), 0xFFFFFFFF),
        )
