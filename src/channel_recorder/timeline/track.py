"""Where in the recording a frame belongs, by its RTP time stamp: the hot path of the timeline.

    by arrival     no report yet: the least delayed packets' arrival
    by reports     RTP -> sender's clock (ReportLine) -> monotonic clock (Sender) -> recording time

Whenever the line moves, the difference to what was said before becomes `_error`, which shrinks by a bounded
share of the time that passes: corrections slew. Only time that is missing (a sender whose time stamps stood
still while it sent nothing) is jumped over, forward.
"""

from __future__ import annotations

from math import inf

from channel_recorder.timeline.arrivals import FIRST_BLOCK_SECONDS, Arrivals
from channel_recorder.timeline.line import TICKS_WRAP, ReportLine
from channel_recorder.timeline.sender import GLIDE_PER_SECOND, Sender

SOUND_SLEW = 0.01
"""A 20-ms packet is placed at most 0.2 ms nearer or farther: players neither drop nor insert anything."""
PICTURE_SLEW = 0.05
"""Nobody sees 33 ms become 31."""
YOUNG_PICTURE_SLEW = 0.10
YOUNG_SECONDS = 4.0
"""The first pictures come late and find their place by the first report, 3 s on at most: quicker, then."""
PICTURE_CLOCK_RATE_HZ = 90_000
TIE_SECONDS = 1e-6
"""The least distance of two frames that would otherwise fall together."""
JUMP_SECONDS = 0.2
"""A frame that belongs so much later goes there at once: time is missing, silence fills it."""
STRAY_SECONDS = 0.08
"""A report farther from its line (usual noise: 5 ms, of sound on a busy machine 50) is a fault or a new truth:
the next one decides."""
FIRST_STRAY_SECONDS = 1.0
"""The same for a track's first report, against the arrival of its packets."""
STRAYS_TOLERATED = 4
"""After so many reports that agree neither with the line nor with each other, the newest is believed."""
EARLY_SECONDS = 0.3
"""No frame is recorded so long before it was sent: its time stamp jumped ahead."""
LATE_SECONDS = 1.0
LATE_AT_ONCE_SECONDS = 30.0
"""No network holds a packet so long, and no server repeats one so old after a cut (livekit-server: of 10 s, all
pictures): the time stamps stood still."""
BACK_AT_ONCE_SECONDS = 10.0
"""The same for time stamps that are not above the last: they jumped back."""
LATE_WATCH_SECONDS = 0.5
LATE_FALL_SECONDS = 0.05
"""A queue that drains makes frames less late, by more than this while they are watched; a pause doesn't."""

_BY_REPORTS = 0
_BY_ARRIVAL = 1
_FRESH = 2


