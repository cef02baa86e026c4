"""Everything one far side is sent: outgoing tracks, their sender reports, and what the far side says of them.

Sans-IO, as the uplink: the driver gives RTCP in and sends what `rtcp_to_send` returns. RTP goes out through `send`
at the moment it comes in elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from math import inf

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.description import SendDescription
from channel_recorder.rtc.forward.down_track import DownTrack
from channel_recorder.rtc.receive.nack import RoundTrip
from channel_recorder.rtc.receive.statistics import Drop
from channel_recorder.rtc.wire import rtcp

FIRST_REPORTS = 5
FIRST_INTERVAL_SECONDS = 1.0
REPORT_INTERVAL_SECONDS = 3.0
START_ROUND_TRIP_SECONDS = 0.02
"""Before the first measurement a packet is repeated no faster than this."""
MAX_ROUND_TRIP_SECONDS = 10.0
"""A longer one is an error of the far side."""
_MAX_SSRCS = 31
_NTP_UNITS_PER_SECOND = 2**32
_SHORT_NTP_UNITS_PER_SECOND = 2**16


class Downlink:
    """All reports go out together: what a far side puts in step by them was told at the same instant."""

    def __init__(
        self, *, send: Callable[[bytes], None], cname: str, clock_offset_seconds: float, is_open: bool = True
    ) -> None:
        """`send`: takes RTP in clear, must neither block nor raise. `clock_offset_seconds`: from the monotonic clock
        to NTP time, the same for all connections of a server. `is_open`: False where packets would go nowhere yet,
        and key frames with them; then tracks begin at `open`."""
        self.drops: Counter[Drop] = Counter()
        """RTCP not used, by reason."""
        self.next_timer_seconds = inf
        """When `rtcp_to_send` must be called next; infinity: not before something is received or added."""
        self.on_wake: Callable[[], None] | None = None
        """`next_timer_seconds` came nearer because of what another connection received."""
        self._send = send
        self._cname = cname
        self._clock_offset_seconds = clock_offset_seconds
        self._tracks: dict[int, DownTrack] = {}
        """By SSRC."""
        self._waiting: dict[DownTrack, SendDescription] | None = None if is_open else {}
        self._round_trip = RoundTrip()
        self._left: list[int] = []
        """SSRCs to say good-bye to."""
        self._report_seconds = inf
        self._reports_sent = 0

    def open(self, now_seconds: float) -> None:
        """There is a path now: tracks that were added begin, with key frames."""
        waiting, self._waiting = self._waiting or {}, None
        for track, description in waiting.items():
            self.add_track(track, description, now_seconds)

    # In

    def add_track(self, track: DownTrack, description: SendDescription, now_seconds: float) -> None:
        """Send a track on an m-line, or go on as described anew."""
        if self._waiting is not None:
            self._waiting[track] = description
            return
        if track.ssrc is not None and self._tracks.get(track.ssrc) is track:
            del self._tracks[track.ssrc]
        self._tracks[description.ssrc] = track
        self._reports_sent = 0
        self._report_seconds = min(self._report_seconds, now_seconds + FIRST_INTERVAL_SECONDS)
        self._wake(self._report_seconds)
        track.bind(description, self._send, self._track_began)

    def remove_track(self, track: DownTrack, now_seconds: float) -> None:
        """Send nothing of it any more. Twice is once."""
        if self._waiting is not None:
            self._waiting.pop(track, None)
        ssrc = track.ssrc
        if ssrc is None or self._tracks.get(ssrc) is not track:
            return
        del self._tracks[ssrc]
        track.unbind()
        self._left.append(ssrc)
        self._wake(now_seconds)

    def receive_rtcp(self, packet: bytes, now_seconds: float) -> None:
        """One decrypted RTCP compound; raises nothing. What is about packets we receive is passed over."""
        try:
            packets = rtcp.parse(packet)
        except MalformedError:
            self.drops[Drop.MALFORMED_RTCP] += 1
            return
        for each in packets:
            if isinstance(each, rtcp.GenericNack):
                self._repeat(each, now_seconds)
            elif isinstance(each, rtcp.PictureLossIndication):
                self._request_key_frame(each.media_ssrc)
            elif isinstance(each, rtcp.FullIntraRequest):
                for ssrc, _ in each.requests:
                    self._request_key_frame(ssrc)
            elif isinstance(each, rtcp.ReceiverReport | rtcp.SenderReport):
                for block in each.reports:
                    self._receive_block(block, now_seconds)

    # Out

    def rtcp_to_send(self, now_seconds: float) -> list[bytes]:
        """Reports and good-byes that are due, as plain compounds."""
        packets = list(self._reports(now_seconds))
        left, self._left = self._left, []
        if left:
            packets += [
                rtcp.Goodbye(ssrcs=tuple(left[start : start + _MAX_SSRCS])) for start in range(0, len(left), _MAX_SSRCS)
            ]
        self.next_timer_seconds = self._report_seconds
        return list(rtcp.compounds(packets))

    def fraction_lost(self) -> float | None:
        """0 to 1, as the far side's last reports say; None before the first."""
        told = [track.received for track in self._tracks.values() if track.received is not None]
        expected = sum(each.expected for each in told)
        return sum(each.lost for each in told) / expected if expected else None

    @property
    def round_trip_seconds(self) -> float | None:
        """From a report to the far side's answer, smoothed; None until one came."""
        return self._round_trip.measured_seconds

    # Inside

    def _wake(self, at_seconds: float) -> None:
        self.next_timer_seconds = min(self.next_timer_seconds, at_seconds)

    def _track_began(self, track: DownTrack) -> None:
        """Its first packet just went out: tell its time at once, if that is known."""
        if track.awaits_report and self._report_seconds > 0.0:
            self._report_seconds = self.next_timer_seconds = 0.0
            if self.on_wake is not None:
                self.on_wake()

    def _repeat(self, nack: rtcp.GenericNack, now_seconds: float) -> None:
        track = self._tracks.get(nack.media_ssrc)
        if track is not None:
            measured = self._round_trip.measured_seconds
            interval_seconds = START_ROUND_TRIP_SECONDS if measured is None else measured
            track.repeat(nack.sequences, now_seconds, interval_seconds)

    def _request_key_frame(self, ssrc: int) -> None:
        track = self._tracks.get(ssrc)
        if track is not None:
            track.request_key_frame()

    def _receive_block(self, block: rtcp.ReportBlock, now_seconds: float) -> None:
        track = self._tracks.get(block.ssrc)
        if track is None:
            return
        track.receive_report(block)
        if block.last_report:
            now = self._ntp(now_seconds) >> 16
            units = now - block.last_report - block.delay_since_last_report & 0xFFFFFFFF
            seconds = units / _SHORT_NTP_UNITS_PER_SECOND
            if seconds < MAX_ROUND_TRIP_SECONDS:
                self._round_trip.sample(seconds)

    def _reports(self, now_seconds: float) -> Iterator[rtcp.RtcpPacket]:
        if now_seconds < self._report_seconds:
            return
        self._reports_sent += 1
        interval_seconds = FIRST_INTERVAL_SECONDS if self._reports_sent <= FIRST_REPORTS else REPORT_INTERVAL_SECONDS
        self._report_seconds = now_seconds + interval_seconds if self._tracks else inf
        ntp = self._ntp(now_seconds)
        for track in self._tracks.values():
            track.forget_old(now_seconds)
            report = track.sender_report(now_seconds, ntp)
            if report is not None:
                yield report
                yield rtcp.SourceDescription(cnames=((report.ssrc, self._cname),))

    def _ntp(self, now_seconds: float) -> int:
        """NTP time in units of 1/2**32 s."""
        return round((now_seconds + self._clock_offset_seconds) * _NTP_UNITS_PER_SECOND) & 0xFFFFFFFFFFFFFFFF
