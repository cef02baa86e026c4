from __future__ import annotations

import json
from pathlib import Path

import pytest

from channel_recorder.errors import ConfigError
from channel_recorder.storage.selector import select_root


def _settings(path: Path, content: object) -> Path:
    file = path / "cfg.json"
    file.write_text(json.dumps(content))
    return file


def test_the_root_folder_has_day_and_channel_levels(tmp_path: Path):
    root = select_root(tmp_path, None)
    assert (root.path, root.is_flat) == (tmp_path, False)


def test_without_any_setting_recordings_go_to_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert select_root(None, None).path == tmp_path


def test_recording_dir_is_flat(tmp_path: Path):
    root = select_root(None, _settings(tmp_path, {"Recording_Dir": "/srv/rec", "Chunk_Time_Span": "10"}))
    assert (root.path, root.is_flat) == (Path("/srv/rec"), True)


def test_recording_dir_may_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    root = select_root(None, _settings(tmp_path, {"Chunk_Time_Span": "10"}))
    assert (root.path, root.is_flat) == (tmp_path, False)


@pytest.mark.parametrize(
    "content", [[], "text", {"Recording_Dir": "relative"}, {"Recording_Dir": 7}, {"Recording_Dir": "/a\0"}]
)
def test_a_bad_settings_file_is_refused_by_name(tmp_path: Path, content: object):
    with pytest.raises(ConfigError, match=r"cfg\.json"):
        select_root(None, _settings(tmp_path, content))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_settings_file_that_is_no_json_is_refused_by_name(tmp_path: Path, content: bytes):
    (tmp_path / "cfg.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"cfg\.json' is no JSON file"):
        select_root(None, tmp_path / "cfg.json")


def test_a_missing_settings_file_is_refused_by_name(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"cfg\.json' can't be read"):
        select_root(None, tmp_path / "cfg.json")
