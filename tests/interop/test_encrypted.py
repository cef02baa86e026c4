"""Official clients encrypt end to end: who has the keys records the call, who has not records no noise."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest

from channel_recorder.config import RecordingConfig
from channel_recorder.recording.sealed_file import read_sealed
from channel_recorder.wiring.unseal import unseal_folder
from testbed.browser import browsers
from testbed.person import Person
from testbed.publisher import Publisher
from testbed.recorder import Recorder, Recording
from testbed.server_process import ServerProcess
from tests.interop.checks import (
    Scene,
    check_decodes,
    check_pictures,
    check_sync,
    check_tone,
    played,
)

CHANNEL = "encrypted"
KEY = "a passphrase of the room"
OWN_KEY = "only for 104"
NEXT_KEY = "the next passphrase"
RAW_KEY = base64.b64encode(bytes(range(32))).decode()
CALL_SECONDS = 6.5
TALKERS = {"101": ("vp8", 400), "102": ("h264", 500)}
RATCHETER, CHANGER = TALKERS
VP9, OWNER, BROWSER, OPEN = "103", "104", "105", "106"
VP9_HZ, OWNER_HZ, BROWSER_HZ, OPEN_HZ = 600, 700, 800, 900
SEALED = {who: {"audio", "video"} for who in (*TALKERS, VP9, BROWSER)} | {OWNER: {"audio"}}
"""Kinds of tracks that only who has the keys can open."""
KEYS = [
    {"account": OWNER, "secret": OWN_KEY},
    {"account": BROWSER, "raw_key": RAW_KEY},
    {"key_index": 1, "secret": NEXT_KEY},
]


async def talk(person: Person, codec: str, hz: float) -> None:
    await person.publish_camera(codec)
    await person.publish_microphone(hz)


async def start_recorders(server: ServerProcess, root: Path) -> dict[str, Recorder]:
    files = {"key": KEY, "keys": json.dumps(KEYS), "wrong": "another passphrase"}
    for name, text in files.items():
        (root / f"{name}.txt").write_text(text)
    flags = {
        "knowing": ["--secret", f"@{root / 'key.txt'}", "--encryption-keys", f"@{root / 'keys.txt'}"],
        "wrong": ["--secret", f"@{root / 'wrong.txt'}", "--keep-ciphertext"],
        "keyless": [],
    }
    return {
        name: await Recorder.start(server, CHANNEL, root / name, *more, uid=900 + number)
        for number, (name, more) in enumerate(flags.items())
    }


async def hold_call(server: ServerProcess, root: Path) -> Scene:
    scene = Scene()
    people: dict[str, Person] = {
        who: Publisher(server, CHANNEL, who, encryption_key=OWN_KEY if who == OWNER else KEY)
        for who in (*TALKERS, VP9, OWNER)
    }
    people[OPEN] = Publisher(server, CHANNEL, OPEN)
    async with browsers() as pages:
        recorders = await start_recorders(server, root)
        people[BROWSER] = pages.person(server, CHANNEL, BROWSER, "2.23.0", encryption_key=f"base64:{RAW_KEY}")
        await asyncio.gather(*(person.join() for person in people.values()))
        await asyncio.gather(
            *(talk(people[who], codec, hz) for who, (codec, hz) in TALKERS.items()),
            talk(people[VP9], "vp9", VP9_HZ),
            people[OWNER].publish_microphone(OWNER_HZ),
            people[OPEN].publish_microphone(OPEN_HZ),
            talk(people[BROWSER], "h264", BROWSER_HZ),
        )
        await asyncio.sleep(CALL_SECONDS / 2)
        await change_keys(people)
        await asyncio.sleep(CALL_SECONDS / 2)
        reports = await asyncio.gather(*(person.leave() for person in people.values()))
    scene.captured = dict(zip(people, reports, strict=True))
    scene.recordings = {name: await recorder.stop() for name, recorder in recorders.items()}
    return scene


async def change_keys(people: dict[str, Person]) -> None:
    changer, ratcheter = people[CHANGER], people[RATCHETER]
    assert isinstance(changer, Publisher)
    assert isinstance(ratcheter, Publisher)
    await people[BROWSER].send_data("raise-hand", topic="signals")
    await people[RATCHETER].send_text("good morning", topic="lk.chat")
    await changer.use_key(NEXT_KEY, 1)
    await ratcheter.ratchet_key()


@pytest.fixture(scope="module")
def call(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return asyncio.run(hold_call(server, tmp_path_factory.mktemp("encrypted")))


@pytest.mark.parametrize("who", TALKERS)
def test_who_has_the_keys_records_all_pictures_and_sound(call: Scene, who: str) -> None:
    playback = call.playback("knowing", who)
    check_decodes(playback)
    check_pictures(playback, call.captured[who]["camera"])
    check_tone(playback, TALKERS[who][1], call.captured[who]["microphone"])


# Deriving its next key stops a client for a moment, on a busy machine for long: those who change theirs are left out.
def test_sound_and_pictures_are_in_step(call: Scene) -> None:
    playback = played(call.recordings["knowing"].paths_of(VP9)[-1])
    check_sync(playback, at_least=2)


def test_layers_of_vp9_open_one_by_one(call: Scene) -> None:
    # All of it is ciphertext, in which livekit-server looks for a key frame to begin with: that may take seconds.
    playback = played(call.recordings["knowing"].paths_of(VP9)[-1])
    check_decodes(playback)
    check_pictures(playback, call.captured[VP9]["camera"], from_start=False)
    check_tone(playback, VP9_HZ, call.captured[VP9]["microphone"], from_start=False)


def test_who_has_a_key_of_their_own_is_heard(call: Scene) -> None:
    playback = call.playback("knowing", OWNER)
    check_decodes(playback)
    check_tone(playback, OWNER_HZ, call.captured[OWNER]["microphone"])


def test_a_browser_with_a_raw_key_is_recorded_like_the_others(call: Scene) -> None:
    playback = call.playback("knowing", BROWSER)
    check_decodes(playback)
    assert playback.repeated_counters == []
    assert len(playback.counters) > CALL_SECONDS * 3  # a browser on a busy machine leaves pictures out
    assert len(playback.tone_spans(BROWSER_HZ)) == 1


def test_nothing_stayed_sealed_for_who_has_the_keys(call: Scene) -> None:
    recording = call.recordings["knowing"]
    assert recording.exit_code == 0
    assert [event for event in recording.events if event["event"] in ("error", "warning")] == []
    assert "sealed_tracks" not in recording.manifest
    for file in recording.files:
        assert [stream["lost_frames"] for stream in file["streams"] if stream["kind"] == "video"] in ([0], [])


def test_encrypted_chat_and_data_are_in_the_journal(call: Scene) -> None:
    said = {line["topic"]: line["text"] for line in data_lines(call.recordings["knowing"])}
    assert said == {"signals": "raise-hand", "lk.chat": "good morning"}
    assert {line["kind"] for line in data_lines(call.recordings["wrong"])} == {"encrypted"}


def data_lines(recording: Recording) -> list[dict[str, str]]:
    return [line for line in recording.journal if line["fact"] == "data"]


@pytest.mark.parametrize("recorder", ["wrong", "keyless"])
def test_without_the_key_only_what_is_open_becomes_media(call: Scene, recorder: str) -> None:
    recording = call.recordings[recorder]
    assert recording.exit_code == 0
    assert [file["account"] for file in recording.files] == [OPEN]
    assert recording.media_files() == [call.path(recorder, OPEN)]
    playback = call.playback(recorder, OPEN)
    check_decodes(playback)
    check_tone(playback, OPEN_HZ, call.captured[OPEN]["microphone"])


def test_a_wrong_key_is_an_error_for_every_user_once(call: Scene) -> None:
    errors = [event for event in call.recordings["wrong"].events if event["event"] == "error"]
    assert {event["code"] for event in errors} == {120}
    assert len(errors) == len(SEALED)
    for who in SEALED:
        assert sum(f"user {who} " in event["message"] for event in errors) == 1


def test_without_any_key_every_encrypted_track_is_warned_of(call: Scene) -> None:
    warnings = [event for event in call.recordings["keyless"].events if event["event"] == "warning"]
    assert {event["code"] for event in warnings} == {1003}
    assert len(warnings) == sum(map(len, SEALED.values()))


@pytest.mark.parametrize("who", TALKERS)
def test_what_was_kept_sealed_opens_later_into_the_same_files(opened: Recording, call: Scene, who: str) -> None:
    playback = played(opened.paths_of(who)[-1])
    check_decodes(playback)
    check_pictures(playback, call.captured[who]["camera"], from_start=False)
    check_tone(playback, TALKERS[who][1], call.captured[who]["microphone"], from_start=False)


@pytest.fixture(scope="module")
def opened(call: Scene) -> Recording:
    """What the recorder with the wrong key kept, opened with the right ones."""
    config = RecordingConfig(secret=KEY, encryption_keys=KEYS)
    done = unseal_folder(call.recordings["wrong"].directory, config)
    assert done.unopened_frames == 0
    return Recording(done.path, 0, (), "")


def test_the_manifest_marks_what_stayed_sealed_and_where_it_is_kept(call: Scene) -> None:
    recording = call.recordings["wrong"]
    tracks = recording.manifest["sealed_tracks"]
    assert {(track["account"], track["kind"]) for track in tracks} == {
        (who, kind) for who, kinds in SEALED.items() for kind in kinds
    }
    for track in tracks:
        (name,) = track["files"]
        with (recording.directory / name).open("rb") as file:
            header, frames = read_sealed(file)
            kept = list(frames)
        assert (header.track.user.account, header.track.sid) == (track["account"], track["sid"])
        assert len(kept) == track["frames"]
        assert sorted({frame.key_index for frame in kept}) == track["key_indexes"]
        assert track["key_indexes"] == ([0, 1] if track["account"] == CHANGER else [0])
