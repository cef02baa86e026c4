"""The Python API against a real server: two channels at once in one process, callbacks, lists changed on the way."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from channel_recorder import (
    LeavePath,
    OfflineReason,
    RecordedFile,
    RecordingConfig,
    RecordingEngine,
    RecordingHandler,
    StateError,
    UserJoinInfo,
)
from testbed.publisher import Captured, Publisher
from testbed.readback import read_back
from testbed.server_process import API_KEY, API_SECRET, ServerProcess
from tests.interop.checks import check_decodes, check_pictures, check_sync, check_tone

CHANNELS = {"left": ("801", "vp8", 400), "right": ("802", "h264", 500)}
EXCLUDED_SECONDS = 2.0
REACTION_SECONDS = 0.3


@dataclass
class Witness(RecordingHandler):
    """Writes down what it is told, and on which threads."""

    said: list[str] = field(default_factory=list[str])
    files: list[RecordedFile] = field(default_factory=list[RecordedFile])
    threads: set[int] = field(default_factory=set[int])

    def on_join_channel_success(self, channel_id: str, uid: int) -> None:
        self.said.append(f"join {channel_id} {uid}")
        self.threads.add(threading.get_ident())

    def on_user_joined(self, uid: int, info: UserJoinInfo) -> None:
        assert info.storage_dir.is_dir()
        self.said.append(f"user {uid}")

    def on_first_remote_video_frame(self, uid: int, width: int, height: int, elapsed_ms: int) -> None:
        self.said.append(f"picture {uid} {width}x{height}")

    def on_user_offline(self, uid: int, reason: OfflineReason) -> None:
        self.said.append(f"offline {uid} {reason.name}")

    def on_file_closed(self, file: RecordedFile) -> None:
        self.files.append(file)

    def on_leave_channel(self, path: LeavePath) -> None:
        self.said.append(f"leave {path.name}")
        self.threads.add(threading.get_ident())


def new_engine(server: ServerProcess, witness: Witness) -> RecordingEngine:
    return RecordingEngine(API_KEY, witness, server_url=server.url, app_certificate=API_SECRET)


async def talk(server: ServerProcess, channel: str, seconds: float) -> dict[str, Captured]:
    who, codec, hz = CHANNELS[channel]
    person = Publisher(server, channel, who)
    await person.join()
    await person.publish_camera(codec)
    await person.publish_microphone(hz)
    await asyncio.sleep(seconds)
    return await person.leave()


def test_two_channels_at_once_in_one_process(server: ServerProcess, tmp_path: Path) -> None:
    async def call() -> list[dict[str, Captured]]:
        return list(await asyncio.gather(*(talk(server, channel, 5) for channel in CHANNELS)))

    witnesses = {channel: Witness() for channel in CHANNELS}
    engines = {channel: new_engine(server, witnesses[channel]) for channel in CHANNELS}
    for channel, engine in engines.items():
        engine.join_channel(None, channel, 900, RecordingConfig(record_file_root_dir=tmp_path))
    captured = asyncio.run(call())
    for engine in engines.values():
        engine.leave_channel()
        engine.release()
    for (channel, (who, _, hz)), sent in zip(CHANNELS.items(), captured, strict=True):
        (file,) = witnesses[channel].files
        assert file.user.account == who
        playback = read_back(file.path)
        check_decodes(playback)
        check_pictures(playback, sent["camera"])
        check_tone(playback, hz, sent["microphone"])
        check_sync(playback, at_least=2)


def test_callbacks_tell_the_story_in_order_on_one_thread(server: ServerProcess, tmp_path: Path) -> None:
    witness = Witness()
    with new_engine(server, witness) as engine:
        engine.join_channel(None, "left", 900, RecordingConfig(record_file_root_dir=tmp_path, idle_limit_sec=3))
        asyncio.run(talk(server, "left", 2))
        assert engine.wait_left(15) == LeavePath.NOBODY_LEFT
    assert witness.said == [
        "join left 900",
        "user 801",
        "picture 801 320x240",
        "offline 801 QUIT",
        "leave NOBODY_LEFT",
    ]
    assert len(witness.threads) == 1
    assert threading.get_ident() not in witness.threads


def test_an_engine_is_spent_after_leaving(server: ServerProcess, tmp_path: Path) -> None:
    with new_engine(server, Witness()) as engine:
        engine.join_channel(None, "left", 900, RecordingConfig(record_file_root_dir=tmp_path))
        engine.leave_channel()
        with pytest.raises(StateError):
            engine.join_channel(None, "left", 900, RecordingConfig(record_file_root_dir=tmp_path))


def test_who_is_taken_off_the_list_leaves_the_recording_at_once(server: ServerProcess, tmp_path: Path) -> None:
    """The tone stops when the list says so, and is there again when it is back on it."""
    witness = Witness()
    config = RecordingConfig(record_file_root_dir=tmp_path, auto_subscribe=False, subscribe_audio_uids=(801,))

    async def call(engine: RecordingEngine) -> None:
        person = Publisher(server, "lists", "801")
        await person.join()
        await person.publish_microphone(400)
        await asyncio.sleep(3)
        await asyncio.to_thread(engine.update_subscribe_audio_uids, ())
        await asyncio.sleep(EXCLUDED_SECONDS)
        await asyncio.to_thread(engine.update_subscribe_audio_uids, (801,))
        await asyncio.sleep(2)
        await person.leave()

    with new_engine(server, witness) as engine:
        engine.join_channel(None, "lists", 900, config)
        asyncio.run(call(engine))
        engine.leave_channel()
    spans = [span for file in sorted(witness.files, key=lambda one: one.start_seconds) for span in tones(file)]
    assert len(spans) == 2, spans
    assert spans[1][0] - spans[0][1] == pytest.approx(EXCLUDED_SECONDS, abs=REACTION_SECONDS)


def tones(file: RecordedFile) -> list[tuple[float, float]]:
    spans = read_back(file.path).tone_spans(400)
    return [(start + file.start_seconds, end + file.start_seconds) for start, end in spans]
