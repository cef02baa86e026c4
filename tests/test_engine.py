"""What the engine refuses and how it is freed, without any server."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from channel_recorder import aio, clock, engine
from channel_recorder.config import EncryptionKey, RecordingConfig
from channel_recorder.errors import (
    AppIdError,
    ChannelNameError,
    ConfigError,
    ErrorCode,
    RecorderError,
    ServerUnreachableError,
    StateError,
    StatusCode,
    StorageError,
    TokenError,
    UidInUseError,
)
from channel_recorder.handler import ConnectionChangedReason, ConnectionState, RecordingHandler
from channel_recorder.media_loop import MediaLoop
from channel_recorder.protocol.tokens import make_recorder_token
from channel_recorder.shared import Shared
from tests.channel.fake_server import raw_server

KEY, SECRET = "devkey", "a-secret-of-at-least-32-characters-xx"
NOWHERE = "ws://127.0.0.1:9"
FOUND = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """No thread is left over, but for the process's pool that hashes finished files."""
    yield
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("channel-recorder")]
    assert [name for name in left if "sha256" not in name] == []


def new_engine(
    handler: RecordingHandler | None = None, url: str = NOWHERE, *, certificate: str | None = SECRET
) -> engine.RecordingEngine:
    return engine.create_recording_engine(KEY, handler, server_url=url, app_certificate=certificate)


@pytest.mark.parametrize("app_id", ["", "a\nb"])
def test_an_app_id_must_be_there(app_id: str) -> None:
    with pytest.raises(AppIdError) as caught:
        engine.RecordingEngine(app_id, server_url=NOWHERE)
    assert caught.value.code is ErrorCode.BAD_APP_ID


@pytest.mark.parametrize("url", ["", "127.0.0.1", "ftp://127.0.0.1", "ws://"])
def test_a_server_url_must_be_one(url: str) -> None:
    with pytest.raises(ConfigError):
        engine.RecordingEngine(KEY, server_url=url)


@pytest.mark.parametrize(
    ("channel", "uid", "error"),
    [("room", 0, ConfigError), ("room", 2**32, ConfigError), ("", 9, ChannelNameError), ("a/b", 9, ChannelNameError)],
)
def test_a_join_with_a_wrong_name_or_uid_is_refused_and_may_be_tried_again(
    channel: str, uid: int, error: type[Exception]
) -> None:
    with new_engine() as one:
        for _ in range(2):
            with pytest.raises(error):
                one.join_channel(None, channel, uid)


def test_a_user_account_must_be_there() -> None:
    with new_engine() as one, pytest.raises(ConfigError):
        one.join_channel_with_user_account(None, "room", "")


def test_a_closed_port_is_unreachable_and_leaves_nothing_on_the_disk(tmp_path: Path, unused_tcp_port: int) -> None:
    said: list[tuple[object, ...]] = []

    class Handler(RecordingHandler):
        def on_connection_state_changed(self, state: ConnectionState, reason: ConnectionChangedReason) -> None:
            said.append((state, reason))

    with new_engine(Handler(), f"ws://127.0.0.1:{unused_tcp_port}") as one:
        with pytest.raises(ServerUnreachableError) as caught:
            one.join_channel(None, "room", 9, RecordingConfig(record_file_root_dir=tmp_path))
        with pytest.raises(StateError):
            one.get_properties()
    assert (caught.value.code, caught.value.status) == (ErrorCode.GENERIC, StatusCode.JOIN_FAILED)
    assert list(tmp_path.iterdir()) == []
    assert said == [
        (ConnectionState.CONNECTING, ConnectionChangedReason.CONNECTING),
        (ConnectionState.FAILED, ConnectionChangedReason.JOIN_FAILED),
    ]


async def test_a_taken_uid_is_refused_before_anybody_is_thrown_out(tmp_path: Path) -> None:
    root = tmp_path / "recordings"
    async with (
        raw_server(FOUND) as address,
        aio.RecordingEngine(KEY, server_url=f"ws://{address}", app_certificate=SECRET) as one,
    ):
        with pytest.raises(UidInUseError) as caught:
            await one.join_channel(None, "room", 9, RecordingConfig(record_file_root_dir=root))
    assert caught.value.code is ErrorCode.BANNED
    assert not root.exists()


