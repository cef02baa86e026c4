"""Recorders behind bad networks, of one call: each is held to what another one, with a good network, recorded.

`CHANNEL_RECORDER_BAD_NETWORK_SECONDS` makes the call longer (CI: as short as its cuts allow).
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from testbed.impaired import ImpairedPath
from testbed.publisher import Captured, Publisher
from testbed.readback import Picture, Playback
from testbed.recorder import Recorder, Recording
from testbed.server_process import ServerProcess
from tests.interop.checks import check_decodes, played
from tests.sim.network import NetworkConditions

CHANNEL = "bad-network"
FPS = 15
SOUND_FPS = 50
PEOPLE = {"ann": ("vp8", 400), "bob": ("h264", 600)}
GOOD = NetworkConditions(delay_seconds=0.001)
LOSSES = {"loss-1": 0.01, "loss-5": 0.05, "loss-10": 0.10}
CUTS = {"cut-2": 2.0, "cut-10": 10.0, "cut-30": 30.0}
STOPPED, REBOUND, REFERENCE = "stopped", "rebound", "reference"
STOP_SECONDS = 5.0
BEFORE_SECONDS, AFTER_SECONDS = 8.0, 12.0
CALL_SECONDS = float(os.environ.get("CHANNEL_RECORDER_BAD_NETWORK_SECONDS", "0"))
SETTLED_SECONDS = 4.0
"""Of a recording or of a connection: by then sender reports say when what was captured."""
MAX_MISSING = 0.001
P95_SECONDS, WORST_SECONDS = 0.020, 0.040
REPAIR_LIMIT_SECONDS = 2.0
"""From when packets pass again to the first picture."""
REJOIN_LIMIT_SECONDS = 12.0
"""The same, where the connection was given up meanwhile and is made anew."""


@dataclass
class Story:
    recordings: dict[str, Recording] = field(default_factory=dict[str, Recording])
    captured: dict[str, dict[str, Captured]] = field(default_factory=dict[str, dict[str, Captured]])
    lost_share: dict[str, float] = field(default_factory=dict[str, float])
    """Of the datagrams of a path."""

    def file(self, recorder: str, who: str) -> Playback:
        """The file with the pictures: there is a second one only if the microphone was alone for a while."""
        recording = self.recordings[recorder]
        files = [played(path) for path in recording.paths_of(who)]
        with_pictures = [file for file in files if file.counters]
        assert len(with_pictures) == 1, recording.files_of(who)
        return with_pictures[0]


async def hold_call(server: ServerProcess, root: Path) -> Story:
    story = Story()
    async with AsyncExitStack() as stack:
        paths = {name: ImpairedPath(server, seed=7, down=conditions) for name, conditions in networks().items()}
        for path in paths.values():
            await stack.enter_async_context(path)
        started = await asyncio.gather(
            *(
                Recorder.start(path, CHANNEL, root / name, uid=900 + number)
                for number, (name, path) in enumerate(paths.items())
            )
        )
        recorders = dict(zip(paths, started, strict=True))
        people = [Publisher(server, CHANNEL, who) for who in PEOPLE]
        await asyncio.gather(*(person.join() for person in people))
        for person, (codec, hz) in zip(people, PEOPLE.values(), strict=True):
            await person.publish_camera(width=320, height=240, codec=codec)
            await person.publish_microphone(hz)
        await asyncio.sleep(BEFORE_SECONDS)
        await asyncio.gather(
            *(cut(paths[name], seconds) for name, seconds in CUTS.items()), stop(recorders[STOPPED]), rebind(paths)
        )
        await asyncio.sleep(max(AFTER_SECONDS, CALL_SECONDS - BEFORE_SECONDS - max(CUTS.values())))
        for person in people:
            story.captured[person.identity] = await person.leave()
        await asyncio.sleep(1.0)
        ended = await asyncio.gather(*(recorder.stop() for recorder in recorders.values()))
        story.recordings = dict(zip(recorders, ended, strict=True))
        story.lost_share = {name: path.lost / path.sent for name, path in paths.items()}
    return story


def networks() -> dict[str, NetworkConditions]:
    bad = {
        name: NetworkConditions(delay_seconds=0.02, jitter_seconds=0.05, loss=loss, duplicates=0.01)
        for name, loss in LOSSES.items()
    }
    return bad | dict.fromkeys((*CUTS, STOPPED, REBOUND, REFERENCE), GOOD)


async def cut(path: ImpairedPath, seconds: float) -> None:
    path.cut()
    await asyncio.sleep(seconds)
    path.mend()


async def stop(recorder: Recorder) -> None:
    recorder.send_signal(signal.SIGSTOP)
    await asyncio.sleep(STOP_SECONDS)
    recorder.send_signal(signal.SIGCONT)


async def rebind(paths: dict[str, ImpairedPath]) -> None:
    paths[REBOUND].rebind()


@pytest.fixture(scope="module")
def story(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Story:
    return asyncio.run(hold_call(server, tmp_path_factory.mktemp("bad-network")))


every_recorder = pytest.mark.parametrize("recorder", [*LOSSES, *CUTS, STOPPED, REBOUND])
everybody = pytest.mark.parametrize("who", PEOPLE)


@everybody
@every_recorder
def test_every_file_plays_without_an_error(story: Story, recorder: str, who: str) -> None:
    assert story.recordings[recorder].exit_code == 0
    check_decodes(story.file(recorder, who))
    assert story.file(recorder, who).repeated_counters == []


@everybody
@every_recorder
def test_pictures_are_where_a_good_network_has_them(story: Story, recorder: str, who: str) -> None:
    """Before a cut and after it: one timeline."""
    moved = apart(settled_pictures(story.file(recorder, who)), settled_pictures(story.file(REFERENCE, who)))
    assert len(moved) > FPS * (BEFORE_SECONDS - SETTLED_SECONDS), f"{len(moved)} pictures in common"
    assert share(moved, 0.95) <= P95_SECONDS, moved
    assert moved[-1] <= WORST_SECONDS, moved


@everybody
@every_recorder
def test_sound_is_as_far_from_the_picture_as_with_a_good_network(story: Story, recorder: str, who: str) -> None:
    own, good = settled_offsets(story.file(recorder, who)), settled_offsets(story.file(REFERENCE, who))
    differences = sorted(abs(own[counter] - good[counter]) for counter in own.keys() & good.keys())
    assert len(differences) >= 5
    assert share(differences, 0.95) <= P95_SECONDS, differences


@everybody
@pytest.mark.parametrize("recorder", LOSSES)
def test_lost_packets_cost_no_picture_and_no_sound(story: Story, recorder: str, who: str) -> None:
    assert story.lost_share[recorder] == pytest.approx(LOSSES[recorder], rel=0.5)
    own, good = story.file(recorder, who), story.file(REFERENCE, who)
    missing = set(own.missing_counters) - set(good.missing_counters)
    assert len(missing) <= MAX_MISSING * len(own.counters), missing
    # The very last may be lost when nobody can be asked for it any more.
    assert good.counters[-1] - own.counters[-1] <= 2
    for stream in streams_of(story.recordings[recorder], who):
        assert stream["lost_frames"] <= MAX_MISSING * stream["frames"] + 2, stream


@everybody
@pytest.mark.parametrize("recorder", [*CUTS, STOPPED])
def test_after_a_cut_the_same_file_goes_on_and_tells_what_is_missing(story: Story, recorder: str, who: str) -> None:
    seconds = CUTS.get(recorder, STOP_SECONDS)
    own, good = story.file(recorder, who), story.file(REFERENCE, who)
    limit = REJOIN_LIMIT_SECONDS if seconds > 10 else REPAIR_LIMIT_SECONDS
    hole = max(later - earlier for earlier, later in pairwise(own.counters)) / FPS
    assert hole <= seconds + limit
    if recorder != STOPPED:  # what came while it was stopped may wait in the socket
        assert hole >= seconds - 0.5
    assert good.counters[-1] - own.counters[-1] <= 2
    video, audio = sorted(streams_of(story.recordings[recorder], who), key=lambda stream: stream["kind"] == "audio")
    unseen = len(set(own.missing_counters) - set(good.missing_counters))
    assert video["lost_frames"] + 3 >= unseen * (seconds <= 10)
    assert audio["lost_frames"] + audio["filled_frames"] >= (hole - 1) * SOUND_FPS * (recorder != STOPPED)


@everybody
def test_a_nat_that_forgets_costs_a_moment_at_most(story: Story, who: str) -> None:
    own = story.file(REBOUND, who)
    hole = max(later - earlier for earlier, later in pairwise(own.counters)) / FPS
    assert hole <= REJOIN_LIMIT_SECONDS
    assert story.file(REFERENCE, who).counters[-1] - own.counters[-1] <= 2


def settled_pictures(playback: Playback) -> dict[int, float]:
    """When each shows, but for those of the first seconds and those soon after a hole. By counter."""
    found: dict[int, float] = {}
    settled_at = playback.pictures[0].seconds + SETTLED_SECONDS
    for earlier, later in pairwise(readable(playback)):
        if later.seconds - earlier.seconds > 1.0:
            settled_at = later.seconds + SETTLED_SECONDS
        if later.seconds >= settled_at and later.counter is not None:
            found[later.counter] = later.seconds
    return found


def readable(playback: Playback) -> Iterable[Picture]:
    return (picture for picture in playback.pictures if picture.counter is not None)


def apart(own: dict[int, float], good: dict[int, float]) -> list[float]:
    """How far pictures are from where they should be, two files' beginnings apart; ascending."""
    differences = [own[counter] - good[counter] for counter in own.keys() & good.keys()]
    usual = statistics.median(differences) if differences else 0.0
    return sorted(abs(difference - usual) for difference in differences)


def settled_offsets(playback: Playback) -> dict[int, float]:
    """How much later than its flash each beep comes. By the picture's counter."""
    found: dict[int, float] = {}
    for counter, seconds in settled_pictures(playback).items():
        if counter % FPS == 0 and (near := min(playback.beeps, key=lambda beep: abs(beep - seconds), default=None)):
            if abs(near - seconds) < 0.5:
                found[counter] = near - seconds
    return found


def share(ascending: list[float], part: float) -> float:
    return ascending[min(len(ascending) - 1, int(part * len(ascending)))]


def streams_of(recording: Recording, who: str) -> list[dict[str, float]]:
    return [stream for file in recording.files_of(who) if len(file["streams"]) == 2 for stream in file["streams"]]


ServerMaker = Callable[[], ServerProcess]
