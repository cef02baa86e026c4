"""One recording's time: every track of every connection on one scale that only goes forward."""

from __future__ import annotations

from weakref import WeakValueDictionary

from channel_recorder.timeline.sender import Sender
from channel_recorder.timeline.track import TrackTimeline


class Timeline:
    """Makes the tracks' timelines; tracks of one sender share its clock, so they stay in step.

    Reports name instants by the sender's own clock: livekit-server (1.8 to 1.13) passes NTP times on as the
    publisher wrote them, advanced by the time since. Only a server that rewrites them to its own clock lets
    all tracks of a room share one; there, too, a clock for each sender comes out right.
    """

    def __init__(self, origin_seconds: float) -> None:
        """`origin_seconds`: the monotonic clock at recording time zero."""
        self._origin_seconds = origin_seconds
        self._senders: WeakValueDictionary[str, Sender] = WeakValueDictionary()

    def track(self, clock_rate_hz: int, sender: str = "") -> TrackTimeline:
        """A track's timeline. `sender`: who publishes it (participant sid); tracks of one sender are lip-synced."""
        shared = self._senders.get(sender)
        if shared is None:
            shared = self._senders[sender] = Sender()
        return TrackTimeline(clock_rate_hz, self._origin_seconds, shared)

    def recording_seconds(self, monotonic_seconds: float) -> float:
        """Recording time of an instant of the monotonic clock, for everything that is not media."""
        return monotonic_seconds - self._origin_seconds

    def new_connection(self) -> None:
        """The channel was rejoined, perhaps through another server: clocks are learned anew, time goes on."""
        for sender in list(self._senders.values()):
            sender.forget()
