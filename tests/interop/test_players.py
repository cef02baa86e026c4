"""What people play files with plays every container kind to its end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from testbed.players import BrowserPlayback, ffmpeg_complaints, ffprobe, play_in_chromium
from testbed.publisher import Publisher
from testbed.recorder import Recorder
from testbed.server_process import ServerProcess
from tests.interop.checks import Scene

CHANNEL = "players"
CAMERAS = {"701": "vp8", "702": "vp9", "703": "h264", "704": "av1"}
KINDS = {
    ("opus", "701"): ".webm",
    ("opus", "702"): ".webm",
    ("opus", "703"): ".mp4",
    ("opus", "704"): ".mp4",
    ("opus", "705"): ".ogg",
    ("aac", "703"): ".mp4",
    ("aac", "705"): ".m4a",
}
"""By recorder and user. Debian's Chromium knows no H.265."""


async def hold_call(server: ServerProcess, root: Path) -> Scene:
    opus = await Recorder.start(server, CHANNEL, root / "opus", uid=900)
    aac = await Recorder.start(server, CHANNEL, root / "aac", "--audio-codec", "aac", uid=901)
    people = {who: Publisher(server, CHANNEL, who) for who in (*CAMERAS, "705")}
    await asyncio.gather(*(person.join() for person in people.values()))
    for who, codec in CAMERAS.items():
        await people[who].publish_camera(codec)
    await asyncio.gather(*(person.publish_microphone(440) for person in people.values()))
    await asyncio.sleep(4)
    await asyncio.gather(*(person.leave() for person in people.values()))
    return Scene({"opus": await opus.stop(), "aac": await aac.stop()})


@pytest.fixture(scope="module")
def call(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return asyncio.run(hold_call(server, tmp_path_factory.mktemp("players")))


@pytest.fixture(scope="module")
def browser(call: Scene) -> dict[Path, BrowserPlayback]:
    return asyncio.run(play_in_chromium([call.path(*kind) for kind in KINDS]))


@pytest.mark.parametrize(("recorder", "who"), KINDS)
def test_chromium_plays_it_to_the_end(
    call: Scene, browser: dict[Path, BrowserPlayback], recorder: str, who: str
) -> None:
    path = call.path(recorder, who)
    assert path.suffix == KINDS[recorder, who]
    shown, read = browser[path], call.playback(recorder, who)
    assert shown.error == ""
    assert shown.ended
    assert shown.current_seconds == pytest.approx(shown.duration_seconds, abs=0.1)
    assert shown.duration_seconds == pytest.approx(read.duration_seconds, abs=0.1)
    assert shown.frames == len(read.pictures)
    assert shown.audio_bytes > 0
    assert (shown.width, shown.height) == ((320, 240) if who in CAMERAS else (0, 0))


@pytest.mark.parametrize(("recorder", "who"), KINDS)
def test_ffmpeg_plays_it_to_the_end_without_a_complaint(call: Scene, recorder: str, who: str) -> None:
    path = call.path(recorder, who)
    assert ffmpeg_complaints(path) == []
    kinds = {stream["codec_type"] for stream in ffprobe(path)["streams"]}
    assert kinds == ({"audio", "video"} if who in CAMERAS else {"audio"})