class TrackTimeline:
    """Maps one track's time stamps. Made by `Timeline.track`."""

    __slots__ = (
        "__weakref__",
        "_arrivals",
        "_block_end",
        "_error",
        "_excess",
        "_intercept",
        "_last_seconds",
        "_last_timestamp",
        "_late_first",
        "_late_least",
        "_late_since",
        "_least_arrival",
        "_least_delay",
        "_least_timestamp",
        "_line",
        "_nominal",
        "_origin",
        "_seconds_per_tick",
        "_sender",
        "_slew_per_tick",
        "_state",
        "_stray",
        "_strays",
        "_zero",
        "_zero_at",
        "began_at_seconds",
        "doubt_seconds",
        "is_sound",
    )

    def __init__(self, clock_rate_hz: int, origin_seconds: float, sender: Sender) -> None:
        self._nominal = 1.0 / clock_rate_hz
        self.is_sound = clock_rate_hz != PICTURE_CLOCK_RATE_HZ
        self._slew_per_tick = (SOUND_SLEW if self.is_sound else YOUNG_PICTURE_SLEW) / clock_rate_hz
        self._origin = origin_seconds
        self._line = ReportLine(clock_rate_hz)
        self._sender = sender
        self._last_seconds = 0.0
        self._arrivals = Arrivals()
        self._excess = 0.0
        """How much longer its packets are on their way than those of its fastest sibling."""
        self.began_at_seconds = inf
        self.doubt_seconds = 0.0
        """How much later than true its reports are taken for, by the sender."""
        self.restart()
        sender.tracks.add(self)

    def restart(self) -> None:
        """The time stamps begin anew (another SSRC, another connection): recording time goes on."""
        self._line.clear()
        self._arrivals.clear()
        self.doubt_seconds = 0.0
        self._least_delay = inf
        self._least_timestamp = 0
        self._least_arrival = 0.0
        self._block_end = inf
        self._zero = 0.0
        """Without reports: when, of the monotonic clock, the time stamps' zero was, as its packets came."""
        self._zero_at = 0.0
        self._state = _FRESH
        self._seconds_per_tick = self._nominal
        self._intercept = 0.0
        self._error = 0.0
        self._last_timestamp: float = -inf
        self._late_since = 0.0
        self._late_first = 0.0
        self._late_least = inf
        self._stray: float | None = None
        self._strays = 0

    def locate(self, timestamp: int, arrival_seconds: float) -> float:
        """Recording time in seconds of the frame with this (unwrapped) time stamp. Hot path.

        Greater time stamps get greater times; one that is not greater than the last gets the last time.
        """
        if self._state == _FRESH:
            self._begin(timestamp, arrival_seconds)
        ticks = timestamp - self._last_timestamp
        if ticks <= 0:
            return self._located_behind(timestamp, arrival_seconds)
        error = self._error
        if error:
            budget = ticks * self._slew_per_tick
            if error > budget:
                error -= budget
            elif error < -budget:
                error += budget
            else:
                error = 0.0
            self._error = error
        seconds = timestamp * self._seconds_per_tick + self._intercept + error
        delay = arrival_seconds - timestamp * self._nominal
        if delay < self._least_delay:
            self._least_delay = delay
            self._least_timestamp = timestamp
            self._least_arrival = arrival_seconds
        delay = arrival_seconds - self._origin - seconds
        if delay > LATE_SECONDS or delay < -EARLY_SECONDS:
            seconds = self._doubt(timestamp, arrival_seconds, seconds)
        elif self._late_since:
            self._late_since = 0.0
        if seconds <= self._last_seconds:
            seconds = self._last_seconds + TIE_SECONDS
        self._last_timestamp = timestamp
        self._last_seconds = seconds
        if arrival_seconds >= self._block_end:
            self._end_block(arrival_seconds)
        return seconds

    def report(self, timestamp: int, ntp_seconds: float, arrival_seconds: float) -> None:
        """A sender report: `timestamp` was captured at `ntp_seconds` (any epoch) of the sender's clock.

        `timestamp` may be wrapped or not: the cycle nearest to the last frame is taken.
        """
        if ntp_seconds <= 0.0:
            return  # RFC 3550 section 6.4.1: a sender without a wall clock says 0
        timestamp = self._unwrapped(timestamp)
        stray = self._stray_seconds(timestamp, ntp_seconds)
        if stray is None:
            if not self._line or ntp_seconds > self._line.newest[1]:
                self._accept(timestamp, ntp_seconds, arrival_seconds)
        elif self._is_confirmed(stray):
            self._believe(stray, timestamp, ntp_seconds, arrival_seconds)

    @property
    def error_seconds(self) -> float:
        """How much later than where it belongs the last frame was placed: what is still to be slewed away."""
        return self._error

    # For the sender

    @property
    def has_begun(self) -> bool:
        return self._state != _FRESH

    @property
    def reports(self) -> int:
        """How many tell its line."""
        return len(self._line)

    def is_young(self, now_seconds: float) -> bool:
        return now_seconds - self.began_at_seconds < YOUNG_SECONDS

    def base_seconds(self) -> float:
        """Where the last frame belongs, whatever is still being slewed away."""
        return self._last_timestamp * self._seconds_per_tick + self._intercept

    def lag_seconds(self) -> float | None:
        """From the sender's clock to the arrival of its least delayed packets; None while that is not known."""
        if not self._line or not self._arrivals:
            return None
        line = self._line
        lag = self._arrivals.lag_seconds(line.seconds_per_tick, line.intercept - self.doubt_seconds)
        if self._sender.offset_seconds is not None:
            self._excess = max(lag - self._sender.offset_seconds, 0.0)
        return lag

    def aim(self) -> None:
        """The line or the clock moved. What was said stays said; the difference is slewed away."""
        if self._state == _FRESH:
            return
        sender = self._sender
        if self._line and sender.offset_seconds is not None:
            self._state = _BY_REPORTS
            self._seconds_per_tick = self._line.seconds_per_tick
            zero = self._line.intercept - self.doubt_seconds + sender.offset_seconds
        else:
            self._seconds_per_tick = self._nominal
            zero = self._zero - self._excess
        self._intercept = zero + sender.held_seconds - self._origin
        error = self._last_seconds - self.base_seconds()
        self._error = error if error > -JUMP_SECONDS else 0.0

    def rename_instants(self, ntp_seconds: float) -> None:
        if self._line:
            self._line.move_ntp(ntp_seconds)
        self._stray = None
        self._strays = 0

    # Reports

    def _unwrapped(self, timestamp: int) -> int:
        if self._state == _FRESH:
            return timestamp
        last = int(self._last_timestamp)
        return last + (timestamp - last + TICKS_WRAP // 2) % TICKS_WRAP - TICKS_WRAP // 2

    def _stray_seconds(self, timestamp: int, ntp_seconds: float) -> float | None:
        """How far a report is from what the earlier ones, or the packets, let expect; None: near enough."""
        if self._line:
            stray = ntp_seconds - self._line.ntp_seconds(timestamp)
            return stray if abs(stray) > STRAY_SECONDS else None
        if self._state == _FRESH:
            return None
        offset = self._sender.offset_seconds
        if offset is None:
            return None
        by_packets = timestamp * self._seconds_per_tick + self._intercept + self._error
        stray = ntp_seconds + offset + self._sender.held_seconds - self._origin - by_packets
        return stray if abs(stray) > FIRST_STRAY_SECONDS else None

    def _is_confirmed(self, stray: float) -> bool:
        before, self._stray = self._stray, stray
        self._strays += 1
        return (before is not None and abs(before - stray) < STRAY_SECONDS) or self._strays > STRAYS_TOLERATED

    def _believe(self, stray: float, timestamp: int, ntp_seconds: float, arrival_seconds: float) -> None:
        """What strayed is the truth now: the sender's clock was set, or the time stamps moved against it."""
        if not self._line:
            self._part_from_sender()
        elif self._has_moved_by(stray):
            self._line.clear()
            self._arrivals.keep_newest()
            self._line.add(timestamp, ntp_seconds)
            self._sender.follow(arrival_seconds)
        else:
            self._sender.step(stray)
        self._accept(timestamp, ntp_seconds, arrival_seconds)

    def _has_moved_by(self, seconds: float) -> bool:
        """Packets of late come so much later for their time stamps: it's those that moved, not the sender's clock."""
        line, arrivals = self._line, self._arrivals
        if not arrivals:
            return True
        usual = arrivals.lag_seconds(line.seconds_per_tick, line.intercept)
        newest = arrivals.newest_lag_seconds(line.seconds_per_tick, line.intercept)
        return abs(newest - usual - seconds) < abs(seconds) / 2

    def _part_from_sender(self) -> None:
        """Its reports contradict those of its siblings: it has a clock of its own."""
        self._sender.tracks.discard(self)
        self._sender = Sender()
        self._sender.tracks.add(self)

    def _accept(self, timestamp: int, ntp_seconds: float, arrival_seconds: float) -> None:
        self._stray = None
        self._strays = 0
        self._line.add(timestamp, ntp_seconds)
        self._sender.follow(arrival_seconds, self)

    # Packets

    def _end_block(self, arrival_seconds: float) -> None:
        """The least delayed packet of the last second is known."""
        length = self._arrivals.add(self._least_timestamp, self._least_arrival)
        self._block_end = arrival_seconds + length
        self._least_delay = inf
        is_young = self.is_young(arrival_seconds)
        if not is_young and not self.is_sound:
            self._slew_per_tick = PICTURE_SLEW * self._nominal
        if self._state == _BY_ARRIVAL:
            self._follow_arrivals(arrival_seconds, is_young)
        self._sender.follow(arrival_seconds)

    def _follow_arrivals(self, now_seconds: float, is_young: bool) -> None:
        reach = inf if is_young else GLIDE_PER_SECOND * max(now_seconds - self._zero_at, 0.0)
        error = self._arrivals.lag_seconds(self._nominal, 0.0) - self._zero
        self._zero += min(max(error, -reach), reach)
        self._zero_at = now_seconds

    def _begin(self, timestamp: int, arrival_seconds: float) -> None:
        self.began_at_seconds = min(self.began_at_seconds, arrival_seconds)
        if self._line:
            self._line.unwrap_near(timestamp)
            self._sender.learn(arrival_seconds - self._line.ntp_seconds(timestamp))
        self._last_timestamp = timestamp - 1
        self._count_from(timestamp, arrival_seconds)
        before = self._last_seconds
        self._error = max(before - self.base_seconds(), 0.0)

    def _count_from(self, timestamp: int, arrival_seconds: float) -> None:
        """The first packet: what it is too late is guessed to be what the sender is recorded late."""
        self._arrivals.clear()
        self._least_delay = inf
        self._block_end = arrival_seconds + FIRST_BLOCK_SECONDS
        self._state = _BY_ARRIVAL
        self._zero = arrival_seconds - timestamp * self._nominal - self._sender.held_seconds
        self._zero_at = arrival_seconds
        self.aim()

    def _located_behind(self, timestamp: int, arrival_seconds: float) -> float:
        """A time stamp not above the last: doubled, out of order, or the time stamps jumped back."""
        target = timestamp * self._seconds_per_tick + self._intercept
        if self._has_jumped(arrival_seconds - self._origin - target, arrival_seconds, BACK_AT_ONCE_SECONDS):
            self._last_seconds = self._begin_again(timestamp, arrival_seconds)
            self._last_timestamp = timestamp
        return self._last_seconds

    def _doubt(self, timestamp: int, arrival_seconds: float, seconds: float) -> float:
        """The frame lies impossibly early or very late, unless that is an error which is being slewed away."""
        delay = arrival_seconds - self._origin - (seconds - self._error)
        if self._has_jumped(delay, arrival_seconds, LATE_AT_ONCE_SECONDS):
            return self._begin_again(timestamp, arrival_seconds)
        return seconds

    def _has_jumped(self, delay: float, arrival_seconds: float, at_once_seconds: float) -> bool:
        if delay < -EARLY_SECONDS or delay > at_once_seconds:
            return True
        return delay > LATE_SECONDS and self._is_paused_sender(delay, arrival_seconds)

    def _is_paused_sender(self, delay: float, arrival_seconds: float) -> bool:
        """Late for a while and not getting better: no queue drains here, the time stamps stood still."""
        if not self._late_since:
            self._late_since, self._late_first, self._late_least = arrival_seconds, delay, delay
        self._late_least = min(self._late_least, delay)
        if arrival_seconds - self._late_since < LATE_WATCH_SECONDS:
            return False
        self._late_since = 0.0
        return self._late_least > self._late_first - LATE_FALL_SECONDS

    def _begin_again(self, timestamp: int, arrival_seconds: float) -> float:
        """By arrival until the next report, never back behind what was said."""
        self._line.clear()
        self._count_from(timestamp, arrival_seconds)
        target = timestamp * self._seconds_per_tick + self._intercept
        self._error = max(self._last_seconds + TIE_SECONDS - target, 0.0)
        self._late_since = 0.0
        return target + self._error
