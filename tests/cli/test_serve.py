"""`channel-recorder serve` on the command line: what it prints, what it refuses, how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from channel_recorder.cli import serving
from channel_recorder.errors import ConfigError, RecorderError, StorageError
from channel_recorder.sfu.access import Keys
from channel_recorder.wiring.serve import Address, ServeSettings
from tests.cli.conftest import Finished, Run

SECRET = "a-secret-of-at-least-32-characters-xx"
ROOT = Path(__file__).parents[2]


@dataclass
class FakePorts:
    udp_port: int = 7882
    tcp_port: int | None = 7881


@dataclass
class FakeProcess:
    """Serves nothing, and gets a signal as soon as it does."""

    settings: ServeSettings
    media: FakePorts = field(default_factory=FakePorts)
    closed: int = 0

    @property
    def address(self) -> Address:
        is_loopback = self.settings.host == "127.0.0.1"
        return Address(host="127.0.0.1", port=self.settings.port, is_loopback=is_loopback, sockets=[], inner=[])

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.settings.port}"

    @property
    def page_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    async def close(self) -> None:
        self.closed += 1


class Stage:
    """Where `serving` finds its process."""

    def __init__(self) -> None:
        self.process: FakeProcess | None = None
        self.error: RecorderError | None = None
        self.signals = [signal.SIGTERM]

    async def open(self, settings: ServeSettings) -> FakeProcess:
        if self.error is not None:
            raise self.error
        self.process = FakeProcess(settings)
        for number in self.signals:
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        return self.process

    @property
    def settings(self) -> ServeSettings:
        assert self.process is not None
        return self.process.settings


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage()
    monkeypatch.setattr(serving, "ServingProcess", stage)
    return stage


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CHANNEL_RECORDER_KEYS", "CHANNEL_RECORDER_PAGE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


def test_a_newcomer_is_told_where_to_go_and_how_to_record(run: Run, stage: Stage) -> None:
    finished = run(["serve"])
    assert (finished.status, finished.err) == (0, "")
    settings = stage.settings
    assert (settings.host, settings.port, list(settings.keys.secrets)) == ("127.0.0.1", 7880, ["devkey"])
    secret = settings.keys.secrets["devkey"]
    assert len(secret) == 64
    for told in (
        "Serving channels at ws://127.0.0.1:7880, media on UDP 7882 and TCP 7881.",
        "open http://127.0.0.1:7880 in a browser",
        f"{Path('recordings').resolve()}",
        "export CHANNEL_RECORDER_SERVER_URL=ws://127.0.0.1:7880",
        "export CHANNEL_RECORDER_APP_ID=devkey",
        f"export CHANNEL_RECORDER_APP_CERTIFICATE={secret}",
        "channel-recorder record CHANNEL",
        "Only this machine can connect",
        "SIGTERM: finishing recordings, telling clients",
        "Stopped.",
    ):
        assert told in finished.out
    assert stage.process is not None and stage.process.closed == 1


def test_every_run_makes_up_another_secret(run: Run, stage: Stage) -> None:
    secrets = set[str]()
    for _ in range(2):
        run(["serve"])
        secrets.add(stage.settings.keys.secrets["devkey"])
    assert len(secrets) == 2


def test_the_flags_say_how_it_is_served(run: Run, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL_RECORDER_KEYS", f"mykey: {SECRET}\nother:{SECRET}2")
    monkeypatch.setenv("CHANNEL_RECORDER_PAGE_PASSWORD", "hush")
    flags = (
        "--host 0.0.0.0 --port 80 --rtc-port 81 --rtc-tcp-port 0 --advertise-address 203.0.113.7 --advertise-address "
        "2001:db8::1 --tls-certificate c.pem --tls-key k.pem --webhook-url http://a/1 --webhook-url http://a/2 "
        "--recordings out --max-recordings 3 --max-rooms 4 --max-participants 5 --anyone-may-join"
    )
    finished = run(["serve", *flags.split()])
    assert (finished.status, finished.err) == (0, "")
    settings = stage.settings
    assert settings.keys.secrets == {"mykey": SECRET, "other": f"{SECRET}2"}
    assert (settings.host, settings.port, settings.rtc_port, settings.rtc_tcp_port) == ("0.0.0.0", 80, 81, 0)
    assert settings.advertise == ("203.0.113.7", "2001:db8::1")
    assert (settings.tls_certificate, settings.tls_key) == (Path("c.pem"), Path("k.pem"))
    assert settings.webhook_urls == ("http://a/1", "http://a/2")
    assert (settings.recordings, settings.page_password) == (Path("out"), "hush")
    assert (settings.max_recordings, settings.rooms.limits.rooms, settings.rooms.max_participants) == (3, 4, 5)
    assert settings.anyone_may_join
    assert SECRET not in finished.out and "hush" not in finished.out


def test_programs_get_lines_of_json(run: Run, stage: Stage) -> None:
    finished = run(["serve", "--json", "--rtc-port", "0"])
    lines = [json.loads(line) for line in finished.out.splitlines()]
    assert [line["event"] for line in lines] == ["serving", "stopping", "stopped"]
    assert lines[0]["url"] == "ws://127.0.0.1:7880"
    assert (lines[0]["page"], lines[0]["rtc_port"], lines[0]["rtc_tcp_port"]) == ("http://127.0.0.1:7880", None, 7881)
    assert lines[1]["signal"] == "SIGTERM"
    assert all(list(line)[-1] == "time" for line in lines)
    assert stage.settings.keys.secrets["devkey"] not in finished.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP])
def test_each_signal_ends_it_well(run: Run, stage: Stage, number: signal.Signals) -> None:
    stage.signals = [number]
    finished = run(["serve"])
    assert finished.status == 0
    assert f"{number.name}: finishing recordings" in finished.out


def test_an_impatient_second_signal_changes_nothing(run: Run, stage: Stage) -> None:
    stage.signals = [signal.SIGINT, signal.SIGTERM]
    finished = run(["serve"])
    assert finished.status == 0
    assert "SIGTERM: still finishing recordings" in finished.out
    assert stage.process is not None and stage.process.closed == 1


def test_keys_come_from_files_and_from_the_command_line_with_a_warning(run: Run, stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"# ours\nmykey: {SECRET}\n")
    finished = run(["serve", "--keys", f"@{tmp_path / 'keys'}", "--keys", f"k:{SECRET}"])
    assert stage.settings.keys.secrets == {"mykey": SECRET, "k": SECRET}
    assert finished.err == (
        "channel-recorder: warning: --keys is visible in the process list: set CHANNEL_RECORDER_KEYS or give --keys "
        "@FILE\n"
    )
    assert SECRET not in finished.out + finished.err


def test_an_app_id_alone_is_no_secret(run: Run, stage: Stage) -> None:
    finished = run(["serve", "--keys", "970ca35de60c44645bbae8a215061b33"])
    assert stage.settings.keys.open == {"970ca35de60c44645bbae8a215061b33"}
    assert finished.err == ""
    assert "CHANNEL_RECORDER_APP_ID=970ca35de60c44645bbae8a215061b33" in finished.out
    assert "APP_CERTIFICATE" not in finished.out


def test_what_is_dangerous_or_will_not_work_is_warned_of(run: Run, stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a:short\nopen")
    finished = run(["serve", "--keys", f"@{tmp_path / 'keys'}", "--host", "0.0.0.0"])
    warnings = finished.err.splitlines()
    assert len(warnings) == 4
    for warning, told in zip(warnings, ("secret of a", "App ID open", "TLS", "--page-password"), strict=True):
        assert warning.startswith("channel-recorder: warning: ") and told in warning
    assert "short" not in finished.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "65536"], "--port=65536 is not acceptable: give a number from 0 to 65535"),
        (["--rtc-port", "-1"], "--rtc-port=-1 is not acceptable"),
        (["--max-rooms", "0"], "--max-rooms=0 is not acceptable: give a number from 1 to 1000000"),
        (["--port", "many"], "many"),
        (["--tls-key", "k.pem"], "--tls-certificate and --tls-key belong together"),
        (["--keys", ":x"], "an API key begins with a colon"),
        (["--keys", "@/no/such/file"], "--keys @/no/such/file cannot be read"),
        (["--page-password", "@/no/such/file"], "--page-password @/no/such/file cannot be read"),
        (["--no-such-flag"], "no-such-flag"),
        (["lesson-7"], "more arguments"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_status_2(
    run: Run, stage: Stage, arguments: list[str], sentence: str
) -> None:
    finished = run(["serve", *arguments])
    assert (finished.status, finished.out, stage.process) == (2, "", None)
    assert sentence in finished.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (
            ConfigError("allow it with anyone_may_join, or give rtc_port"),
            2,
            "with --anyone-may-join, or give --rtc-port",
        ),
        (StorageError("the folder is not writable"), 1, "the folder is not writable"),
    ],
)
def test_what_fails_at_the_start_is_one_sentence(
    run: Run, stage: Stage, error: RecorderError, status: int, sentence: str
) -> None:
    stage.error = error
    finished = run(["serve"])
    assert (finished.status, finished.out) == (status, "")
    assert sentence in finished.err and finished.err.count("\n") == 1


@pytest.fixture
def taken_port() -> Generator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_port_that_is_taken_is_told(run: Run, taken_port: int, tmp_path: Path) -> None:
    finished: Finished = run(["serve", "--port", str(taken_port), "--recordings", str(tmp_path)])
    assert (finished.status, finished.out) == (2, "")
    assert finished.err == (f"channel-recorder: can't listen at 127.0.0.1 port {taken_port}: address already in use\n")


def test_a_real_process_serves_the_page_and_ends_at_a_signal(tmp_path: Path) -> None:
    environment = os.environ | {"CHANNEL_RECORDER_KEYS": f"mykey:{SECRET}"}
    command = [
        sys.executable,
        "-m",
        "channel_recorder",
        "serve",
        "--port",
        "0",
        "--json",
        "--recordings",
        str(tmp_path),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        serving_line = json.loads(process.stdout.readline())
        with urllib.request.urlopen(serving_line["page"]) as response:
            assert response.status == 200
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    assert json.loads(out.splitlines()[-1])["event"] == "stopped"
    assert (process.returncode, err) == (0, "")
    assert re.fullmatch(r"ws://127\.0\.0\.1:\d+", serving_line["url"])


def test_the_help_loads_no_web_server() -> None:
    code = "import sys; from channel_recorder.cli import main; main(['serve', '--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    modules = done.stdout.splitlines()[-1]
    for heavy in ("uvicorn", "fastapi", "aiortc", "'av'"):
        assert heavy not in modules


def test_settings_show_no_secret_when_printed() -> None:
    shown = repr(ServeSettings(keys=Keys({"k": SECRET}), page_password="hush"))
    assert SECRET not in shown and "hush" not in shown
