"""One call, recorded in every way at once: manually, killed, in separate tracks, as AAC, one kind only, some users."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from testbed.players import ffmpeg_complaints
from testbed.publisher import Publisher
from testbed.readback import Playback
from testbed.recorder import Recorder
from testbed.server_process import ServerProcess
from tests.interop.checks import Scene, check_decodes, check_pictures, check_silent, check_sync, check_tone, played

CHANNEL = "modes"
USERS = {"301": ("vp8", 400), "302": ("h264", 500)}
RECORDERS = {
    "manual": ("--trigger-mode", "1"),
    "killed": (),
    "separate": ("--separate-tracks",),
    "aac": ("--audio-codec", "aac"),
    "sound": ("--is-audio-only",),
    "pictures": ("--is-video-only",),
    "some": ("--no-auto-subscribe", "--subscribe-video-uids", "301", "--subscribe-audio-uids", "302"),
}
MANUAL_SECONDS = 3.0
LIVED_SECONDS = 5.0
"""So long the killed recorder lived in the call."""


async def hold_call(server: ServerProcess, root: Path) -> Scene:
    recorders = dict(
        zip(
            RECORDERS,
            await asyncio.gather(
                *(
                    Recorder.start(server, CHANNEL, root / name, *flags, uid=900 + number)
                    for number, (name, flags) in enumerate(RECORDERS.items())
                )
            ),
            strict=True,
        )
    )
    people = {who: Publisher(server, CHANNEL, who) for who in USERS}
    await asyncio.gather(*(person.join() for person in people.values()))
    for who, (codec, hz) in USERS.items():
        await people[who].publish_camera(codec)
        await people[who].publish_microphone(hz)
    await asyncio.sleep(2)
    recorders["manual"].send_signal(signal.SIGUSR1)
    await asyncio.sleep(MANUAL_SECONDS)
    recorders["manual"].send_signal(signal.SIGUSR2)
    recorders["killed"].kill()
    await asyncio.sleep(2)
    captured = {who: await person.leave() for who, person in people.items()}
    killed = await recorders.pop("killed").ended()
    stopped = await asyncio.gather(*(recorder.stop(signal.SIGTERM) for recorder in recorders.values()))
    return Scene(dict(zip(recorders, stopped, strict=True)) | {"killed": killed}, captured)


@pytest.fixture(scope="module")
def call(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return asyncio.run(hold_call(server, tmp_path_factory.mktemp("modes")))


@pytest.mark.parametrize("who", USERS)
def test_manual_mode_records_between_the_two_signals(call: Scene, who: str) -> None:
    playback = call.playback("manual", who)
    check_decodes(playback)
    assert playback.repeated_counters == []
    assert playback.missing_counters == []
    shown = playback.pictures[-1].seconds - playback.pictures[0].seconds
    assert shown == pytest.approx(MANUAL_SECONDS, abs=1.0)
    check_sync(playback, at_least=1)


@pytest.mark.parametrize("who", USERS)
def test_a_killed_recorder_loses_no_more_than_the_last_second(call: Scene, who: str) -> None:
    recording = call.recordings["killed"]
    assert recording.exit_code == -signal.SIGKILL
    assert not (recording.directory / "manifest.json").exists()
    (path,) = [path for path in recording.media_files() if path.name.startswith(f"{who}_")]
    assert ffmpeg_complaints(path) == []
    playback = played(path)
    check_decodes(playback)
    assert playback.missing_counters == []
    lived = LIVED_SECONDS * 15
    assert playback.counters[-1] - playback.counters[0] >= lived - 1.0 * 15 - 15
    check_sync(playback, at_least=2)


@pytest.mark.parametrize("who", USERS)
def test_separate_tracks_are_a_pair_of_files(call: Scene, who: str) -> None:
    files = {file["streams"][0]["kind"]: file for file in call.recordings["separate"].files_of(who)}
    assert set(files) == {"audio", "video"}
    folder = call.recordings["separate"].directory
    check_pictures(played(folder / files["video"]["name"]), call.captured[who]["camera"])
    check_tone(played(folder / files["audio"]["name"]), USERS[who][1], call.captured[who]["microphone"])


@pytest.mark.parametrize(("who", "codec"), [("301", "opus"), ("302", "aac")])
def test_aac_is_for_mp4_and_the_sound_is_whole_and_in_step(call: Scene, who: str, codec: str) -> None:
    playback = call.playback("aac", who)
    assert codec in playback.codecs, "WebM holds no AAC"
    check_decodes(playback)
    check_pictures(playback, call.captured[who]["camera"])
    check_tone(playback, USERS[who][1], call.captured[who]["microphone"])
    check_sync(playback)


@pytest.mark.parametrize("who", USERS)
def test_audio_only_and_video_only_keep_the_other_kind_off_the_disk(call: Scene, who: str) -> None:
    heard, seen = call.playback("sound", who), call.playback("pictures", who)
    assert heard.pictures == ()
    check_tone(heard, USERS[who][1], call.captured[who]["microphone"])
    check_silent(seen)
    check_pictures(seen, call.captured[who]["camera"])


def test_only_those_on_the_lists_are_recorded(call: Scene) -> None:
    pictures_of: Playback = call.playback("some", "301")
    sound_of: Playback = call.playback("some", "302")
    check_silent(pictures_of)
    check_pictures(pictures_of, call.captured["301"]["camera"])
    assert sound_of.pictures == ()
    check_tone(sound_of, 500, call.captured["302"]["microphone"])


def test_every_recorder_that_was_asked_left_with_status_0(call: Scene) -> None:
    codes = {name: recording.exit_code for name, recording in call.recordings.items() if name != "killed"}
    assert set(codes.values()) == {0}, codes
