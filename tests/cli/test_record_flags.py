"""What is typed reaches the engine as it was meant, or is refused with one sentence."""

from __future__ import annotations

import inspect
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from pydantic.alias_generators import to_camel

from channel_recorder.cli.config_flags import config_of, flag_spelling
from channel_recorder.cli.record import record
from channel_recorder.config import EncryptionKey, RecordingConfig, StreamType, TriggerMode
from channel_recorder.handler import LeavePath
from channel_recorder.model import ChannelProfile
from channel_recorder.protocol.tokens import make_recorder_token
from tests.cli.conftest import CONNECTION, Run
from tests.cli.fake_engine import FakeEngine

FIELDS = RecordingConfig.model_fields

# Another value than the default for what can be set; with it what must be set along with it.
TRIED: dict[str, tuple[str, object]] = {
    "record_file_root_dir": ("/srv/recordings", Path("/srv/recordings")),
    "cfg_file_path": ("/etc/recorder.json", Path("/etc/recorder.json")),
    "continue_within_sec": ("30", 30),
    "fsync": ("always", "always"),
    "space_reserve_mb": ("64", 64),
    "audio_codec": ("aac", "aac"),
    "subscribe_video_uids": ("7,9", (7, 9)),
    "subscribe_audio_uids": ("4294967295", (4294967295,)),
    "stream_type": ("1", StreamType.LOW),
    "channel_profile": ("1", ChannelProfile.LIVE_BROADCASTING),
    "trigger_mode": ("1", TriggerMode.MANUAL),
    "idle_limit_sec": ("12", 12),
    "low_udp_port": ("40000", 40000),
    "high_udp_port": ("40010", 40010),
    "decryption_mode": ("aes-256-gcm", "aes-256-gcm"),
    "secret": ("open sesame", "open sesame"),
    "encryption_keys": (
        '[{"account": "7", "key_index": 3, "raw_key": "AAEC"}]',
        (EncryptionKey(account="7", key_index=3, raw_key=b"\x00\x01\x02"),),
    ),
    "capture_interval": ("9", 9),
    "proxy_type": ("0", 0),
    "applite_dir": ("/opt/bin", Path("/opt/bin")),
    "audio_indication_interval": ("-1", -1),
}
ALONG = {
    "subscribe_video_uids": ["--no-auto-subscribe"],
    "subscribe_audio_uids": ["--no-auto-subscribe"],
    "decryption_mode": ["--secret", "open sesame"],
    "low_udp_port": ["--high-udp-port", "40010"],
    "high_udp_port": ["--low-udp-port", "40000"],
}
NOT_YET = [name for name, field in FIELDS.items() if "not yet" in (field.description or "") and name not in TRIED]
SWITCHES = [name for name, field in FIELDS.items() if field.annotation is bool and name != "enable_cloud_proxy"]


def kebab(name: str) -> str:
    return name.replace("_", "-")


def recorded_with(run: Run, *arguments: str) -> FakeEngine:
    engine = FakeEngine(leave_path=LeavePath.NOBODY_LEFT)
    finished = run(["record", "room", *CONNECTION, *arguments], engine)
    assert finished.status == 0, finished.err
    return engine


def refused(run: Run, *arguments: str) -> str:
    engine = FakeEngine()
    finished = run(["record", *arguments], engine)
    assert finished.status == 2
    assert finished.out == ""
    assert engine.calls == []
    sentences = [line for line in finished.err.splitlines() if "warning: --secret is visible" not in line]
    assert len(sentences) == 1
    assert sentences[0].startswith("channel-recorder: ")
    return sentences[0]


def test_every_field_of_the_config_is_a_flag() -> None:
    assert set(FIELDS) <= set(inspect.signature(record).parameters)


def test_every_field_is_tried_below() -> None:
    assert set(FIELDS) == {*TRIED, *SWITCHES, *NOT_YET, "enable_cloud_proxy"}


@pytest.mark.parametrize("name", TRIED)
@pytest.mark.parametrize("spelling", [kebab, to_camel])
def test_a_flag_sets_its_field_in_both_spellings(run: Run, name: str, spelling: Any) -> None:
    text, value = TRIED[name]
    engine = recorded_with(run, f"--{spelling(name)}={text}", *ALONG.get(name, ()))
    assert getattr(engine.config, name) == value
    assert value != FIELDS[name].default


