"""The Python API against a real server: the story the callbacks tell, refusals, ends and returns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from channel_recorder import (
    AppIdError,
    ChannelNameError,
    ConfigError,
    ErrorCode,
    JoinError,
    LeavePath,
    RecordedFile,
    RecordingConfig,
    RecordingEngine,
    RecordingHandler,
    ServerUnreachableError,
    StateError,
    StatusCode,
    StorageError,
    TokenError,
    UidInUseError,
    User,
    UserJoinInfo,
)
from channel_recorder.recording.journal import read_journal
from testbed.publisher import Publisher
from testbed.readback import Picture, Playback, read_back
from testbed.server import LiveKitServer
from testbed.server_process import API_KEY, API_SECRET, ServerProcess
from tests.interop.checks import check_decodes

HZ = 440
FPS = 15
WAIT_SECONDS = 20
REACTION_SECONDS = 0.2
OUTAGE_SECONDS = 5.0
"""Longer than it takes to be told as an interruption."""


class Witness(RecordingHandler):
    """Writes down every callback, and wakes who waits for one."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self._news = threading.Condition()
        self.react: dict[str, Callable[[], object]] = {}
        """What to do inside a callback."""
        self.raised: list[Exception] = []

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("on_"):
            return super().__getattribute__(name)
        return lambda *arguments: self._note(name, arguments)

    def _note(self, name: str, arguments: tuple[Any, ...]) -> None:
        for argument in arguments:
            assert not isinstance(argument, UserJoinInfo) or argument.storage_dir.is_dir()
        with self._news:
            self.calls.append((name, arguments))
            self._news.notify_all()
        try:
            self.react.pop(name, int)()
        except Exception as error:  # noqa: BLE001 - looked at by the test
            self.raised.append(error)

    def wait_for(self, name: str, times: int = 1) -> None:
        with self._news:
            came = self._news.wait_for(lambda: self.names.count(name) >= times, WAIT_SECONDS)
        assert came, f"no {name}: {self.names}"

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls if name != "on_recording_stats"]

    def told(self, name: str) -> list[tuple[Any, ...]]:
        return [arguments for called, arguments in self.calls if called == name]

    @property
    def files(self) -> list[RecordedFile]:
        files: list[RecordedFile] = [file for (file,) in self.told("on_file_closed")]
        return sorted(files, key=lambda file: file.start_seconds)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """No thread is left over, but for the process's pool that hashes finished files."""
    yield
    names = [one.name for one in threading.enumerate() if one.name.startswith("channel-recorder")]
    assert [name for name in names if "sha256" not in name] == []


def engine_for(server: ServerProcess, witness: Witness | None = None, *, secret: str = API_SECRET) -> RecordingEngine:
    return RecordingEngine(API_KEY, witness, server_url=server.url, app_certificate=secret)


def media_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in {".webm", ".mp4", ".ogg", ".m4a"})


def in_recording(file: RecordedFile, seconds: float) -> float:
    return file.start_seconds + seconds


def facts(engine: RecordingEngine, name: str) -> list[dict[str, Any]]:
    entries = read_journal(engine.get_properties().storage_dir / "journal.jsonl").entries
    return [dict(entry) for entry in entries if entry["fact"] == name]


def test_the_callbacks_of_a_call_come_in_classic_order(server: ServerProcess, tmp_path: Path) -> None:
    witness = Witness()

    async def call() -> None:
        async with Publisher(server, "order", "701") as person:
            await person.publish_camera()
            await person.publish_microphone(HZ)
            await asyncio.to_thread(witness.wait_for, "on_first_remote_video_frame")
            await asyncio.to_thread(witness.wait_for, "on_first_remote_audio_frame")
            await asyncio.to_thread(witness.wait_for, "on_file_created")
            await asyncio.to_thread(witness.wait_for, "on_receiving_stream_status_changed")

    with engine_for(server, witness) as engine:
        engine.join_channel(None, "order", 900, RecordingConfig(record_file_root_dir=tmp_path, idle_limit_sec=3))
        asyncio.run(call())
        assert engine.wait_left(0.0) is None
        assert engine.wait_left(WAIT_SECONDS) is LeavePath.NOBODY_LEFT
        assert engine.get_properties().storage_dir.parent.parent == tmp_path
    names = witness.names
    milestones = [
        "on_connection_state_changed",
        "on_join_channel_success",
        "on_user_joined",
        "on_remote_video_stream_state_changed",
        "on_first_remote_video_frame",
        "on_file_created",
        "on_user_offline",
        "on_file_closed",
        "on_leave_channel",
    ]
    assert [names.index(name) for name in milestones] == sorted(names.index(name) for name in milestones), names
    assert names[-1] == "on_leave_channel"
    for name in ("on_join_channel_success", "on_user_joined", "on_user_offline", "on_leave_channel"):
        assert names.count(name) == 1
    assert witness.told("on_error") == witness.told("on_warning") == []
    for file in witness.files:
        assert file.path.stat().st_size == file.bytes


