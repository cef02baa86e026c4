"""Before anything is touched: is there a key, is it ours, is the uid free, can files be written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from channel_recorder import clock
from channel_recorder.config import RecordingConfig
from channel_recorder.errors import ConfigError, ErrorCode, StorageError, TokenError, UidInUseError
from channel_recorder.model import User
from channel_recorder.protocol.classic_tokens import make_classic_token
from channel_recorder.protocol.tokens import make_recorder_token, read_unverified
from channel_recorder.wiring.join import JoinRequest, check_join
from tests.channel.fake_server import raw_server

APP_ID = "970ca35de60c44645bbae8a215061b33"
KEY, SECRET = "devkey", "a-secret-of-at-least-32-characters-xx"
HOUR = 3600.0


def request(**fields: Any) -> JoinRequest:
    defaults: dict[str, Any] = {
        "server_url": "ws://127.0.0.1:9",
        "app_id": KEY,
        "app_certificate": None,
        "channel_key": None,
        "channel_id": "lesson",
        "user": User(uid=9, account="9"),
        "config": RecordingConfig(),
    }
    return JoinRequest(**defaults | fields)


def token(key: str = KEY, *, room: str = "lesson", identity: str = "9", at: float = 0.0) -> str:
    return make_recorder_token(key, SECRET, identity=identity, room=room, now_seconds=clock.unix_seconds() + at)


def test_a_key_is_made_with_the_certificate_for_this_channel_and_uid() -> None:
    made = read_unverified(request(app_certificate=SECRET).make_token())
    assert made.api_key == KEY
    assert made.identity == "9"


def test_the_key_given_is_used_as_it_is() -> None:
    given = token()
    assert request(channel_key=given, app_certificate=SECRET).make_token() == given


def test_without_key_and_certificate_the_app_id_is_the_token_and_the_query_says_who() -> None:
    made = request().make_token()
    assert made == KEY
    assert request().query(made) == {"channel": "lesson", "uid": "9", "recorder": "1"}


def classic(version: str, *, app_id: str = APP_ID, **fields: Any) -> str:
    defaults: dict[str, Any] = {
        "channel": "lesson",
        "account": "9",
        "privileges": (1,),
        "now_seconds": clock.unix_seconds(),
        "valid_for_seconds": 3600,
        "salt": 1,
    }
    return make_classic_token(version, app_id, "a-certificate", **defaults | fields)


@pytest.mark.parametrize("version", ["006", "007"])
def test_a_classic_key_is_used_as_it_is_and_the_query_says_who(version: str) -> None:
    given = classic(version)
    asked = request(app_id=APP_ID, channel_key=given)
    assert asked.make_token() == given
    assert asked.query(given) == {"channel": "lesson", "uid": "9", "recorder": "1"}
    named = request(app_id=APP_ID, channel_key=given, user=User(uid=2**31, account="rec"))
    assert named.query(given)["user_account"] == "rec"


def test_a_livekit_key_says_it_all() -> None:
    assert request(app_certificate=SECRET).query(token()) == {}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (classic("006", app_id=APP_ID[::-1]), ErrorCode.TOKEN_INVALID),
        (classic("007", app_id="other"), ErrorCode.TOKEN_INVALID),
        (classic("007", channel="other"), ErrorCode.TOKEN_INVALID),
        (classic("007", account="10"), ErrorCode.TOKEN_INVALID),
        (classic("007", privileges=()), ErrorCode.TOKEN_INVALID),
        (classic("006", now_seconds=clock.unix_seconds() - 48 * HOUR), ErrorCode.TOKEN_EXPIRED),
        (classic("007", now_seconds=clock.unix_seconds() - 48 * HOUR), ErrorCode.TOKEN_EXPIRED),
        ("006garbage", ErrorCode.TOKEN_INVALID),
    ],
)
def test_a_classic_key_that_does_not_fit_is_refused_before_the_join(given: str, code: ErrorCode) -> None:
    with pytest.raises(TokenError) as caught:
        request(app_id=APP_ID, channel_key=given).make_token()
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (token("another"), ErrorCode.TOKEN_INVALID),
        (token(room="another"), ErrorCode.TOKEN_INVALID),
        (token(identity="10"), ErrorCode.TOKEN_INVALID),
        (token(at=-48 * HOUR), ErrorCode.TOKEN_EXPIRED),
        ("garbage", ErrorCode.TOKEN_INVALID),
    ],
    ids=["other App ID", "other channel", "other uid", "expired", "garbage"],
)
def test_a_key_that_does_not_fit_is_refused_without_being_quoted(given: str, code: ErrorCode) -> None:
    with pytest.raises(TokenError) as caught:
        request(channel_key=given).make_token()
    assert caught.value.code is code
    assert given not in str(caught.value)


def test_no_secret_is_in_the_representation() -> None:
    shown = repr(request(channel_key="the-key", app_certificate=SECRET))
    assert "the-key" not in shown
    assert SECRET not in shown


async def test_a_folder_is_checked_first_and_nothing_is_made(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StorageError):
        await check_join(request(config=RecordingConfig(record_file_root_dir=file / "below")))
    root = tmp_path / "recordings"
    await check_join(request(channel_key=token(), config=RecordingConfig(record_file_root_dir=root)))
    assert not root.exists()


async def test_a_missing_settings_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        await check_join(request(config=RecordingConfig(cfg_file_path=tmp_path / "missing.json")))


async def test_a_taken_uid_is_asked_for_where_the_certificate_allows(tmp_path: Path) -> None:
    config = RecordingConfig(record_file_root_dir=tmp_path)
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}") as address:
        url = f"ws://{address}"
        with pytest.raises(UidInUseError, match="'9' is in the channel 'lesson' already"):
            await check_join(request(server_url=url, app_certificate=SECRET, config=config))
        await check_join(request(server_url=url, channel_key=token(), config=config))
