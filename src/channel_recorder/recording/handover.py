"""A second track of a kind while the first is live: does it succeed the first, or is it there beside it?

Clients that change codec or device publish anew, and livekit-server tells of the new track up to 2 s before
it tells that the old one ended. Until that is decided everything for the file waits in memory:
a kill in that time loses so much more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from channel_recorder.model import EncodedFrame, MediaKind
from channel_recorder.recording.contract import RecordedTrack
from channel_recorder.recording.series import KEY_FRAME_RETRY_SECONDS, FileSeries

HANDOVER_SECONDS = 2.0
HANDOVER_LIMIT_BYTES = 16 * 2**20
"""More is not held: what is known then decides. 2 s of camera at 60 Mbit/s."""


def discard(frame: EncodedFrame) -> None:
    """Where the frames of a closed track go."""
    del frame


class Feed:
    """A track's sink. Where its frames go may change; the way there is one call."""

    __slots__ = ("_asked_at", "_at_close", "closed_at", "pass_on", "series", "track")

    def __init__(self, track: RecordedTrack, at_close: Callable[[Feed, float], None]) -> None:
        self.track = track
        self.series: FileSeries | None = None
        self.closed_at: float | None = None
        self.pass_on: Callable[[EncodedFrame], None] = discard
        self._at_close = at_close
        self._asked_at = -KEY_FRAME_RETRY_SECONDS

    def write(self, frame: EncodedFrame) -> None:
        """Hot path."""
        self.pass_on(frame)

    def close(self, at_seconds: float) -> None:
        self.pass_on = discard
        self.closed_at = at_seconds
        self._at_close(self, at_seconds)

    def may_ask_for_key_frame(self, now_seconds: float) -> bool:
        """Once a second."""
        if now_seconds < self._asked_at + KEY_FRAME_RETRY_SECONDS:
            return False
        self._asked_at = now_seconds
        return True


class Handover:
    """The feeds of a series, and newcomers of a kind that it has already: at most one of each kind."""

    def __init__(self, feeds: list[Feed]) -> None:
        self.feeds: list[Feed] = []
        self._old: dict[MediaKind, Feed] = {}
        self._newcomers: dict[MediaKind, Feed] = {}
        self._began: dict[MediaKind, EncodedFrame] = {}
        """The first frames of the newcomers."""
        self._frames: list[tuple[Feed, EncodedFrame]] = []
        self._bytes = 0
        for feed in feeds:
            self.add(feed)

    def add(self, feed: Feed) -> None:
        """A feed of the series: its frames wait from now on."""
        self._old[feed.track.kind] = feed
        self._wait(feed)

    def admit(self, newcomer: Feed, first: EncodedFrame) -> None:
        """`first`: the frame that a file could begin with."""
        self._newcomers[newcomer.track.kind] = newcomer
        self._began[newcomer.track.kind] = first
        self._wait(newcomer)

    def has_newcomer(self, kind: MediaKind) -> bool:
        return kind in self._newcomers

    def began_seconds(self, kind: MediaKind) -> float:
        """Recording time of the newcomer's first frame."""
        return self._began[kind].time_seconds

    def is_decided(self, now_seconds: float) -> bool:
        if self._bytes > HANDOVER_LIMIT_BYTES:
            return True
        return all(
            self._old[kind].closed_at is not None
            or newcomer.closed_at is not None
            or now_seconds - self._began[kind].time_seconds >= HANDOVER_SECONDS
            for kind, newcomer in self._newcomers.items()
        )

    def outcome(self) -> list[tuple[Feed, Feed, bool]]:
        """Of each kind the old feed, the newcomer, and whether that one succeeds the old."""
        return [(self._old[kind], newcomer, self._succeeds(kind)) for kind, newcomer in self._newcomers.items()]

    def frames(self) -> list[tuple[Feed, EncodedFrame]]:
        """What was held, in the order in which it is to be written.

        Where the pictures pass to a successor, all that belongs before its first one comes first: the sound up to
        there goes into the old file, the rest into the next. What the old feed sent beyond there is left out.
        """
        successors = [newcomer for _, newcomer, succeeds in self.outcome() if succeeds]
        cuts = {self._old[feed.track.kind]: self._began[feed.track.kind].time_seconds for feed in successors}
        kept = [(feed, frame) for feed, frame in self._frames if feed not in cuts or frame.time_seconds < cuts[feed]]
        pictures = next((feed for feed in successors if feed.track.kind is MediaKind.VIDEO), None)
        if pictures is None:
            return kept
        first = self._began[MediaKind.VIDEO]
        before = [item for item in kept if item[0] is not pictures and item[1].time_seconds < first.time_seconds]
        after = [item for item in kept if item[0] is pictures or item[1].time_seconds >= first.time_seconds]
        after.sort(key=lambda item: item[1] is not first)
        return before + after

    def _wait(self, feed: Feed) -> None:
        self.feeds.append(feed)
        feed.pass_on = partial(self._hold, feed)

    def _hold(self, feed: Feed, frame: EncodedFrame) -> None:
        self._frames.append((feed, frame))
        self._bytes += len(frame.data)

    def _succeeds(self, kind: MediaKind) -> bool:
        """The old one ended first, or went silent when the newcomer began."""
        old, newcomer = self._old[kind], self._newcomers[kind]
        if old.closed_at is not None and newcomer.closed_at is None:
            return True
        began = self._began[kind].time_seconds
        return not any(feed is old and frame.time_seconds >= began for feed, frame in self._frames)
