"""One sender's clock against the monotonic clock of this machine, and the tracks that share it.

Reports tell how the tracks of a sender lie to each other, nothing else: they may arrive 1.5 s late, or twice
(livekit-server 1.8). When all this happened here is told by packets: the least delayed of the least delayed
track. Reports of a busy client are uncertain by some 10 ms for a while, and recorded sound can't be moved without
a click, pictures can: whatever is learned about sound against pictures moves the pictures, and the sender as a
whole stays where its first sound was put.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from channel_recorder.timeline.track import TrackTimeline

GLIDE_PER_SECOND = 1e-3
"""The offset moves no faster, and all tracks of a sender with it, in step: drift, and ways that got longer."""
STEP_SECONDS = 1.0
"""Farther off, the offset was wrong altogether."""
DOUBT_SECONDS = 0.015
"""So much late the only report of sound is taken for, if packets say so too."""
DOUBT_REPORTS = 3
"""The least late of more reports than that is believed as it is."""
HELD_EARLY_SECONDS = 0.01
HELD_LATE_SECONDS = 0.04
"""What a sender may be off against other senders for good, for the sake of its sound, beyond what its
first sound was late. More is shed, gliding: drift adds up."""
HELD_LIMIT_SECONDS = 0.2
"""What its first packet of sound was late is kept up to this: written sound follows a glide in jumps of a packet
only, pictures at once, so shedding it put them 40 ms apart."""
SHED_PER_SECOND = 2e-3


class Sender:
    """`monotonic = ntp + offset_seconds`, and `held_seconds` later it is recorded."""

    __slots__ = ("__weakref__", "_is_settled", "_late_limit", "_seen_at", "held_seconds", "offset_seconds", "tracks")

    def __init__(self) -> None:
        self.tracks: WeakSet[TrackTimeline] = WeakSet()
        self.offset_seconds: float | None = None
        """None until a track has packets and a report."""
        self.held_seconds = 0.0
        self._seen_at = 0.0
        self._is_settled = False
        self._late_limit = HELD_LATE_SECONDS

    def forget(self) -> None:
        """Another connection: its reports may follow another server's clock."""
        self.offset_seconds = None
        for track in self.tracks:
            track.restart()

    def learn(self, lag_seconds: float) -> None:
        """The first packet of a track with a report: better than nothing."""
        if self.offset_seconds is None:
            self.offset_seconds = lag_seconds

    def step(self, ntp_seconds: float) -> None:
        """The sender's clock was set: instants get new names, no frame moves."""
        if self.offset_seconds is not None:
            self.offset_seconds -= ntp_seconds
        for track in self.tracks:
            track.rename_instants(ntp_seconds)

    def follow(self, now_seconds: float, reported: TrackTimeline | None = None) -> None:
        """Packets came, or the line of `reported` changed: puts all tracks where they belong now."""
        elapsed = max(now_seconds - self._seen_at, 0.0)
        self._seen_at = now_seconds
        self._shed(SHED_PER_SECOND * elapsed)
        sound = self._first_sound()
        self._is_settled = self._is_settled or not all(track.is_young(now_seconds) for track in self.tracks)
        at_once = not self._is_settled or sound is reported
        before = sound.base_seconds() if sound is not None else 0.0
        if sound is not None and at_once:
            self._doubt(sound)
        self._find_offset(inf if at_once else GLIDE_PER_SECOND * elapsed)
        if sound is not None and at_once:
            self._hold(sound, before)
        for track in self.tracks:
            track.aim()

    def _first_sound(self) -> TrackTimeline | None:
        sounds = [track for track in self.tracks if track.is_sound and track.has_begun]
        return min(sounds, key=lambda track: track.began_at_seconds, default=None)

    def _doubt(self, sound: TrackTimeline) -> None:
        """Its few reports may be late all; not by more than would put pictures and sound in step by arrival."""
        sound.doubt_seconds = 0.0
        lags = [lag for track in self.tracks if not track.is_sound and (lag := track.lag_seconds()) is not None]
        lag = sound.lag_seconds()
        if lags and lag is not None:
            doubt = DOUBT_SECONDS * max(1.0 - (sound.reports - 1) / DOUBT_REPORTS, 0.0)
            sound.doubt_seconds = min(doubt, max(min(lags) - lag, 0.0))

    def _hold(self, sound: TrackTimeline, before_seconds: float) -> None:
        sound.aim()
        held = self.held_seconds + before_seconds - sound.base_seconds()
        self.held_seconds = min(max(held, -HELD_LIMIT_SECONDS), HELD_LIMIT_SECONDS)

    def _find_offset(self, reach: float) -> None:
        lags = [lag for track in self.tracks if (lag := track.lag_seconds()) is not None]
        if not lags:
            return
        offset, least = self.offset_seconds, min(lags)
        if offset is None or abs(least - offset) > STEP_SECONDS:
            self.offset_seconds = least
        else:
            self.offset_seconds = offset + min(max(least - offset, -reach), reach)

    def _shed(self, reach: float) -> None:
        held = self.held_seconds
        if not self._is_settled:
            self._late_limit = max(held, 0.0) + HELD_LATE_SECONDS
        elif held > self._late_limit:
            self.held_seconds = max(held - reach, self._late_limit)
        elif held < -HELD_EARLY_SECONDS:
            self.held_seconds = min(held + reach, -HELD_EARLY_SECONDS)
