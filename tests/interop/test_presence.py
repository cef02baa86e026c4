"""People mute, go, come back, publish late, change size, codec and orientation; the recorder knows when it is over."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from testbed.publisher import Captured, Publisher
from testbed.recorder import Recorder
from testbed.server_process import ServerProcess
from tests.interop.checks import Scene, check_decodes, check_pictures, check_sync, played

CHANNEL = "presence"
HZ = 500
MUTED_SECONDS = 2.0
IDLE_LIMIT_SECONDS = 3

Story = dict[str, Captured]
"""What a user captured, by source; a second publication of a source as `<source>_again`."""


async def mutes_for_a_while(user: Publisher) -> Story:
    await user.publish_camera("vp8")
    await user.publish_microphone(HZ)
    await asyncio.sleep(3)
    await user.mute("microphone")
    await asyncio.sleep(MUTED_SECONDS)
    await user.unmute("microphone")
    await asyncio.sleep(3)
    return await user.leave()


async def comes_back(user: Publisher) -> Story:
    await user.publish_camera("h264")
    await user.publish_microphone(HZ)
    await asyncio.sleep(3.5)
    story = await user.leave()
    await user.join()
    await user.publish_camera("h264")
    await user.publish_microphone(HZ)
    await asyncio.sleep(3.5)
    again = await user.leave()
    return story | {f"{source}_again": captured for source, captured in again.items()}


async def changes_size(user: Publisher) -> Story:
    await user.publish_camera("vp8")
    await asyncio.sleep(3)
    await user.resize(480, 360)
    await asyncio.sleep(3)
    return await user.leave()


async def is_upside_down(user: Publisher) -> Story:
    await user.publish_camera("h264", rotation=180)
    await asyncio.sleep(4)
    return await user.leave()


async def switches_the_camera_on_late(user: Publisher) -> Story:
    await user.publish_microphone(HZ)
    await asyncio.sleep(3)
    await user.publish_camera("vp8")
    await asyncio.sleep(3)
    return await user.leave()


async def changes_codec(user: Publisher) -> Story:
    await user.publish_microphone(HZ)
    await user.publish_camera("vp8")
    await asyncio.sleep(3)
    before = await user.unpublish("camera")
    await user.publish_camera("h264")
    await asyncio.sleep(3)
    after = await user.leave()
    return {"camera": before, "camera_again": after["camera"], "microphone": after["microphone"]}


STORIES = {
    "401": mutes_for_a_while,
    "402": comes_back,
    "403": changes_size,
    "404": is_upside_down,
    "405": switches_the_camera_on_late,
    "406": changes_codec,
}


async def live_through_stories(server: ServerProcess, root: Path) -> Scene:
    recorder = await Recorder.start(server, CHANNEL, root, idle_limit_sec=IDLE_LIMIT_SECONDS)
    people = [Publisher(server, CHANNEL, who) for who in STORIES]
    await asyncio.gather(*(person.join() for person in people))
    told = await asyncio.gather(*(STORIES[person.identity](person) for person in people))
    return Scene({"one": await recorder.ended(IDLE_LIMIT_SECONDS + 10)}, dict(zip(STORIES, told, strict=True)))


@pytest.fixture(scope="module")
def scene(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return asyncio.run(live_through_stories(server, tmp_path_factory.mktemp("presence")))


def test_a_mute_is_silence_of_its_length_and_sound_stays_in_step(scene: Scene) -> None:
    playback = scene.playback("one", "401")
    check_decodes(playback)
    check_pictures(playback, scene.captured["401"]["camera"])
    spans = playback.tone_spans(HZ)
    assert len(spans) == 2, spans
    before, after = spans
    assert after[0] - before[1] == pytest.approx(MUTED_SECONDS, abs=0.3)
    check_sync(playback)
    late = [offset for flash, offset in zip(playback.flashes, playback.offsets, strict=False) if flash > after[0]]
    assert late
    assert max(map(abs, late)) < 0.04


def test_who_comes_back_soon_goes_on_in_the_same_file(scene: Scene) -> None:
    playback = scene.playback("one", "402")
    check_decodes(playback)
    first, second = scene.captured["402"]["camera"], scene.captured["402"]["camera_again"]
    restart = next(n for n, (one, two) in enumerate(pairwise(playback.counters)) if two < one) + 1
    before, after = playback.counters[:restart], playback.counters[restart:]
    assert before == list(range(before[0], first.captured))
    assert after == list(range(after[0], second.captured))
    spans = playback.tone_spans(HZ)
    assert len(spans) == 2, spans
    away = second.started_at_unix - first.started_at_unix
    seen = [one.seconds for one in playback.pictures if one.counter is not None]
    assert seen[restart] - seen[0] == pytest.approx(away + (after[0] - before[0]) / 15, abs=0.1)
    check_sync(playback)


def test_a_change_of_picture_size_stays_in_the_file(scene: Scene) -> None:
    playback = scene.playback("one", "403")
    check_decodes(playback)
    assert playback.sizes[0] == (320, 240)
    assert playback.sizes[-1] == (480, 360)
    check_pictures(playback, scene.captured["403"]["camera"])


def test_a_turned_camera_is_recorded_as_viewers_see_it(scene: Scene) -> None:
    # livekit-server takes no orientation from publishers, so they turn the pictures themselves.
    playback = played(scene.path("one", "404"), 180)
    check_decodes(playback)
    assert playback.rotation == 0
    check_pictures(playback, scene.captured["404"]["camera"])


def test_a_camera_after_the_microphone_begins_the_next_file_at_the_same_instant(scene: Scene) -> None:
    files = scene.recordings["one"].files_of("405")
    sound_alone, both = files
    assert sound_alone["name"].endswith(".ogg")
    assert both["name"].endswith(".webm")
    assert both["start"] == pytest.approx(sound_alone["start"] + sound_alone["duration"], abs=0.041)
    playback = played(scene.recordings["one"].directory / both["name"])
    check_decodes(playback)
    check_pictures(playback, scene.captured["405"]["camera"])
    check_sync(playback, at_least=2)
    heard = played(scene.recordings["one"].directory / sound_alone["name"]).sound_seconds + playback.sound_seconds
    assert heard == pytest.approx(scene.captured["405"]["microphone"].captured / 100, abs=0.5)


def test_another_codec_begins_the_next_file(scene: Scene) -> None:
    first, second = scene.recordings["one"].paths_of("406")
    assert (first.suffix, second.suffix) == (".webm", ".mp4")
    for path, source in ((first, "camera"), (second, "camera_again")):
        check_decodes(played(path))
        check_pictures(played(path), scene.captured["406"][source])
        check_sync(played(path), at_least=2)


def test_the_recorder_leaves_when_nobody_was_there_for_the_idle_limit(scene: Scene) -> None:
    recording = scene.recordings["one"]
    assert recording.exit_code == 0
    assert recording.events[-1]["event"] == "left"
    last_file_end = max(file["start"] + file["duration"] for file in recording.files)
    assert recording.manifest["duration"] >= last_file_end
    assert (recording.directory / "recording2-done.txt").exists()


async def broadcast(server: ServerProcess, root: Path) -> Scene:
    recorder = await Recorder.start(
        server, "broadcast", root, "--channel-profile", "1", idle_limit_sec=IDLE_LIMIT_SECONDS
    )
    async with Publisher(server, "broadcast", "502", can_publish=False):
        host = Publisher(server, "broadcast", "501")
        await host.join()
        await host.publish_camera("vp8")
        await asyncio.sleep(3)
        captured = {"501": await host.leave()}
        # The audience is still there: in this profile it does not count.
        return Scene({"one": await recorder.ended(IDLE_LIMIT_SECONDS + 5)}, captured)


def test_a_live_broadcast_is_over_when_its_host_left_though_an_audience_stays(
    server: ServerProcess, tmp_path: Path
) -> None:
    scene = asyncio.run(broadcast(server, tmp_path))
    assert scene.recordings["one"].exit_code == 0
    assert {file["account"] for file in scene.recordings["one"].files} == {"501"}
    check_pictures(scene.playback("one", "501"), scene.captured["501"]["camera"])
