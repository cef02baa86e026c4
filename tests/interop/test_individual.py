"""A call of official clients is recorded: every codec, sound and picture of each user, nothing lost, in step."""

from __future__ import annotations

import asyncio
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from testbed.publisher import Publisher
from testbed.recorder import Recorder
from testbed.server_process import ServerProcess
from tests.interop.checks import (
    Scene,
    check_decodes,
    check_pictures,
    check_silent,
    check_steady_pace,
    check_sync,
    check_tone,
    played,
)

CHANNEL = "individual"
CALL_SECONDS = 6.5
SCREEN_HZ = 1_000
TALKERS = {"101": ("vp8", 400), "alice@example.org": ("h264", 500), "103": ("vp9", 600), "104": ("av1", 700)}
LISTENER, LISTENER_HZ = "105", 800
SILENT = "106"
CONTAINERS = {"vp8": ".webm", "vp9": ".webm", "h264": ".mp4", "av1": ".mp4"}


async def talk(publisher: Publisher, codec: str, hz: float) -> None:
    await publisher.publish_camera(codec)
    await publisher.publish_microphone(hz)


async def share_screen(publisher: Publisher) -> None:
    await publisher.publish_camera("vp8", source="screen_share", width=640, height=360, max_bitrate=800_000)
    await publisher.publish_microphone(SCREEN_HZ, source="screen_share_audio", dtx=False, red=False)


async def chat(publisher: Publisher) -> None:
    await publisher.send_text("good morning", topic="lk.chat")
    await publisher.send_data("raise-hand", topic="signals")


async def hold_call(server: ServerProcess, root: Path) -> Scene:
    """One recorder is there before anybody, one comes when the call is on."""
    scene = Scene()
    first = await Recorder.start(server, CHANNEL, root, uid=900)
    people = {who: Publisher(server, CHANNEL, who) for who in (*TALKERS, LISTENER, SILENT)}
    await asyncio.gather(*(person.join() for person in people.values()))
    await asyncio.gather(
        *(talk(people[who], codec, hz) for who, (codec, hz) in TALKERS.items()),
        people[LISTENER].publish_microphone(LISTENER_HZ),
        people[SILENT].publish_camera("vp8"),
    )
    await share_screen(people["101"])
    await asyncio.sleep(1.5)
    last = await Recorder.start(server, CHANNEL, root, uid=901)
    await chat(people["101"])
    await asyncio.sleep(CALL_SECONDS - 1.5)
    reports = await asyncio.gather(*(person.leave() for person in people.values()))
    scene.captured = dict(zip(people, reports, strict=True))
    scene.recordings = {"first": await first.stop(), "last": await last.stop()}
    return scene


@pytest.fixture(scope="module")
def call(any_server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return asyncio.run(hold_call(any_server, tmp_path_factory.mktemp("individual")))


@pytest.mark.parametrize("who", TALKERS)
def test_a_user_is_one_file_with_all_pictures_and_sound_in_step(call: Scene, who: str) -> None:
    codec, hz = TALKERS[who]
    playback = call.playback("first", who)
    assert call.path("first", who).suffix == CONTAINERS[codec]
    check_decodes(playback)
    assert playback.sizes == [(320, 240)]
    check_pictures(playback, call.captured[who]["camera"])
    check_steady_pace(playback)
    check_tone(playback, hz, call.captured[who]["microphone"])
    check_sync(playback)


@pytest.mark.parametrize("who", TALKERS)
def test_who_comes_late_records_what_is_left_of_the_call(call: Scene, who: str) -> None:
    playback = call.playback("last", who)
    check_decodes(playback)
    check_pictures(playback, call.captured[who]["camera"], from_start=False)
    check_tone(playback, TALKERS[who][1], call.captured[who]["microphone"], from_start=False)
    check_sync(playback, at_least=2)


def test_sound_alone_is_an_ogg_file_that_holds_it_all(call: Scene) -> None:
    playback = call.playback("first", LISTENER)
    assert call.path("first", LISTENER).suffix == ".ogg"
    check_decodes(playback)
    assert playback.pictures == ()
    check_tone(playback, LISTENER_HZ, call.captured[LISTENER]["microphone"])
    beeps = playback.beeps
    assert len(beeps) >= 5
    assert max(abs(later - earlier - 1) for earlier, later in pairwise(beeps)) < 0.005


def test_pictures_alone_are_whole(call: Scene) -> None:
    playback = call.playback("first", SILENT)
    check_decodes(playback)
    check_silent(playback)
    check_pictures(playback, call.captured[SILENT]["camera"])
    check_steady_pace(playback)


def test_a_shared_screen_with_its_sound_is_a_file_of_its_own(call: Scene) -> None:
    path = call.path("first", "101", screen=True)
    assert path.stem.endswith("_screen")
    playback = played(path)
    check_decodes(playback)
    assert playback.sizes == [(640, 360)]
    check_pictures(playback, call.captured["101"]["screen_share"])
    check_tone(playback, SCREEN_HZ, call.captured["101"]["screen_share_audio"])
    check_sync(playback)


def test_nobody_is_heard_in_the_file_of_another(call: Scene) -> None:
    tones = {who: hz for who, (_, hz) in TALKERS.items()} | {LISTENER: LISTENER_HZ}
    for mine, theirs in combinations(tones, 2):
        assert call.playback("first", mine).tone_spans(tones[theirs]) == []


def test_the_manifest_tells_what_the_files_hold(call: Scene) -> None:
    recording = call.recordings["first"]
    assert recording.exit_code == 0
    assert recording.manifest["channel"] == CHANNEL
    assert {file["account"] for file in recording.files} == {*TALKERS, LISTENER, SILENT}
    assert {recording.directory / file["name"] for file in recording.files} == set(recording.media_files())
    for file in recording.files:
        assert file["bytes"] == (recording.directory / file["name"]).stat().st_size
        playback = played(recording.directory / file["name"])
        streams = {stream["kind"]: stream for stream in file["streams"]}
        assert streams.get("video", {}).get("frames", 0) == len(playback.pictures)
        assert streams.get("video", {}).get("lost_frames", 0) == 0
        # The server's own sound starts with a packet or two missing where it takes redundancy (RED) off.
        assert streams.get("audio", {}).get("lost_frames", 0) <= 3


def test_a_text_account_has_a_number_that_names_its_files(call: Scene) -> None:
    (file,) = call.recordings["first"].files_of("alice@example.org")
    assert file["uid"] >= 2**31
    assert file["name"].startswith(f"{file['uid']}_")


def test_chat_and_data_are_in_the_journal(call: Scene) -> None:
    said = [line for line in call.recordings["first"].journal if line["fact"] == "data"]
    assert {line["account"] for line in said} == {"101"}
    (data,) = [line for line in said if line["topic"] == "signals"]
    assert data["text"] == "raise-hand"
    assert "lk.chat" in {line["topic"] for line in said}


def test_the_recorder_is_seen_by_nobody(call: Scene) -> None:
    joined = [event for event in call.recordings["first"].events if event["event"] == "user_joined"]
    assert {event["account"] for event in joined} == {*TALKERS, LISTENER, SILENT}