@pytest.mark.parametrize("name", [name for name in SWITCHES if name != "is_mixing_enabled"])
def test_a_switch_is_set_and_unset_in_both_spellings(run: Run, name: str) -> None:
    for flag, value in {
        (f"--{kebab(name)}",): True,
        (f"--no-{kebab(name)}",): False,
        (f"--{to_camel(name)}", "1"): True,
        (f"--{to_camel(name)}", "0"): False,
        (f"--{to_camel(name)}=1",): True,
        (f"--{to_camel(name)}",): True,
    }.items():
        assert getattr(recorded_with(run, *flag).config, name) is value


@pytest.mark.parametrize("name", NOT_YET)
def test_what_is_not_supported_yet_is_refused_by_its_flag(run: Run, name: str) -> None:
    flag = f"--{kebab(name)}"
    arguments = [flag] if FIELDS[name].annotation is bool else [flag, "1"]
    error = refused(run, "room", *CONNECTION, *arguments)
    assert flag in error
    assert "not supported yet" in error


def test_flags_not_given_leave_the_defaults_of_the_config(run: Run) -> None:
    assert recorded_with(run).config == RecordingConfig()


def test_help_shows_every_supported_field_with_its_text(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = run(["record", "--help"]).out
    shown = " ".join(text.replace("│", " ").split())
    for name, field in FIELDS.items():
        description = " ".join(flag_spelling(field.description or "").split())
        if "not yet" in description:
            assert f"--{kebab(name)} " not in shown
        else:
            assert f"--{kebab(name)} " in shown
            assert description[:30] in shown


def test_help_teaches_the_environment_and_the_exit_status(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = run(["record", "--help"]).out
    for name in ("SERVER_URL", "APP_ID", "APP_CERTIFICATE", "TOKEN"):
        assert f"CHANNEL_RECORDER_{name}" in text
    assert "Examples:" in text and "Exit status: 0 clean end, 1 failure, 2 wrong usage." in text
    assert "channel-recorder record lesson-7 --is-audio-only --idle-limit-sec 10 --json\n" in text


def test_the_whole_classic_command_line_is_understood(run: Run) -> None:
    engine = FakeEngine(leave_path=LeavePath.TIMER)
    arguments = (
        "record --appId devkey --serverUrl ws://127.0.0.1:7880 --channel room --uid 5 --channelKey @/dev/null "
        "--appliteDir /opt/bin --channelProfile 1 --isAudioOnly 1 --isVideoOnly 0 --idle 10 "
        "--recordFileRootDir /srv/rec --streamType 1 --lowUdpPort 40000 --highUdpPort 40010 "
        "--autoSubscribe 0 --subscribeAudioUids 7,9 --getVideoFrame 0 --getAudioFrame 0 --logLevel 6"
    ).replace("--channelKey @/dev/null ", "")
    assert run(arguments.split(), engine).status == 0
    assert engine.calls[:2] == [
        ("log_level", 6),
        (
            "join",
            None,
            "room",
            5,
            RecordingConfig(
                applite_dir="/opt/bin",
                channel_profile=1,
                is_audio_only=True,
                idle_limit_sec=10,
                record_file_root_dir="/srv/rec",
                stream_type=1,
                low_udp_port=40000,
                high_udp_port=40010,
                auto_subscribe=False,
                subscribe_audio_uids=(7, 9),
            ),
        ),
    ]


def test_after_two_dashes_everything_is_a_name(run: Run) -> None:
    engine = FakeEngine(leave_path=LeavePath.TIMER)
    assert run(["record", *CONNECTION, "--uid", "5", "--", "--isAudioOnly"], engine).status == 0
    assert engine.calls[1][:4] == ("join", None, "--isAudioOnly", 5)
    assert engine.config == RecordingConfig()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--is-audio-only", "--is-video-only"], "--is-audio-only and --is-video-only are both true"),
        (["--subscribe-video-uids", "7"], "need --no-auto-subscribe"),
        (["--subscribe-video-uids", "x", "--no-auto-subscribe"], "--subscribe-video-uids='x' is not acceptable"),
        (["--idle-limit-sec", "2"], "--idle-limit-sec='2' is not acceptable"),
        (["--idle", "2"], "--idle-limit-sec='2' is not acceptable"),
        (["--idle", "3", "--idle-limit-sec", "4"], "--idle-limit-sec specified multiple times"),
        (["--low-udp-port", "40000", "--high-udp-port", "40001"], "too small"),
        (["--record-file-root-dir", "a", "--cfg-file-path", "b"], "give only one of them"),
        (["--audio-codec", "mp3"], "--audio-codec='mp3' is not acceptable: Input should be 'opus' or 'aac'"),
        (["--uid", "0"], "--uid=0 is not acceptable"),
        (["--uid", "4294967296"], "--uid=4294967296 is not acceptable"),
        (["--uid", "seven"], "seven"),
        (["--uid", "7", "--user-account", "rec"], "--uid and --user-account both name the recorder"),
        (["--log-level", "7"], "7"),
        (["--recrod-dir", "x"], "--recrod-dir"),
        (["--is-audio-only=maybe"], "maybe"),
        (["--server-url"], "--server-url"),
        (["extra"], "more arguments than this command takes"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_status_2(run: Run, arguments: list[str], sentence: str) -> None:
    connection = () if arguments == ["--server-url"] else CONNECTION
    assert sentence in refused(run, "room", *connection, *arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--channel requires"),
        (["room", "--app-id", "k"], "--server-url is missing: give it, or set CHANNEL_RECORDER_SERVER_URL"),
        (["room", "--server-url", "ws://h"], "--app-id is missing: give it, or set CHANNEL_RECORDER_APP_ID"),
        (["room", "--server-url", "localhost:7880", "--app-id", "k"], "its scheme is 'localhost'"),
        (["room", "--server-url", "ftp://h", "--app-id", "k"], "its scheme is 'ftp'"),
        (["a/b", *CONNECTION], "the channel name 'a/b'"),
        (["x" * 65, *CONNECTION], "65 bytes"),
        (["room", "--server-url", "ws://h", "--app-id", "a\tb"], "the App ID"),
    ],
)
def test_an_unusable_connection_is_refused_before_anything_is_touched(
    run: Run, arguments: list[str], sentence: str
) -> None:
    assert sentence in refused(run, *arguments)


def test_an_unknown_command_and_flag_name_what_was_meant(run: Run) -> None:
    assert '"record"' in run(["recrod"]).err
    assert "--idle-limit-sec" in refused(run, "room", *CONNECTION, "--idle-limit-sek", "4")


def test_without_uid_and_account_one_is_drawn_at_random(run: Run) -> None:
    uids = {recorded_with(run).calls[1][3] for _ in range(3)}
    assert len(uids) == 3
    assert all(isinstance(uid, int) and 1 <= uid < 2**31 for uid in uids)


@pytest.mark.parametrize(("identity", "call"), [("77", ("join", 77)), ("recorder 1", ("join_account", "recorder 1"))])
def test_without_uid_and_account_the_recorder_is_whom_the_token_is_for(
    run: Run, monkeypatch: pytest.MonkeyPatch, identity: str, call: tuple[str, object]
) -> None:
    token = make_recorder_token("devkey", "secret", identity=identity, room="room", now_seconds=0.0)
    monkeypatch.setenv("CHANNEL_RECORDER_TOKEN", token)
    joined = recorded_with(run).calls[1]
    assert (joined[0], joined[3]) == call
    assert joined[1] == token


def test_a_user_account_joins_by_account(run: Run) -> None:
    assert recorded_with(run, "--user-account", "recorder 1").calls[1][:4] == (
        "join_account",
        None,
        "room",
        "recorder 1",
    )


def test_the_connection_comes_from_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL_RECORDER_SERVER_URL", "wss://example.org")
    monkeypatch.setenv("CHANNEL_RECORDER_APP_ID", "key-1")
    monkeypatch.setenv("CHANNEL_RECORDER_APP_CERTIFICATE", "s3cret")
    monkeypatch.setenv("CHANNEL_RECORDER_TOKEN", "tok3n")
    engine = FakeEngine(leave_path=LeavePath.TIMER)
    finished = run(["record", "room"], engine)
    assert finished.status == 0
    assert finished.err == ""
    assert engine.access is not None
    assert (engine.access.url, engine.access.app_id) == ("wss://example.org", "key-1")
    assert engine.access.app_certificate == "s3cret"
    assert engine.calls[1][1] == "tok3n"


def test_a_flag_wins_over_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL_RECORDER_APP_ID", "from-environment")
    engine = recorded_with(run)
    assert engine.access is not None and engine.access.app_id == "devkey"


def test_a_flag_that_is_given_says_so_and_one_that_is_not_says_nothing() -> None:
    assert config_of({"idle_limit_sec": "7", "is_audio_only": None}).model_fields_set == {"idle_limit_sec"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stream_type", StreamType.HIGH),
        ("stream_type", StreamType.LOW),
        ("trigger_mode", TriggerMode.AUTOMATIC),
        ("trigger_mode", TriggerMode.MANUAL),
        ("channel_profile", ChannelProfile.COMMUNICATION),
        ("channel_profile", ChannelProfile.LIVE_BROADCASTING),
    ],
)
def test_numbered_choices_are_given_by_number(name: str, value: IntEnum) -> None:
    assert getattr(config_of({name: str(int(value))}), name) is value