def test_manual_mode_writes_new_files_with_what_was_said_meanwhile(server: ServerProcess, tmp_path: Path) -> None:
    """And the look-ups of users by number and by account, and a list that changes in the middle."""
    witness = Witness()
    config = RecordingConfig(
        record_file_root_dir=tmp_path, trigger_mode=1, auto_subscribe=False, subscribe_audio_uids=(702,)
    )

    async def call(engine: RecordingEngine) -> None:
        async with Publisher(server, "manual", "702") as alice, Publisher(server, "manual", "bob") as bob:
            for person in (alice, bob):
                await person.publish_camera()
                await person.publish_microphone(HZ)
            await asyncio.sleep(1.0)
            assert media_files(tmp_path) == []
            for _ in range(2):
                await asyncio.to_thread(engine.start_service)
                await asyncio.sleep(2.0)
                await asyncio.to_thread(engine.stop_service)
                await asyncio.sleep(1.0)

    with engine_for(server, witness) as engine:
        engine.join_channel_with_user_account(None, "manual", "the-recorder", config)
        asyncio.run(call(engine))
        bob = engine.get_user_info_by_user_account("bob")
        assert bob.uid >= 2**31
        assert engine.get_user_info_by_uid(bob.uid) == bob
        assert engine.get_user_info_by_uid(702) == User(uid=702, account="702")
        with pytest.raises(ConfigError):
            engine.get_user_info_by_uid(703)
        engine.leave_channel()
    ((uid, account),) = witness.told("on_local_user_registered")
    assert account == "the-recorder"
    assert uid >= 2**31
    assert witness.told("on_user_info_updated") == [(bob.uid, "bob")]
    first, second = witness.files
    assert {first.user.uid, second.user.uid} == {702}
    assert second.start_seconds - first.start_seconds == pytest.approx(3.0, abs=0.5)
    for file in (first, second):
        playback = read_back(file.path)
        check_decodes(playback)
        assert playback.pictures == ()
        ((start, end),) = playback.tone_spans(HZ)
        assert end - start == pytest.approx(2.0, abs=0.4)
    assert sorted(file.path for file in witness.files) == media_files(tmp_path)


def test_a_list_changed_while_recording_holds_within_200_ms(server: ServerProcess, tmp_path: Path) -> None:
    """Sound stays, pictures go and come back; what was excluded is in no file."""
    witness = Witness()
    config = RecordingConfig(
        record_file_root_dir=tmp_path, auto_subscribe=False, subscribe_audio_uids="703", subscribe_video_uids="703"
    )

    async def call(engine: RecordingEngine) -> None:
        async with Publisher(server, "filter", "703") as person, Publisher(server, "filter", "704") as stranger:
            await person.publish_camera()
            await person.publish_microphone(HZ)
            await stranger.publish_camera()
            await asyncio.to_thread(witness.wait_for, "on_first_remote_video_frame")
            await asyncio.sleep(2.0)
            await asyncio.to_thread(engine.update_subscribe_video_uids, ())
            await asyncio.sleep(2.0)
            await asyncio.to_thread(engine.update_subscribe_video_uids, [703])
            await asyncio.sleep(2.0)

    with engine_for(server, witness) as engine:
        engine.join_channel(None, "filter", 900, config)
        asyncio.run(call(engine))
        engine.leave_channel()
        gone, back = (entry["at"] for entry in facts(engine, "subscription_changed"))
    assert {file.user.uid for file in witness.files} == {703}
    shown = sorted(seconds for seconds, _ in pictures_of(witness.files))
    before = [seconds for seconds in shown if seconds < (gone + back) / 2]
    after = [seconds for seconds in shown if seconds > (gone + back) / 2]
    assert gone - 2 * REACTION_SECONDS <= max(before) <= gone + REACTION_SECONDS
    assert back - REACTION_SECONDS <= min(after) <= back + 1.0
    assert tone_seconds(witness.files) >= shown[-1] - shown[0] - 0.5


