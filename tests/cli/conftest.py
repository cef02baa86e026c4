from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from channel_recorder.cli import record
from channel_recorder.cli.app import main
from tests.cli.fake_engine import FakeEngine

CONNECTION = ("--server-url", "ws://127.0.0.1:7880", "--app-id", "devkey")


@dataclass(frozen=True)
class Finished:
    status: int
    out: str
    err: str


Run = Callable[..., Finished]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("SERVER_URL", "APP_ID", "APP_CERTIFICATE", "TOKEN", "KEYS", "PAGE_PASSWORD", "SECRET", "ENCRYPTION_KEYS")
    for name in names:
        monkeypatch.delenv(f"CHANNEL_RECORDER_{name}", raising=False)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line to its end, a recording with the fake engine given."""

    def run_command(arguments: Sequence[str], engine: FakeEngine | None = None) -> Finished:
        if engine is not None:
            monkeypatch.setattr(record, "make_engine", engine.plug)
        status = main(arguments)
        captured = capfd.readouterr()
        return Finished(status, captured.out, captured.err)

    return run_command
