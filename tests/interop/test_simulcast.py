"""Of simulcast the highest layer is recorded, or the lowest where that is asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from testbed.publisher import Publisher
from testbed.recorder import Recorder
from testbed.server_process import ServerProcess
from tests.interop.checks import Scene, check_decodes, check_sync

CHANNEL = "simulcast"
WIDTH, HEIGHT = 640, 480
CODECS = {"601": "vp8", "602": "h264"}
SVC_USER = "603"
SETTLED_SECONDS = 4.0
"""A publisher starts with its lowest layers and sends all of them once it trusts the network."""


async def hold_call(server: ServerProcess, root: Path) -> Scene:
    people = {who: Publisher(server, CHANNEL, who) for who in (*CODECS, SVC_USER)}
    await asyncio.gather(*(person.join() for person in people.values()))
    for who, codec in CODECS.items():
        await people[who].publish_camera(codec, width=WIDTH, height=HEIGHT, simulcast=True, max_bitrate=900_000)
        await people[who].publish_microphone(440)
    await people[SVC_USER].publish_camera(
        "vp9", width=WIDTH, height=HEIGHT, max_bitrate=900_000, scalability_mode="L3T3_KEY"
    )
    high = await Recorder.start(server, CHANNEL, root / "high", uid=900)
    low = await Recorder.start(server, CHANNEL, root / "low", "--stream-type", "1", uid=901)
    await asyncio.sleep(SETTLED_SECONDS + 4)
    captured = {who: await person.leave() for who, person in people.items()}
    return Scene({"high": await high.stop(), "low": await low.stop()}, captured)


@pytest.fixture(scope="module")
def call(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return asyncio.run(hold_call(server, tmp_path_factory.mktemp("simulcast")))


@pytest.mark.parametrize("who", [*CODECS, SVC_USER])
def test_the_highest_layer_is_recorded_without_a_break(call: Scene, who: str) -> None:
    playback = call.playback("high", who)
    check_decodes(playback)
    settled = [one for one in playback.pictures if one.seconds > SETTLED_SECONDS]
    assert {(one.width, one.height) for one in settled} == {(WIDTH, HEIGHT)}
    counters = [one.counter for one in settled]
    assert counters == list(range(counters[0] or 0, (counters[0] or 0) + len(counters)))


@pytest.mark.parametrize("who", CODECS)
def test_the_low_stream_type_records_the_lowest_layer(call: Scene, who: str) -> None:
    playback = call.playback("low", who)
    check_decodes(playback)
    settled = [one for one in playback.pictures if one.seconds > SETTLED_SECONDS]
    assert settled
    assert all(one.width < WIDTH for one in settled)
    counters = [one.counter for one in settled]
    assert counters == list(range(counters[0] or 0, (counters[0] or 0) + len(counters)))


@pytest.mark.parametrize("who", CODECS)
def test_sound_stays_in_step_over_a_change_of_layer(call: Scene, who: str) -> None:
    check_sync(call.playback("high", who))
