"""Recorders of a live call are killed at random instants: what they left is recovered, plays, and lacks little."""

from __future__ import annotations

import asyncio
import statistics
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.person import Captured
from testbed.publisher import Publisher
from testbed.readback import read_back
from testbed.recorder import Recorder, Recording
from testbed.server_process import ServerProcess
from testbed.torture import PEOPLE, START_LIMIT_SECONDS, Kill, summary, torture
from tests.interop.checks import check_decodes

KILLS = 6
SEED = 1
FPS = 15
LIFE_SECONDS = 3.0
ONE_TIMELINE_SECONDS = 0.1
"""The wall clock carries the timeline over a crash, to what the first packets of either life tell of their delay."""


@pytest.fixture(scope="module")
def kills() -> list[Kill]:
    return asyncio.run(torture(KILLS, SEED))


def test_every_file_plays_and_lacks_at_most_the_last_second(kills: list[Kill]) -> None:
    assert len(kills) == KILLS
    assert [fault for kill in kills for fault in kill.faults] == [], summary(kills)


def test_everybody_is_in_the_recordings(kills: list[Kill]) -> None:
    long = [kill for kill in kills if kill.after_seconds > START_LIMIT_SECONDS]
    assert long
    for kill in long:
        assert kill.files >= len(PEOPLE)
        assert {loss.uid for loss in kill.losses} == set(PEOPLE)


def test_some_recoveries_were_killed_too(kills: list[Kill]) -> None:
    assert any(kill.recovery_was_killed for kill in kills)


@dataclass
class TwoLives:
    recording: Recording
    directories: tuple[Path, Path]
    captured: Captured


async def die_and_come_back(server: ServerProcess, root: Path) -> TwoLives:
    async with Publisher(server, "two-lives", "7") as alice:
        await alice.publish_camera("vp8", fps=FPS)
        await alice.publish_microphone(500)
        first = await Recorder.start(server, "two-lives", root)
        await asyncio.sleep(LIFE_SECONDS)
        first.kill()
        await first.ended()
        second = await Recorder.start(server, "two-lives", root)
        await asyncio.sleep(LIFE_SECONDS)
        directories = (first.storage_dir, second.storage_dir)
        recording = await second.stop()
        captured = (await alice.leave())["camera"]
    return TwoLives(recording, directories, captured)


@pytest.fixture(scope="module")
def lives(embedded_server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> TwoLives:
    return asyncio.run(die_and_come_back(embedded_server, tmp_path_factory.mktemp("lives")))


def test_a_recorder_that_comes_back_goes_on_where_it_was(lives: TwoLives) -> None:
    assert lives.directories[0] == lives.directories[1]
    assert lives.recording.exit_code == 0
    assert lives.recording.manifest["reason"] == "signal"
    assert [file["account"] for file in lives.recording.files] == ["7", "7"]
    assert any(event["event"] == "warning" and event["code"] == 108 for event in lives.recording.events)


def test_both_lives_are_on_one_timeline(lives: TwoLives) -> None:
    """A picture's counter tells when it was taken: the same delay in both files."""
    delays: list[float] = []
    for file in lives.recording.files:
        playback = read_back(lives.recording.directory / file["name"])
        check_decodes(playback)
        late = [file["start"] + one.seconds - one.counter / FPS for one in playback.pictures if one.counter is not None]
        assert len(late) > FPS
        delays.append(statistics.median(late))
    assert abs(delays[1] - delays[0]) < ONE_TIMELINE_SECONDS
