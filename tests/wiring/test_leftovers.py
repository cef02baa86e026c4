"""What dead recorders left is adopted, and a recorder that comes back is not taken for its own ghost."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from channel_recorder import clock
from channel_recorder.callbacks import InlineCallbacks
from channel_recorder.config import RecordingConfig
from channel_recorder.errors import UidInUseError, WarningCode
from channel_recorder.handler import RecordingHandler
from channel_recorder.model import User
from channel_recorder.recording.journal import Journal
from channel_recorder.recording.manifest import read_manifest
from channel_recorder.recording.notices import Notices
from channel_recorder.storage.directory import StorageRoot
from channel_recorder.wiring import join
from channel_recorder.wiring.join import JoinRequest, check_join
from channel_recorder.wiring.leftovers import adopt_leftovers, choose_directory
from tests.recording.test_recovery import STARTED, content, left_at

KEY, SECRET = "devkey", "a-secret-of-at-least-32-characters-xx"


class Listener(RecordingHandler):
    def __init__(self) -> None:
        self.warnings: list[tuple[WarningCode, str]] = []

    def on_warning(self, code: WarningCode, message: str) -> None:
        self.warnings.append((code, message))


def request(root: Path, **settings: object) -> JoinRequest:
    return JoinRequest(
        server_url="ws://127.0.0.1:9",
        app_id=KEY,
        app_certificate=SECRET,
        channel_key=None,
        channel_id="lesson",
        user=User(uid=900, account="900"),
        config=RecordingConfig(record_file_root_dir=root, **settings),
    )


def at(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setattr(clock, "utc_now", lambda: now)


async def test_what_dead_recorders_left_is_finished_and_told(tmp_path: Path) -> None:
    dead, ended, live = left_at(tmp_path, 2.0), left_at(tmp_path, 99.0), left_at(tmp_path, 2.0)
    journal = Journal(live.journal_path)
    before = content(live.path), content(ended.path)
    listener = Listener()
    await adopt_leftovers(tmp_path, Notices(listener, InlineCallbacks().call, tmp_path))
    assert read_manifest(dead.manifest_path).reason == "interrupted"
    assert (content(live.path), content(ended.path)) == before
    ((code, message),) = listener.warnings
    assert code is WarningCode.RECOVERED_FROM_CRASH
    assert str(dead.path) in message
    journal.close()


async def test_one_that_can_not_be_finished_is_told_too(tmp_path: Path) -> None:
    dead = left_at(tmp_path, 2.0)
    dead.manifest_path.mkdir()
    listener = Listener()
    await adopt_leftovers(tmp_path, Notices(listener, InlineCallbacks().call, tmp_path))
    assert [code for code, _ in listener.warnings] == [WarningCode.RECOVERED_FROM_CRASH]


async def test_a_recorder_that_comes_back_is_not_taken_for_its_own_ghost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom the server has not missed yet."""

    async def is_taken(*_: object, **__: object) -> bool:
        return True

    monkeypatch.setattr(join, "is_identity_taken", is_taken)
    directory = left_at(tmp_path, 2.0)
    at(monkeypatch, STARTED + timedelta(seconds=20))
    root = await check_join(request(tmp_path))
    chosen, interrupted = choose_directory(root, request(tmp_path))
    assert interrupted is not None and chosen.path == directory.path
    with pytest.raises(UidInUseError):
        await check_join(request(tmp_path, continue_within_sec=0))


def test_without_a_crash_each_recording_has_a_directory_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_at(tmp_path, 99.0)
    at(monkeypatch, STARTED + timedelta(seconds=20))
    root = StorageRoot(path=tmp_path)
    first, second = (choose_directory(root, request(tmp_path)) for _ in range(2))
    assert first[1] is second[1] is None
    assert first[0].path != second[0].path