def pictures_of(files: list[RecordedFile]) -> list[tuple[float, Picture]]:
    played = [(file, read_back(file.path)) for file in files]
    return [(in_recording(file, one.seconds), one) for file, playback in played for one in playback.pictures]


def tone_seconds(files: list[RecordedFile]) -> float:
    playbacks: list[Playback] = [read_back(file.path) for file in files]
    return sum(end - start for playback in playbacks for start, end in playback.tone_spans(HZ))


def test_leaving_inside_a_callback_works_and_releasing_there_is_refused(server: ServerProcess, tmp_path: Path) -> None:
    witness = Witness()
    engine = engine_for(server, witness)
    witness.react = {
        "on_user_joined": engine.leave_channel,
        "on_user_offline": engine.release,
        "on_join_channel_success": engine.release,
        "on_leave_channel": engine.leave_channel,
    }

    async def call() -> None:
        async with Publisher(server, "inside", "705"):
            assert await asyncio.to_thread(engine.wait_left, WAIT_SECONDS) is LeavePath.CLIENT_INITIATED

    engine.join_channel(None, "inside", 900, RecordingConfig(record_file_root_dir=tmp_path))
    asyncio.run(call())
    with pytest.raises(StateError, match="spent"):
        engine.update_subscribe_audio_uids([1])
    with pytest.raises(StateError, match="joins once"):
        engine.join_channel(None, "inside", 900)
    engine.release()
    assert [type(error) for error in witness.raised] == [StateError]
    assert witness.names[-1] == "on_leave_channel"


def test_a_uid_in_use_is_refused_and_its_owner_stays(server: ServerProcess, tmp_path: Path) -> None:
    async def call() -> None:
        async with Publisher(server, "taken", "706"):
            engine = engine_for(server)
            config = RecordingConfig(record_file_root_dir=tmp_path)
            with pytest.raises(UidInUseError) as caught:
                await asyncio.to_thread(engine.join_channel, None, "taken", 706, config)
            assert (caught.value.code, caught.value.status) == (ErrorCode.BANNED, StatusCode.JOIN_FAILED)
            await asyncio.to_thread(engine.join_channel, None, "taken", 900, config)
            await asyncio.to_thread(engine.release)
            async with server.admin() as admin:
                there = await admin.room.list_participants(api.ListParticipantsRequest(room="taken"))
            assert "706" in [one.identity for one in there.participants]

    asyncio.run(call())


def test_joins_that_cannot_be_are_named_and_leave_nothing_on_the_disk(server: ServerProcess, tmp_path: Path) -> None:
    expired = server.token("refused", "900", valid_for=timedelta(hours=-1))
    foreign = server.token("another", "900")
    root = tmp_path / "recordings"

    def refusal(engine: RecordingEngine, key: str | None = None, folder: Path = root) -> JoinError | StorageError:
        with engine, pytest.raises((JoinError, StorageError)) as caught:
            engine.join_channel(key, "refused", 900, RecordingConfig(record_file_root_dir=folder))
        return caught.value

    wrong_id = RecordingEngine("nobody", server_url=server.url, app_certificate=API_SECRET)
    no_tls = RecordingEngine(API_KEY, server_url=server.url.replace("ws", "wss"), app_certificate=API_SECRET)
    file = tmp_path / "file"
    file.touch()
    found: dict[str, tuple[type[Exception], Enum]] = {}
    for name, error in {
        "secret": refusal(engine_for(server, secret="another-secret-of-at-least-32-chars")),
        "app id": refusal(wrong_id),
        "expired": refusal(engine_for(server), expired),
        "foreign": refusal(engine_for(server), foreign),
        "tls": refusal(no_tls),
        "root": refusal(engine_for(server), None, file),
    }.items():
        found[name] = type(error), error.code
        assert API_SECRET not in str(error)
    assert found == {
        "secret": (TokenError, ErrorCode.TOKEN_INVALID),
        "app id": (AppIdError, ErrorCode.BAD_APP_ID),
        "expired": (TokenError, ErrorCode.TOKEN_EXPIRED),
        "foreign": (TokenError, ErrorCode.TOKEN_INVALID),
        "tls": (ServerUnreachableError, ErrorCode.GENERIC),
        "root": (StorageError, ErrorCode.GENERIC),
    }
    assert list(tmp_path.iterdir()) == [file]


