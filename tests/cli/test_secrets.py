"""No secret and no token reaches the output, whatever goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from channel_recorder.cli.record import ServerAccess
from channel_recorder.errors import TokenError
from channel_recorder.handler import LeavePath
from channel_recorder.protocol.tokens import make_recorder_token
from tests.cli.conftest import CONNECTION, Run
from tests.cli.fake_engine import FakeEngine

SECRET = "S3cretCertificate0123456789abcdef"
TOKEN = make_recorder_token("devkey", SECRET, identity="5", room="room", now_seconds=0.0)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--app-certificate", SECRET],
        ["--token", TOKEN],
        ["--appCertificate", SECRET, "--channelKey", TOKEN],
        ["--app-certificate", SECRET, "--uid", "0"],
        ["--app-certificate", SECRET, "--idle-limit-sec", "1"],
        ["--app-certificate", SECRET, "--no-such-flag"],
        ["--app-certificat", SECRET],
        [f"--app-certificat={SECRET}"],
        ["--app-certificate", SECRET, "--app-certificate", SECRET],
        ["--app_certificate", SECRET],
        ["-app-certificate", SECRET],
        ["--secret", SECRET],
        ["--secret", SECRET, "--decryption-mode", "aes-128-gcm"],
        ["--token", TOKEN, "--token", TOKEN],
        ["--toke", TOKEN],
        [SECRET],
    ],
)
@pytest.mark.parametrize("form", [[], ["--json", "--log-level", "6"]])
def test_secrets_on_the_command_line_are_never_repeated(run: Run, arguments: list[str], form: list[str]) -> None:
    engine = FakeEngine(join_error=TokenError("the access token is for another channel"))
    finished = run(["record", "room", *CONNECTION, *form, *arguments], engine)
    assert finished.status in (1, 2)
    assert finished.err
    for secret in (SECRET, TOKEN):
        assert secret not in finished.out + finished.err


@pytest.mark.parametrize(
    ("flag", "better"),
    [
        ("--app-certificate", "set CHANNEL_RECORDER_APP_CERTIFICATE or give --app-certificate @FILE"),
        ("--token", "set CHANNEL_RECORDER_TOKEN or give --token @FILE"),
        ("--secret", "set CHANNEL_RECORDER_SECRET or give --secret @FILE"),
    ],
)
def test_a_secret_in_plain_sight_is_warned_of(run: Run, flag: str, better: str) -> None:
    finished = run(["record", "room", *CONNECTION, flag, SECRET], FakeEngine(leave_path=LeavePath.TIMER))
    assert finished.status == 0
    assert finished.err == f"channel-recorder: warning: {flag} is visible in the process list: {better}\n"


def test_a_secret_from_a_file_is_used_without_its_line_end(run: Run, tmp_path: Path) -> None:
    (tmp_path / "certificate").write_text(f"{SECRET}\n")
    (tmp_path / "token").write_text(f" {TOKEN}\r\n")
    engine = FakeEngine(leave_path=LeavePath.TIMER)
    flags = ["--app-certificate", f"@{tmp_path}/certificate", "--token", f"@{tmp_path}/token"]
    finished = run(["record", "room", *CONNECTION, *flags], engine)
    assert (finished.status, finished.err) == (0, "")
    assert engine.access is not None and engine.access.app_certificate == SECRET
    assert engine.calls[1][1] == TOKEN


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [("absent", None, "No such file"), ("empty", b"\n", "is empty"), ("binary", b"\xff\xfe", "it is no text")],
)
def test_a_secret_file_that_holds_no_secret_is_wrong_usage(
    run: Run, tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    finished = run(["record", "room", *CONNECTION, "--token", f"@{tmp_path / name}"], FakeEngine())
    assert finished.status == 2
    assert reason in finished.err and finished.err.count("\n") == 1


def test_access_to_a_server_shows_no_secret_when_printed() -> None:
    assert SECRET not in repr(ServerAccess(url="ws://h", app_id="k", app_certificate=SECRET))
