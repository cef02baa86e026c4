"""A recording whose process died is made what a clean end makes, whenever it died."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.events import Joined
from channel_recorder.model import Codec, Source, User
from channel_recorder.recording.archive import Archive
from channel_recorder.recording.contract import FileEvent, Recorder
from channel_recorder.recording.individual import IndividualRecorder
from channel_recorder.recording.journal import Entry, read_journal
from channel_recorder.recording.ledger import RecordingLedger
from channel_recorder.recording.manifest import Manifest, read_manifest
from channel_recorder.recording.recovery import Recovery, RecoveryState, find_unfinished, recover, work_bytes
from channel_recorder.recording.remains import read_remains
from channel_recorder.recording.uid_log_repair import open_names
from channel_recorder.storage.directory import RecordingDirectory, StorageRoot
from channel_recorder.storage.leftovers import find_recordings
from tests.recording.clips import pictures, sound
from tests.recording.playback import read
from tests.recording.stage import BOB, Stage

STARTED = datetime(2026, 3, 1, 10, 15, 12, 345_678, tzinfo=UTC)
CAROL = User(uid=3_000_000_000, account="carol")
SECONDS = 4.0
LOST_SECONDS = 1.0


class Show(Stage):
    """Three users, recorded with all books."""

    def __init__(self, directory: RecordingDirectory) -> None:
        super().__init__(directory.path)
        ledger = RecordingLedger(directory, wall_clock=lambda: STARTED + timedelta(seconds=self._now))

        def make_recorder(on_event: Callable[[FileEvent], None]) -> Recorder:
            return IndividualRecorder(name_file=ledger.name_file, on_event=on_event, key_frame_wanted=lambda _: None)

        self.archive = Archive(ledger, make_recorder, self.events.append)
        self.recorder = self.archive
        joined = Joined(room_sid="RM_1", room_name="lesson", identity="900", participant_sid="PA_1")
        ledger.channel_event(joined, 0.0, int)
        ledger.begin_recording(STARTED + timedelta(milliseconds=250))
        self.archive.begin_span(0.0)

    def play(self) -> None:
        lost = range(55, 58)
        self.send_pictures(self.track(Source.CAMERA), Codec.VP8, pictures(Codec.VP8, 100), 0.1)
        self.send_sound(self.track(Source.MICROPHONE), sound(SECONDS), 0.0, lost=lost)
        self.send_pictures(self.track(Source.CAMERA, BOB), Codec.H264, pictures(Codec.H264, 100), 0.1)
        self.send_sound(self.track(Source.MICROPHONE, BOB), sound(SECONDS), 0.0)
        self.send_sound(self.track(Source.MICROPHONE, CAROL), sound(SECONDS), 0.5)

    def end(self) -> Manifest:
        self.archive.close(SECONDS)
        return self.archive.ledger.finish("left", SECONDS)


@cache
def snapshots() -> dict[float, dict[str, bytes]]:
    """What lies in the directory after each tick; the last is of the clean end."""
    found: dict[float, dict[str, bytes]] = {}
    with TemporaryDirectory() as folder:
        directory = StorageRoot(path=Path(folder)).create("lesson", STARTED)
        show = Show(directory)
        show.play()
        for tick in range(round(SECONDS * 10) + 1):
            show.run(tick / 10)
            found[tick / 10] = content(directory.path)
        show.end()
        found[99.0] = content(directory.path)
    return found


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def left_at(root: Path, seconds: float) -> RecordingDirectory:
    directory = StorageRoot(path=root).create("lesson", STARTED)
    for name, data in snapshots()[seconds].items():
        (directory.path / name).write_bytes(data)
    return directory


def check_books(directory: RecordingDirectory, manifest: Manifest) -> None:
    """Manifest, logs, journal and files say the same."""
    assert read_manifest(directory.manifest_path) == manifest
    assert directory.done_path.exists()
    assert read_journal(directory.journal_path).damaged_lines == 0
    assert not directory.reserve_path.exists()
    for file in manifest.files:
        data = (directory.path / file.name).read_bytes()
        assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        playback = read(directory.path / file.name)
        for stream in file.streams:
            played = getattr(playback, stream.kind)
            assert stream.frames + stream.filled_frames == len(played.packets)
            assert played.end_seconds <= file.duration + 0.05
    for path in directory.path.glob("*uid_*.txt"):
        lines = path.read_text().splitlines()
        assert lines[0] == "new session started"
        assert open_names(lines) == []


@pytest.mark.parametrize("seconds", [tick / 10 for tick in (0, 1, *range(2, 41, 3))])
def test_whenever_the_process_dies_the_recording_is_whole(tmp_path: Path, seconds: float) -> None:
    directory = left_at(tmp_path, seconds)
    work = work_bytes(directory)
    told: list[int] = []
    result = recover(directory, told.append)
    assert result.state is RecoveryState.RECOVERED
    assert sum(told) == pytest.approx(work, abs=0.05 * work + 10_000)
    manifest = result.manifest
    assert manifest is not None
    assert (manifest.reason, manifest.channel) == ("interrupted", "lesson")
    assert manifest.started_at == STARTED + timedelta(milliseconds=250)
    check_books(directory, manifest)
    clean = {file.name: file for file in Manifest.from_json(snapshots()[99.0]["manifest.json"]).files}
    for file in manifest.files:
        whole = clean[file.name]
        assert (file.uid, file.account, file.source, file.start) == (
            whole.uid,
            whole.account,
            whole.source,
            whole.start,
        )
        assert [stream.codec for stream in file.streams] == [stream.codec for stream in whole.streams]
        assert seconds - file.start - LOST_SECONDS < file.duration <= seconds - file.start + 0.1
    expected = {name for name, file in clean.items() if file.start + LOST_SECONDS < seconds}
    assert expected <= {file.name for file in manifest.files} <= set(clean)


def test_what_was_lost_and_filled_is_counted_as_at_a_clean_end(tmp_path: Path) -> None:
    directory = left_at(tmp_path, SECONDS)
    manifest = recover(directory).manifest
    clean = Manifest.from_json(snapshots()[99.0]["manifest.json"])
    assert manifest is not None
    for file, whole in zip(manifest.files, clean.files, strict=True):
        for stream, other in zip(file.streams, whole.streams, strict=True):
            assert stream.lost_frames == other.lost_frames
            assert other.filled_frames - 30 < stream.filled_frames <= other.filled_frames, "silence to the end"
            assert (stream.width, stream.height, stream.rotation) == (other.width, other.height, other.rotation)
            assert stream.start == pytest.approx(other.start, abs=0.002)
            assert other.frames - 30 < stream.frames <= other.frames


def test_counts_of_a_long_file_come_from_the_journal(tmp_path: Path) -> None:
    """A sender's own silence looks like a filler: what was reported before the end is believed."""
    directory = StorageRoot(path=tmp_path).create("lesson", STARTED)
    show = Show(directory)
    packets = [bytes.fromhex("f8fffe")] * 300 + sound(4.0) + sound(4.0)
    show.send_sound(show.track(Source.MICROPHONE), packets, 0.0, lost=[*range(350, 380), 580, 581])
    show.run(13.5)
    copy = StorageRoot(path=tmp_path / "copy").create("lesson", STARTED)
    for name, data in content(directory.path).items():
        (copy.path / name).write_bytes(data)
    recovered = recover(copy).manifest
    show.archive.close(13.5)
    clean = show.archive.ledger.finish("left", 13.5)
    assert recovered is not None
    (stream,), (other,) = recovered.files[0].streams, clean.files[0].streams
    assert stream.lost_frames == other.lost_frames == 32
    assert stream.filled_frames == 32
    assert other.filled_frames < 40, "and silence to the end"
    assert other.frames - 30 < stream.frames <= other.frames


