"""Scenes of the bench: somebody in a call, the call recorded, the files read back and held against what was sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.sim.bench import Bench, Person, person
from tests.sim.live import camera, microphone
from tests.sim.measure import check_files, missing, sync
from tests.sim.network import NetworkConditions
from tests.sim.recorded import Recorded, read_recording

HOME = NetworkConditions(delay_seconds=0.03, jitter_seconds=0.02)
TAIL_SECONDS = 3.0
"""What is under way when the last frame is sent has so long to arrive."""
SETTLING_SECONDS = 8.0
"""Two reports of every track."""

Changes = dict[str, Any]


def speaker(
    index: int, seconds: float, sound: Changes | None = None, picture: Changes | None = None, **presence: Any
) -> Person:
    """With microphone and camera; uid 101, 102..."""
    return person(
        100 + index,
        microphone(index, seconds, **(sound or {})),
        camera(index, seconds, **(picture or {})),
        **presence,
    )


def record(
    folder: Path,
    people: Sequence[Person],
    seconds: float,
    *,
    packet_ms: int = 20,
    prepare: Callable[[Bench], None] | None = None,
    steps: bool = True,
    losses: bool = True,
    **network: Any,
) -> Recorded:
    """The invariants of `check_files` hold, or it fails. `prepare` puts more on the agenda."""
    folder.mkdir(exist_ok=True)
    bench = Bench(folder, people, **network)
    if prepare is not None:
        prepare(bench)
    bench.finish(seconds + TAIL_SECONDS)
    began = {each.uid: each.microphone.live.start_seconds for each in people}
    recorded = read_recording(folder, began, packet_ms)
    check_files(recorded, people, steps=steps, losses=losses)
    return recorded


def assert_in_sync(
    recorded: Recorded, who: Person, since: float = SETTLING_SECONDS, p95: float = 0.020, worst: float = 0.040
) -> None:
    measured = sync(recorded.of(who.uid, screen=who.screen), who, who.joins + since)
    assert measured.errors
    assert measured.p95 <= p95, str(measured)
    assert measured.worst <= worst, str(measured)


def assert_complete(recorded: Recorded, who: Person, *, pictures: int = 0, packets: int = 0) -> None:
    """At most so many are missing."""
    files = recorded.of(who.uid, screen=who.screen)
    shown = [each for file in files for each in file.pictures]
    heard = [each for file in files for each in file.sound]
    assert len(missing(shown, who.camera)) <= pictures
    assert len(missing(heard, who.microphone)) <= packets
