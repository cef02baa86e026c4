from __future__ import annotations

from pathlib import Path

import pytest

from channel_recorder.cli import token as token_command
from channel_recorder.protocol.classic_tokens import Membership, verify_classic_token
from channel_recorder.protocol.tokens import RECORDER_GRANTS, AccessToken, Grants, verify_access_token
from tests.cli.conftest import Run

APP_ID = "970ca35de60c44645bbae8a215061b33"
NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, no_environment: None) -> None:
    monkeypatch.setattr(token_command, "unix_seconds", lambda: NOW)
    monkeypatch.setenv("CHANNEL_RECORDER_APP_ID", "devkey")
    monkeypatch.setenv("CHANNEL_RECORDER_APP_CERTIFICATE", "certificate-of-devkey")


def printed(run: Run, *arguments: str) -> AccessToken:
    finished = run(["token", *arguments])
    assert (finished.status, finished.err) == (0, "")
    assert finished.out.count("\n") == 1
    return verify_access_token(finished.out.strip(), {"devkey": "certificate-of-devkey"}, NOW)


def test_a_token_lets_one_user_into_one_channel_for_six_hours(run: Run) -> None:
    token = printed(run, "lesson-7", "--uid", "7")
    assert (token.identity, token.room, token.kind, token.grants) == ("7", "lesson-7", "standard", Grants())
    assert token.expires_at == NOW + 6 * 3600


@pytest.mark.parametrize(
    ("role", "grants", "kind"),
    [
        ("publisher", Grants(), "standard"),
        ("subscriber", Grants(can_publish=False, can_publish_data=False), "standard"),
        ("recorder", RECORDER_GRANTS, "egress"),
    ],
)
def test_the_role_says_what_the_user_may(run: Run, role: str, grants: Grants, kind: str) -> None:
    token = printed(run, "lesson-7", "--user-account", "anna@example.org", "--role", role)
    assert (token.identity, token.grants, token.kind) == ("anna@example.org", grants, kind)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("7d", 604_800), ("45", 45)])
def test_the_life_time_is_as_told(run: Run, text: str, seconds: int) -> None:
    assert printed(run, "room", "--uid", "7", "--valid-for", text).expires_at == NOW + seconds


@pytest.mark.parametrize("version", ["006", "007"])
@pytest.mark.parametrize(("role", "sends"), [("publisher", True), ("subscriber", False), ("recorder", False)])
def test_a_token_may_have_a_classic_format(
    run: Run, monkeypatch: pytest.MonkeyPatch, version: str, role: str, sends: bool
) -> None:
    monkeypatch.setenv("CHANNEL_RECORDER_APP_ID", APP_ID)
    finished = run(["token", "lesson-7", "--uid", "7", "--role", role, "--format", version])
    assert (finished.status, finished.err) == (0, "")
    text = finished.out.strip()
    assert text.startswith(version)
    membership = Membership(channel="lesson-7", account="7")
    token = verify_classic_token(text, {APP_ID: "certificate-of-devkey"}, membership, NOW)
    assert (token.identity, token.room, token.grants.can_publish) == ("7", "lesson-7", sends)
    assert token.expires_at == NOW + 6 * 3600


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["room"], "give either --uid or --user-account"),
        (["room", "--uid", "7", "--user-account", "a"], "give either --uid or --user-account"),
        (["room", "--uid", "0"], "--uid=0 is not acceptable"),
        (["a/b", "--uid", "7"], "the channel name 'a/b'"),
        (["room", "--uid", "7", "--valid-for", "soon"], "--valid-for='soon' is no time"),
        (["room", "--uid", "7", "--valid-for", "0h"], "--valid-for='0h' is no time"),
        (["room", "--uid", "7", "--role", "king"], "king"),
        (["room", "--uid", "7", "--format", "005"], "005"),
        (["room", "--uid", "7", "--format", "006"], "an AccessToken 006 needs an App ID of 32 characters"),
        (["room", "--uid", "7", "--app-certificate", "@/no/such/file"], "--app-certificate @/no/such/file cannot"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_status_2(run: Run, arguments: list[str], sentence: str) -> None:
    finished = run(["token", *arguments])
    assert (finished.status, finished.out) == (2, "")
    assert sentence in finished.err and finished.err.count("\n") == 1


def test_without_a_secret_it_says_how_to_give_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHANNEL_RECORDER_APP_CERTIFICATE")
    finished = run(["token", "room", "--uid", "7"])
    assert finished.status == 2
    assert "set CHANNEL_RECORDER_APP_CERTIFICATE in the environment" in finished.err


def test_the_secret_may_lie_in_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("certificate-of-devkey\n")
    assert printed(run, "room", "--uid", "7", "--app-certificate", f"@{tmp_path / 'secret'}").identity == "7"