def test_recovering_again_changes_nothing(tmp_path: Path) -> None:
    directory = left_at(tmp_path, 2.3)
    first = recover(directory)
    before = content(directory.path)
    again = recover(directory)
    assert (again.state, again.manifest) == (RecoveryState.FINISHED, first.manifest)
    assert content(directory.path) == before
    assert work_bytes(directory) == 0


def test_a_recording_that_ended_is_not_touched(tmp_path: Path) -> None:
    directory = left_at(tmp_path, 99.0)
    result = recover(directory)
    assert result.state is RecoveryState.FINISHED
    assert content(directory.path) == snapshots()[99.0]


@pytest.mark.parametrize("gone", [["recording2-done.txt"], ["recording2-done.txt", "manifest.json"]])
def test_a_process_that_dies_at_its_very_end_ended(tmp_path: Path, gone: list[str]) -> None:
    directory = left_at(tmp_path, 99.0)
    for name in gone:
        (directory.path / name).unlink()
    manifest = recover(directory).manifest
    assert manifest == Manifest.from_json(snapshots()[99.0]["manifest.json"])
    assert directory.done_path.exists()


def test_a_recording_that_is_written_is_left_alone(tmp_path: Path) -> None:
    directory = StorageRoot(path=tmp_path).create("lesson", STARTED)
    show = Show(directory)
    show.play()
    show.run(2.0)
    before = content(directory.path)
    assert recover(directory).state is RecoveryState.LIVE
    assert content(directory.path) == before
    assert [found.path for found in find_unfinished(tmp_path)] == [directory.path]
    show.run(SECONDS)
    assert show.end().reason == "left"
    assert find_unfinished(tmp_path) == []


