"""Recorders of a live call are killed at random instants: what they left is recovered, plays, and lacks little."""

from __future__ import annotations

import asyncio

import pytest

from testbed.torture import PEOPLE, START_LIMIT_SECONDS, Kill, summary, torture

KILLS = 6
SEED = 1


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
