"""What cannot be joined is said in one sentence, with the right status, and leaves nothing on the disk."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from testbed.recorder import environment
from testbed.server_process import ServerProcess

FAILURE, USAGE = 1, 2


def record(root: Path, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "channel_recorder.cli", "record", *arguments, "--record-file-root-dir", root],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert list(root.iterdir()) == [], "something was created on the disk"
    assert "Traceback" not in done.stderr
    return done


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_closed_port(server: ServerProcess, tmp_path: Path) -> None:
    url = {"CHANNEL_RECORDER_SERVER_URL": f"ws://127.0.0.1:{closed_port()}"}
    assert record(tmp_path, environment(server) | url, "room", "--uid", "9").returncode == FAILURE


def test_a_server_without_tls(server: ServerProcess, tmp_path: Path) -> None:
    url = {"CHANNEL_RECORDER_SERVER_URL": server.url.replace("ws:", "wss:")}
    assert record(tmp_path, environment(server) | url, "room", "--uid", "9").returncode == FAILURE


def test_a_wrong_app_certificate(server: ServerProcess, tmp_path: Path) -> None:
    secret = {"CHANNEL_RECORDER_APP_CERTIFICATE": "another-secret-of-at-least-32-characters"}
    done = record(tmp_path, environment(server) | secret, "room", "--uid", "9")
    assert done.returncode == FAILURE
    assert "another-secret" not in done.stdout + done.stderr


def test_an_unknown_app_id(server: ServerProcess, tmp_path: Path) -> None:
    key = {"CHANNEL_RECORDER_APP_ID": "nobody"}
    assert record(tmp_path, environment(server) | key, "room", "--uid", "9").returncode == FAILURE


def test_an_expired_token(server: ServerProcess, tmp_path: Path) -> None:
    token = server.token("room", "9", valid_for=timedelta(hours=-1))
    done = record(tmp_path, environment(server) | {"CHANNEL_RECORDER_TOKEN": token}, "room", "--uid", "9")
    assert done.returncode == FAILURE
    assert "expired" in done.stderr
    assert token not in done.stdout + done.stderr


def test_the_token_of_another_channel(server: ServerProcess, tmp_path: Path) -> None:
    token = server.token("another", "9")
    done = record(tmp_path, environment(server) | {"CHANNEL_RECORDER_TOKEN": token}, "room", "--uid", "9")
    assert done.returncode == FAILURE


@pytest.mark.parametrize(
    "arguments",
    [("room", "--uid", "0"), ("a" * 65, "--uid", "9"), ("room", "--uid", "9", "--is-audio-only", "--is-video-only")],
    ids=["uid 0", "channel name", "contradiction"],
)
def test_wrong_usage(server: ServerProcess, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert record(tmp_path, environment(server), *arguments).returncode == USAGE