def test_a_folder_that_a_recorder_is_about_to_use_is_left_alone(tmp_path: Path) -> None:
    directory = StorageRoot(path=tmp_path).create("lesson", STARTED)
    assert recover(directory).state is RecoveryState.EMPTY
    directory.journal_path.touch()
    assert recover(directory).state is RecoveryState.EMPTY
    assert content(directory.path) == {"journal.jsonl": b""}


def test_files_are_found_by_their_names_when_the_journal_is_lost(tmp_path: Path) -> None:
    directory = left_at(tmp_path, 3.0)
    by_journal = recover(left_at(tmp_path / "other", 3.0)).manifest
    directory.journal_path.unlink()
    (found,) = find_recordings(tmp_path / "20260301")
    manifest = recover(found).manifest
    assert manifest is not None and by_journal is not None
    assert manifest.channel == "lesson"
    assert [(file.name, file.uid, file.source) for file in manifest.files] == [
        (file.name, file.uid, file.source) for file in by_journal.files
    ]
    instants = [[at.started_at + timedelta(seconds=file.start) for file in at.files] for at in (manifest, by_journal)]
    assert all(abs(one - other) < timedelta(milliseconds=2) for one, other in zip(*instants, strict=True))


def test_a_journal_cut_at_any_byte_recovers(tmp_path: Path) -> None:
    data = snapshots()[3.0]["journal.jsonl"]
    sizes = {*random.Random(1).sample(range(len(data)), 40), 0, 1, len(data) - 1}
    for size in sorted(sizes):
        directory = left_at(tmp_path, 3.0)
        directory.journal_path.write_bytes(data[:size])
        manifest = recover(directory).manifest
        assert manifest is not None
        assert sorted(file.uid for file in manifest.files) == [7, 9, 3_000_000_000]
        check_books(directory, manifest)
        assert data[:size].rpartition(b"\n")[0] in directory.journal_path.read_bytes(), "whole lines stay"
        shutil.rmtree(directory.path)


class KilledError(BaseException):
    pass


def test_a_recovery_that_is_killed_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = recover(left_at(tmp_path / "whole", 3.0)).manifest
    for steps in range(200):
        directory = left_at(tmp_path, 3.0)
        try:
            with monkeypatch.context() as patch:
                die_after(steps, patch)
                recover(directory)
        except KilledError:
            recovered = recover(directory).manifest
            assert recovered is not None and expected is not None
            assert recovered.files == expected.files
            check_books(directory, recovered)
            shutil.rmtree(directory.path)
        else:
            assert steps > 20
            return
    pytest.fail("a recovery of 200 steps")


