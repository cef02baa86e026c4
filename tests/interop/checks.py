"""What holds for every recording of a synthetic participant."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from testbed.publisher import Captured
from testbed.readback import Playback, read_back
from testbed.recorder import Recording

MAX_OFFSET_SECONDS = 0.040
"""Sound and picture: beyond this, people see it."""
FIRST_PICTURE_LIMIT_SECONDS = 1.0
LAST_SOUND_LIMIT_SECONDS = 0.3

played = cache(read_back)


@dataclass
class Scene:
    """What recorders left behind of a call, and what was sent in it."""

    recordings: dict[str, Recording] = field(default_factory=dict[str, Recording])
    captured: dict[str, dict[str, Captured]] = field(default_factory=dict[str, dict[str, Captured]])
    """By account and source."""

    def path(self, recorder: str, account: str, *, screen: bool = False) -> Path:
        """The one file that a recorder made of a user."""
        paths = self.recordings[recorder].paths_of(account, screen=screen)
        assert len(paths) == 1, f"{recorder} made {len(paths)} files of {account}: {self.recordings[recorder].files}"
        return paths[0]

    def playback(self, recorder: str, account: str, *, screen: bool = False) -> Playback:
        return played(self.path(recorder, account, screen=screen))


def check_decodes(playback: Playback) -> None:
    assert playback.decode_errors == ()
    assert playback.sound_breaks == ()


def check_pictures(playback: Playback, camera: Captured, *, from_start: bool = True) -> None:
    """Every picture from the first to the last that was sent, once, in order."""
    assert playback.counters, "no picture shows its counter"
    assert playback.repeated_counters == []
    missing = playback.missing_counters
    assert len(missing) <= camera.dropped_by_encoder, f"missing: {missing}"
    assert playback.counters[-1] == camera.captured - 1
    if from_start:
        assert playback.counters[0] <= FIRST_PICTURE_LIMIT_SECONDS * 15


def check_steady_pace(playback: Playback, fps: int = 15) -> None:
    """Pictures are shown when they were taken: the time between any two fits their counters."""
    seen = [one for one in playback.pictures if one.counter is not None]
    first = seen[0]
    late = [one.seconds - first.seconds - ((one.counter or 0) - (first.counter or 0)) / fps for one in seen]
    assert max(late) - min(late) < MAX_OFFSET_SECONDS, late


def check_tone(playback: Playback, hz: float, microphone: Captured, *, from_start: bool = True) -> None:
    """One unbroken tone, as long as it was sent."""
    spans = playback.tone_spans(hz)
    assert len(spans) == 1, spans
    start, end = spans[0]
    if from_start:
        assert end - start >= microphone.captured / 100 - FIRST_PICTURE_LIMIT_SECONDS
    assert end - start <= microphone.captured / 100 + LAST_SOUND_LIMIT_SECONDS


def check_sync(playback: Playback, *, at_least: int = 4) -> None:
    sync = playback.sync
    assert sync is not None, "no flash with a beep"
    assert sync.pairs >= at_least
    assert abs(sync.worst_seconds) <= MAX_OFFSET_SECONDS, playback.offsets
