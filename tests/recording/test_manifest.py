from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.errors import MalformedError
from channel_recorder.model import MediaKind, Source, User
from channel_recorder.recording.contract import FileClosed, StreamSummary
from channel_recorder.recording.manifest import Manifest, ManifestFile, build_manifest, read_manifest

STARTED = datetime(2026, 3, 1, 10, 15, 12, 345_678, tzinfo=UTC)


def _closed(name: str, start: float) -> FileClosed:
    return FileClosed(
        at_seconds=start + 8.0,
        name=name,
        user=User(uid=3_000_000_000, account="alice"),
        source=Source.CAMERA,
        start_seconds=start,
        duration_seconds=8.0,
        bytes=1234,
        streams=(
            StreamSummary(
                kind=MediaKind.VIDEO, codec="vp8", frames=200, key_frames=4, lost_frames=3, width=640, height=360
            ),
            StreamSummary(kind=MediaKind.AUDIO, codec="opus", frames=400, filled_frames=5, start_seconds=0.25),
        ),
    )


def _manifest() -> Manifest:
    files = [
        ManifestFile.of(_closed(name, start), size_bytes=1240, sha256="ab" * 32)
        for name, start in (("b.webm", 5.0), ("a.webm", 1.0))
    ]
    return build_manifest(channel="lesson", started_at=STARTED, duration_seconds=13.0, reason="signal", files=files)


def test_the_manifest_is_what_the_contract_says():
    said = json.loads(_manifest().to_json())
    assert {key: said[key] for key in said if key != "files"} == {
        "version": 1,
        "channel": "lesson",
        "started_at": "2026-03-01T10:15:12.345678Z",
        "duration": 13.0,
        "reason": "signal",
    }
    first, second = said["files"]
    assert (first["name"], second["name"]) == ("a.webm", "b.webm"), "by start"
    streams = first.pop("streams")
    assert first == {
        "name": "a.webm",
        "uid": 3_000_000_000,
        "account": "alice",
        "source": "camera",
        "start": 1.0,
        "duration": 8.0,
        "bytes": 1240,
        "sha256": "ab" * 32,
    }
    video, audio = streams
    assert (video["kind"], video["codec"], video["frames"], video["lost_frames"]) == ("video", "vp8", 200, 3)
    assert (video["width"], video["height"], video["rotation"]) == (640, 360, 0)
    assert (audio["kind"], audio["codec"], audio["frames"], audio["filled_frames"]) == ("audio", "opus", 400, 5)
    assert audio["start"] == 0.25
    assert "width" not in audio


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path):
    path = tmp_path / "manifest.json"
    path.write_bytes(_manifest().to_json())
    assert read_manifest(path) == _manifest()


def test_a_reader_of_this_version_ignores_fields_it_does_not_know():
    said = json.loads(_manifest().to_json())
    said["files"][0]["streams"][0]["later"] = 1
    assert Manifest.from_json(json.dumps(said).encode()) == _manifest()


@pytest.mark.parametrize(
    ("change", "place"),
    [({"version": 2}, "version"), ({"started_at": "2026-03-01T10:15:12"}, "started_at"), ({"files": 1}, "files")],
)
def test_a_manifest_that_is_none_says_where(change: dict[str, object], place: str):
    said = json.loads(_manifest().to_json()) | change
    with pytest.raises(MalformedError, match=place):
        Manifest.from_json(json.dumps(said).encode())


@given(st.binary(max_size=60) | st.integers(0, 900).map(lambda n: _manifest().to_json()[:n]))
@settings(deadline=None)
def test_any_other_bytes_are_malformed_and_nothing_else(data: bytes):
    with pytest.raises(MalformedError):
        Manifest.from_json(data)
