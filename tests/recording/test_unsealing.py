"""What was kept sealed becomes the files that would have been recorded, once the key is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest

from channel_recorder.codecs.annexb import START_CODE
from channel_recorder.e2ee.layout import CLEAR_BYTES
from channel_recorder.errors import MalformedError, StorageError
from channel_recorder.model import Codec, EncodedFrame, MediaKind, Source, User
from channel_recorder.recording.contract import RecordedTrack
from channel_recorder.recording.ledger import RecordingLedger
from channel_recorder.recording.manifest import Manifest, read_manifest
from channel_recorder.recording.sealed_file import pack_units
from channel_recorder.recording.sealed_recorder import SealedRecorder
from channel_recorder.recording.unsealing import unseal
from channel_recorder.storage.directory import StorageRoot
from tests.e2ee.sealing import given, seal, store
from tests.recording.clips import FPS, pictures, sound
from tests.recording.test_tracks import FakeRecorder

STARTED = datetime(2026, 3, 1, 10, 15, 12, 345_000, tzinfo=UTC)
ALICE = User(uid=7, account="7")
PICTURES = RecordedTrack(sid="TR_v", user=ALICE, kind=MediaKind.VIDEO, source=Source.CAMERA, sealed=True)
SOUND = RecordedTrack(sid="TR_a", user=ALICE, kind=MediaKind.AUDIO, source=Source.MICROPHONE, sealed=True)


class Kept:
    """A recording that could open nothing."""

    def __init__(self, root: Path) -> None:
        self.ledger = RecordingLedger(StorageRoot(path=root).create("lesson", STARTED))
        self.ledger.begin_recording(STARTED)
        self.folder = self.ledger.directory.path
        self.recorder = SealedRecorder(
            FakeRecorder(),
            channel="lesson",
            name_file=self.ledger.name_file,
            on_event=self.ledger.event,
            note=self.ledger.note,
        )

    def send_pictures(self, codec: Codec, start: float, *, lost_before: int = -1, count: int = 50) -> None:
        sink = self.recorder.add_track(PICTURES, start)
        for number, picture in enumerate(pictures(codec)[:count]):
            data = picture.data
            if codec is Codec.H264:
                data = START_CODE + data.replace(START_CODE, b"\0\0\1").removeprefix(b"\0\0\1").replace(
                    b"\0\0\1", START_CODE
                )
            wire = seal(data, CLEAR_BYTES[codec](data), escapes=codec is Codec.H264)
            frame = EncodedFrame(codec, pack_units((wire,)), number * 3600, 0.0)
            frame.lost_packets = int(number == lost_before)
            frame.time_seconds = start + number / FPS
            sink.write(frame)
        sink.close(start + count / FPS)

    def send_sound(self, start: float, packets: Sequence[bytes] | None = None) -> None:
        sink = self.recorder.add_track(SOUND, start)
        for number, wire in enumerate(packets or [seal(packet, 1) for packet in sound(2.0)]):
            frame = EncodedFrame(Codec.OPUS, pack_units((wire,)), number * 960, 0.0)
            frame.time_seconds = start + number / 50
            sink.write(frame)
        sink.close(start + 2.0)

    def end(self) -> Manifest:
        return self.ledger.finish("left", 10.0)


def decoded(path: Path) -> tuple[int, int]:
    """Pictures and seconds of sound."""
    with av.open(path) as container:
        shown = len(list(container.decode(video=0)))
    with av.open(path) as container:
        heard = sum(frame.samples for frame in container.decode(audio=0))
    return shown, round(heard / 48_000)


@pytest.mark.parametrize(("codec", "ending"), [(Codec.VP8, ".webm"), (Codec.VP9, ".webm"), (Codec.H264, ".mp4")])
def test_pictures_and_sound_come_together_in_one_file(tmp_path: Path, codec: Codec, ending: str) -> None:
    kept = Kept(tmp_path)
    kept.send_pictures(codec, 1.0)
    kept.send_sound(1.0)
    kept.end()
    done = unseal(kept.folder, store(given()))
    assert (done.frames, done.unopened_frames) == (150, 0)
    (file,) = done.manifest.files
    assert file.start == pytest.approx(1.0)
    assert (done.path / file.name).suffix == ending
    assert decoded(done.path / file.name) == (50, 2)
    assert read_manifest(done.path / "manifest.json").started_at == STARTED


def test_a_picture_that_came_a_little_later_is_in_the_same_file(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.send_sound(1.0)
    kept.send_pictures(Codec.VP8, 1.8)
    kept.end()
    (file,) = unseal(kept.folder, store(given())).manifest.files
    assert [stream.kind for stream in file.streams] == [MediaKind.VIDEO, MediaKind.AUDIO]


def test_pictures_after_a_loss_begin_with_the_next_key_frame(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.send_pictures(Codec.VP8, 1.0, lost_before=10)
    kept.end()
    (file,) = unseal(kept.folder, store(given())).manifest.files
    assert file.streams[0].frames == 10 + 25


def test_with_a_wrong_key_too_nothing_is_written_but_the_books(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.send_sound(1.0)
    kept.end()
    done = unseal(kept.folder, store(given("another")))
    assert (done.frames, done.unopened_frames, done.manifest.files) == (0, 100, [])


def test_what_was_recorded_is_not_touched_and_nothing_is_written_twice(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.send_sound(1.0)
    kept.end()
    before = {path.name: path.read_bytes() for path in kept.folder.iterdir()}
    unseal(kept.folder, store(given()))
    assert {path.name: path.read_bytes() for path in kept.folder.iterdir() if path.is_file()} == before
    with pytest.raises(StorageError, match="is there already"):
        unseal(kept.folder, store(given()))


def test_folders_without_sealed_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no sealed frames"):
        unseal(tmp_path, store(given()))
    (tmp_path / "7_x.sealed").write_bytes(b"nonsense")
    with pytest.raises(StorageError, match="no file of sealed frames"):
        unseal(tmp_path, store(given()))


def test_a_file_that_was_cut_opens_up_to_there(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.send_sound(1.0)
    kept.end()
    (path,) = kept.folder.glob("*.sealed")
    path.write_bytes(path.read_bytes()[:-1])
    assert unseal(kept.folder, store(given())).frames == 99


def test_a_file_that_is_damaged_in_the_middle_is_told(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.send_sound(1.0)
    kept.end()
    (path,) = kept.folder.glob("*.sealed")
    data = path.read_bytes()
    begin = data.index(b"\n") + 1
    path.write_bytes(data[:begin] + b"\0\0\0\5nonsense" + data[begin:])
    with pytest.raises(MalformedError):
        unseal(kept.folder, store(given()))
