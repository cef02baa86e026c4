"""`channel-recorder recover`, as somebody at a terminal and as a program sees it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from channel_recorder.cli import main
from channel_recorder.recording.journal import Journal
from channel_recorder.recording.manifest import read_manifest
from channel_recorder.storage.directory import StorageRoot
from tests.recording.test_recovery import STARTED, content, left_at


def leave_three(root: Path) -> tuple[Path, Path, Path]:
    """One that a dead process left, one that is being written, one that ended."""
    dead, ended = left_at(root, 2.6), left_at(root, 99.0)
    live = StorageRoot(path=root).create("other", STARTED)
    for name, data in content(dead.path).items():
        (live.path / name).write_bytes(data)
    return dead.path, live.path, ended.path


def test_all_that_dead_processes_left_is_recovered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dead, live, _ = leave_three(tmp_path)
    journal = Journal(live / "journal.jsonl")
    before = content(live)
    assert main(["recover", str(tmp_path)]) == 0
    assert content(live) == before
    assert read_manifest(dead / "manifest.json").reason == "interrupted"
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].startswith(f"recovered  {dead}  0:02  3 files")
    assert lines[1].startswith(f"live       {live}")
    assert lines[2] == "1 recording recovered, 1 being recorded, 1 whole already"
    assert said.err == ""
    journal.close()
    assert main(["recover", str(live)]) == 0
    assert main(["recover", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 recordings recovered, 3 whole already"


def test_programs_read_one_object_per_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dead, _, ended = leave_three(tmp_path)
    assert main(["recover", str(tmp_path), "--json"]) == 0
    first, second, third, done = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [first["event"], second["event"], third["event"]] == ["recovered", "finished", "recovered"]
    assert (first["storage_dir"], second["storage_dir"]) == (str(dead), str(ended))
    assert (first["reason"], second["reason"]) == ("interrupted", "left")
    assert first["files"] == [file.name for file in read_manifest(dead / "manifest.json").files]
    assert {key: done[key] for key in ("event", "recovered", "finished", "live", "failed")} == {
        "event": "done",
        "recovered": 2,
        "finished": 1,
        "live": 0,
        "failed": 0,
    }


def test_a_foreign_folder_is_told_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"not ours")
    for folder in (tmp_path, tmp_path / "nowhere", tmp_path / "holiday.mp4"):
        assert main(["recover", str(folder)]) == 1
        said = capsys.readouterr()
        assert said.err.count("\n") == 1
        assert "name a recording's folder" in said.err
        assert said.out == ""
    assert (tmp_path / "holiday.mp4").read_bytes() == b"not ours"


def test_one_that_fails_does_not_keep_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = left_at(tmp_path, 2.0), left_at(tmp_path, 2.0)
    real = os.fsync

    def full(descriptor: int) -> None:
        if str(first.path) in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert main(["recover", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("failed") and "No space left" in lines[0]
    assert lines[1].startswith("recovered")
    assert lines[2] == "1 recording recovered, 1 failed"
    assert second.done_path.exists()
    monkeypatch.undo()
    first.manifest_path.mkdir()
    assert main(["recover", str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 recordings recovered, 1 failed, 1 whole already"
    first.manifest_path.rmdir()
    assert main(["recover", str(tmp_path)]) == 0
    assert first.done_path.exists()
