"""What holds for every recording of a synthetic participant."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path

from testbed.publisher import Captured
from testbed.readback import Playback, read_back
from testbed.recorder import Recording

MAX_OFFSET_SECONDS = 0.040
"""Sound and picture: beyond this, people see it."""
MAX_MOMENTARY_OFFSET_SECONDS = 0.040
"""A client on a busy machine reports its sound up to 50 ms late, until a later report says better."""
MAX_SLEW_STEP_SECONDS = 0.015
"""A picture that the encoder left out doubles the slew of the first seconds."""
SETTLED_SECONDS = 3.0
"""Until then pictures go where the first sound is, the first ones by their arrival: no step is half a frame."""
MAX_SETTLED_MOVE_SECONDS = 0.040
"""From then on sender reports, which err by so much, put them in step with the sound."""
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
    """The time between any two pictures fits their counters, but for the slew after the first sender report."""
    late = [one.seconds - one.counter / fps for one in playback.pictures if one.counter is not None]
    settled = late[int(SETTLED_SECONDS * fps) :]
    assert max(abs(two - one) for one, two in pairwise(late)) < 0.5 / fps, late
    assert max(abs(two - one) for one, two in pairwise(settled)) < MAX_SLEW_STEP_SECONDS, settled
    assert max(settled) - min(settled) < MAX_SETTLED_MOVE_SECONDS, settled


def check_silent(playback: Playback) -> None:
    """There may be a track of silence, ready for a microphone that never came."""
    assert not playback.samples.any()


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
    assert abs(sync.median_seconds) <= MAX_OFFSET_SECONDS, playback.offsets
    assert abs(sync.worst_seconds) <= MAX_MOMENTARY_OFFSET_SECONDS, playback.offsets