def die_after(steps: int, patch: pytest.MonkeyPatch) -> None:
    """Whatever changes the disk counts as a step."""
    left = steps

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **named: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise KilledError
            return real(*arguments, **named)

        return step

    for name in ("write", "pwrite", "ftruncate", "fsync", "unlink"):
        patch.setattr(os, name, counted(getattr(os, name)))
    patch.setattr(Path, "replace", counted(Path.replace))


def test_flat_folders_hold_several_and_the_marker_waits_for_the_last(tmp_path: Path) -> None:
    root = StorageRoot(path=tmp_path, is_flat=True)
    shows = []
    for number in range(2):
        show = Show(root.create("lesson", STARTED + timedelta(seconds=number)))
        show.send_sound(show.track(Source.MICROPHONE), sound(2.0), 0.0)
        show.run(2.0)
        shows.append(show)
    dead, living = (show.archive.ledger for show in shows)
    os.close(dead._journal._file.descriptor)
    states = {found.side_stamp: recover(found).state for found in find_recordings(tmp_path)}
    assert states == {"": RecoveryState.RECOVERED, living.directory.side_stamp: RecoveryState.LIVE}
    assert not living.directory.done_path.exists()
    (file,) = read_manifest(dead.directory.manifest_path).files
    assert file.duration == pytest.approx(2.0, abs=0.5)
    shows[1].end()
    assert living.directory.done_path.exists()
    dead._journal._file._descriptor = -1


def test_files_that_hold_nothing_are_named_and_left(tmp_path: Path) -> None:
    directory = left_at(tmp_path, 2.0)
    name = next(name for name in snapshots()[2.0] if name.endswith(".mp4"))
    (directory.path / name).write_bytes(b"\0\0\0\x1cftyp")
    result = recover(directory)
    assert result.unplayable == (name,)
    assert result.manifest is not None
    assert name not in {file.name for file in result.manifest.files}
    assert (directory.path / name).read_bytes() == b"\0\0\0\x1cftyp"
    check_books(directory, result.manifest)


def test_a_lost_uid_log_comes_from_its_hidden_twin(tmp_path: Path) -> None:
    directory = left_at(tmp_path, 2.0)
    (path,) = directory.path.glob("uid_7_*.txt")
    path.write_bytes(b"")
    result: Recovery = recover(directory)
    assert result.manifest is not None
    twin = path.with_name("." + path.name)
    assert path.read_bytes() == twin.read_bytes()
    assert " close" in path.read_text()


FACTS = ("joined", "recording_started", "file_created", "file_progress", "file_closed", "gap", "video_info", "ended")
KEYS = (
    "name",
    "uid",
    "account",
    "source",
    "started_at",
    "duration",
    "streams",
    "start",
    "bytes",
    "lost_packets",
    "kind",
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["7_20260301101512345.ogg", "audio", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KEYS, "frames", "codec"]), inner),
    max_leaves=8,
)
foreign = st.dictionaries(st.sampled_from([*KEYS, "wall"]), values).flatmap(
    lambda fields: st.tuples(st.sampled_from(FACTS), values).map(
        lambda pair: {**fields, "fact": pair[0], "at": pair[1]}
    )
)


@given(st.lists(foreign, max_size=6))
@settings(deadline=None)
def test_any_journal_is_read(entries: list[Entry]) -> None:
    known: list[Entry] = [
        {"fact": "file_created", "at": 0.0, "name": "7_20260301101512345.ogg", "uid": 7, "source": "microphone"}
    ]
    remains = read_remains([*known, *entries])
    assert all("/" not in name for name in remains.files)
    assert remains.last_seconds >= 0.0
    with suppress(ValueError):
        json.dumps(remains.last_seconds)