async def test_a_server_that_wants_more_than_an_app_id_is_a_token_error(tmp_path: Path) -> None:
    config = RecordingConfig(record_file_root_dir=tmp_path)
    async with (
        raw_server(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n") as address,
        aio.RecordingEngine(KEY, server_url=f"ws://{address}") as one,
    ):
        with pytest.raises(TokenError, match="does not let in with the App ID alone") as caught:
            await one.join_channel(None, "room", 9, config)
    assert caught.value.code is ErrorCode.TOKEN_INVALID


def test_a_root_that_cannot_be_a_folder_is_a_storage_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with new_engine() as one, pytest.raises(StorageError):
        one.join_channel(None, "room", 9, RecordingConfig(record_file_root_dir=file))


UNJOINED: list[Callable[[engine.RecordingEngine], Any]] = [
    lambda one: one.start_service(),
    lambda one: one.stop_service(),
    lambda one: one.get_properties(),
    lambda one: one.get_user_info_by_uid(7),
    lambda one: one.get_user_info_by_user_account("alice"),
    lambda one: one.update_subscribe_audio_uids([7]),
    lambda one: one.update_subscribe_video_uids([7]),
    lambda one: one.add_encryption_key(EncryptionKey(secret="open sesame")),
    lambda one: one.wait_left(),
]


@pytest.mark.parametrize("call", UNJOINED)
def test_what_needs_a_channel_says_so(call: Callable[[engine.RecordingEngine], Any]) -> None:
    with new_engine() as one, pytest.raises(StateError, match="needs a joined channel"):
        call(one)


def test_leaving_before_joining_has_no_effect() -> None:
    with new_engine() as one:
        one.leave_channel()
        one.leave_channel()


def test_a_released_engine_is_of_no_more_use() -> None:
    one = new_engine()
    one.release()
    one.release()
    for call in (lambda: one.join_channel(None, "room", 9), one.leave_channel, one.start_service):
        with pytest.raises(StateError, match="released"):
            call()


def test_two_threads_may_release_at_once() -> None:
    other, one = new_engine(), new_engine()
    threads = [threading.Thread(target=one.release) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(StateError, match="needs a joined channel"):
        other.wait_left()
    other.release()


def test_release_inside_a_callback_is_a_runtime_error_and_other_calls_are_allowed(unused_tcp_port: int) -> None:
    raised: list[BaseException | None] = []

    class Handler(RecordingHandler):
        def on_connection_state_changed(self, state: ConnectionState, reason: ConnectionChangedReason) -> None:
            for call in (one.leave_channel, one.release):
                try:
                    call()
                    raised.append(None)
                except RuntimeError as error:
                    raised.append(error)

    one = new_engine(Handler(), f"ws://127.0.0.1:{unused_tcp_port}")
    with pytest.raises((ServerUnreachableError, StateError)):
        one.join_channel(None, "room", 9)
    one.release()
    assert raised[0] is raised[2] is None
    assert all(isinstance(error, StateError) and "inside a callback" in str(error) for error in raised[1::2])
    assert len(raised) == 4


@pytest.mark.parametrize("end", [engine.RecordingEngine.leave_channel, engine.RecordingEngine.release])
def test_a_join_under_way_is_given_up_by_who_leaves(
    end: Callable[[engine.RecordingEngine], None], tmp_path: Path
) -> None:
    token = make_recorder_token(KEY, SECRET, identity="9", room="room", now_seconds=clock.unix_seconds())
    raised: list[BaseException] = []

    def join() -> None:
        try:
            one.join_channel(token, "room", 9, RecordingConfig(record_file_root_dir=tmp_path))
        except RecorderError as error:
            raised.append(error)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(10)
        port: int = silent.getsockname()[1]
        one = new_engine(None, f"ws://127.0.0.1:{port}", certificate=None)
        joining = threading.Thread(target=join)
        joining.start()
        connection, _ = silent.accept()
        end(one)
        joining.join()
        connection.close()
    one.release()
    assert [str(error) for error in raised] == ["the engine was told to leave before it had joined"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("level", [0, 7, "info"])
def test_log_levels_are_the_classic_ones(level: int) -> None:
    with new_engine() as one, pytest.raises(ConfigError):
        one.set_log_level(level)


def test_a_media_loop_leaves_no_task_behind() -> None:
    ended: list[str] = []

    async def endless() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    started = threading.Event()
    loop = MediaLoop()
    future = loop.submit(endless())
    started.wait()
    loop.stop()
    assert ended == ["cancelled"]
    assert future.cancelled()


def test_a_shared_thing_lives_from_the_first_to_the_last_user() -> None:
    made: list[str] = []
    ended: list[str] = []

    def make() -> str:
        made.append(f"thing {len(made)}")
        return made[-1]

    shared = Shared(make, ended.append)
    assert shared.acquire() is shared.acquire()
    shared.release()
    assert ended == []
    shared.release()
    assert ended == ["thing 0"]
    assert shared.acquire() == "thing 1"
