from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from channel_recorder.storage.finalize import FileHasher, sha256, write_atomically, write_done_marker


def test_check_sums_are_those_of_sha256sum(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_files_are_hashed_in_the_background(tmp_path: Path):
    hasher = FileHasher()
    contents = {tmp_path / str(n): os.urandom(n * 10_000) for n in range(5)}
    for path, content in contents.items():
        path.write_bytes(content)
        hasher.add(path)
    assert {path: hasher.digest(path) for path in contents} == {
        path: hashlib.sha256(content).hexdigest() for path, content in contents.items()
    }


def test_a_file_that_went_is_reported_when_its_check_sum_is_asked_for(tmp_path: Path):
    hasher = FileHasher()
    hasher.add(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        hasher.digest(tmp_path / "gone")


def test_a_file_written_atomically_replaces_the_old_one(tmp_path: Path):
    path = tmp_path / "manifest.json"
    path.write_bytes(b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [found.name for found in tmp_path.iterdir()] == ["manifest.json"]


def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "manifest.json"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        del descriptor
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["manifest.json"]


def test_the_done_marker_is_empty(tmp_path: Path):
    write_done_marker(tmp_path / "recording2-done.txt")
    assert (tmp_path / "recording2-done.txt").read_bytes() == b""