def test_an_unknown_channel_is_named_where_none_is_made_on_demand(tmp_path: Path) -> None:
    with LiveKitServer(auto_create=False) as strict, engine_for(strict) as engine:
        with pytest.raises(ChannelNameError) as caught:
            engine.join_channel(None, "unknown", 900, RecordingConfig(record_file_root_dir=tmp_path))
        assert caught.value.code is ErrorCode.BAD_CHANNEL_NAME
    assert list(tmp_path.iterdir()) == []


async def delete_room(server: ServerProcess, channel: str) -> None:
    async with server.admin() as admin:
        await admin.room.delete_room(api.DeleteRoomRequest(room=channel))


async def remove_recorder(server: ServerProcess, channel: str) -> None:
    async with server.admin() as admin:
        await admin.room.remove_participant(api.RoomParticipantIdentity(room=channel, identity="900"))


@pytest.mark.parametrize(("end", "codes"), [(delete_room, []), (remove_recorder, [ErrorCode.BANNED])])
def test_a_channel_that_ends_leaves_whole_files(
    server: ServerProcess, tmp_path: Path, end: Callable[..., Any], codes: list[ErrorCode]
) -> None:
    witness, channel = Witness(), f"ends-{end.__name__}"

    async def call() -> None:
        person = Publisher(server, channel, "707")
        await person.join()
        await person.publish_camera()
        await person.publish_microphone(HZ)
        await asyncio.to_thread(witness.wait_for, "on_first_remote_video_frame")
        await asyncio.sleep(2.0)
        await end(server, channel)
        assert await asyncio.to_thread(engine.wait_left, WAIT_SECONDS) is LeavePath.CHANNEL_ENDED
        await person.vanish()

    with engine_for(server, witness) as engine:
        engine.join_channel(None, channel, 900, RecordingConfig(record_file_root_dir=tmp_path))
        asyncio.run(call())
        assert (engine.get_properties().storage_dir / "manifest.json").exists()
    assert [code for code, _, _ in witness.told("on_error")] == codes
    (file,) = witness.files
    playback = read_back(file.path)
    check_decodes(playback)
    assert len(playback.counters) >= FPS
    assert playback.tone_spans(HZ)


def test_a_server_that_dies_and_comes_back_is_rejoined_and_time_goes_on(
    new_server: Callable[[], ServerProcess], tmp_path: Path
) -> None:
    witness = Witness()

    async def call(server: ServerProcess) -> None:
        person = Publisher(server, "outage", "708")
        await person.join()
        await person.publish_camera()
        await person.publish_microphone(HZ)
        await asyncio.to_thread(witness.wait_for, "on_first_remote_video_frame")
        await asyncio.sleep(2.0)
        server.kill()
        await asyncio.sleep(OUTAGE_SECONDS)
        server.revive()
        await asyncio.to_thread(witness.wait_for, "on_rejoin_channel_success")
        await asyncio.to_thread(witness.wait_for, "on_first_remote_video_frame", 2)
        await asyncio.sleep(2.0)
        await person.vanish()

    with new_server() as server, engine_for(server, witness) as engine:
        engine.join_channel(None, "outage", 900, RecordingConfig(record_file_root_dir=tmp_path))
        asyncio.run(call(server))
        engine.leave_channel()
        (lost,) = facts(engine, "connection_lost")
    names = witness.names
    assert names.index("on_connection_interrupted") < names.index("on_rejoin_channel_success")
    assert names.count("on_join_channel_success") == 1
    assert {file.user.uid for file in witness.files} == {708}
    for file in witness.files:
        check_decodes(read_back(file.path))
    shown = [(seconds, one.counter) for seconds, one in pictures_of(witness.files) if one.counter is not None]
    before = [one for one in shown if one[0] < lost["at"] + 1]
    after = [one for one in shown if one[0] >= lost["at"] + OUTAGE_SECONDS - 1]
    assert len(before) + len(after) == len(shown)
    assert len(after) >= FPS
    # The camera went on counting all the time.
    elapsed, counted = after[-1][0] - before[-1][0], after[-1][1] - before[-1][1]
    assert elapsed == pytest.approx(counted / FPS, abs=0.5)
