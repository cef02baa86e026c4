"""Pings the server at its interval; silence beyond its timeout means that it is gone. Sans-IO."""

from __future__ import annotations

from livekit.protocol import rtc as pb

_DEFAULT_INTERVAL_SECONDS = 5.0
_DEFAULT_TIMEOUT_SECONDS = 15.0


class Keepalive:
    """livekit-server answers both kinds of ping, others only one: each interval sends both."""

    def __init__(self, interval_seconds: float, timeout_seconds: float, now_seconds: float) -> None:
        self._interval_seconds = interval_seconds if interval_seconds > 0 else _DEFAULT_INTERVAL_SECONDS
        timeout_seconds = timeout_seconds if timeout_seconds > 0 else _DEFAULT_TIMEOUT_SECONDS
        self.timeout_seconds = max(timeout_seconds, 2 * self._interval_seconds)
        self._heard_at = now_seconds
        self._ping_at = now_seconds
        self.round_trip_seconds = 0.0

    def heard(self, now_seconds: float) -> None:
        """Any message of the server counts."""
        self._heard_at = now_seconds

    def answered(self, ping_timestamp: int, now_seconds: float) -> None:
        """A pong that repeats our time stamp."""
        round_trip_seconds = now_seconds - ping_timestamp / 1000
        if 0 <= round_trip_seconds <= self.timeout_seconds:
            self.round_trip_seconds = round_trip_seconds

    def is_timed_out(self, now_seconds: float) -> bool:
        return now_seconds >= self._heard_at + self.timeout_seconds

    def pings(self, now_seconds: float) -> list[pb.SignalRequest]:
        """Those due now."""
        if now_seconds < self._ping_at:
            return []
        self._ping_at = now_seconds + self._interval_seconds
        now_ms = int(now_seconds * 1000)
        request = pb.Ping(timestamp=now_ms, rtt=int(self.round_trip_seconds * 1000))
        return [pb.SignalRequest(ping=now_ms), pb.SignalRequest(ping_req=request)]

    def next_timer(self) -> float:
        return min(self._ping_at, self._heard_at + self.timeout_seconds)
