"""`channel-recorder unseal` opens what was kept encrypted, with a key that nobody else sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from channel_recorder.config import EncryptionKey, RecordingConfig
from channel_recorder.e2ee.store import GivenKey
from channel_recorder.wiring.keys import ChannelKeys
from tests.cli.conftest import Run
from tests.e2ee.sealing import seal
from tests.recording.clips import sound
from tests.recording.test_unsealing import Kept

SECRET = "open sesame and close again"


def kept(root: Path) -> Path:
    """A recording with a second of sound that the passphrase opens."""
    recording = Kept(root)
    given: GivenKey = ChannelKeys(RecordingConfig()).given(EncryptionKey(secret=SECRET))
    recording.send_sound(1.0, [seal(packet, 1, given.material) for packet in sound(1.0)])
    recording.end()
    return recording.folder


def test_what_was_kept_is_opened_with_the_secret_of_a_file(run: Run, tmp_path: Path) -> None:
    folder = kept(tmp_path)
    (tmp_path / "key").write_text(f"{SECRET}\n")
    finished = run(["unseal", str(folder), "--secret", f"@{tmp_path / 'key'}"])
    assert (finished.status, finished.err) == (0, "")
    assert finished.out == f"1 file in {folder / 'unsealed'}: 50 frames opened\n"


def test_a_program_gets_one_object(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kept(tmp_path)
    keys = json.dumps([{"account": "7", "secret": SECRET}])
    monkeypatch.setenv("CHANNEL_RECORDER_ENCRYPTION_KEYS", keys)
    finished = run(["unseal", str(folder), "--json"])
    told = json.loads(finished.out)
    (name,) = told.pop("files")
    assert (folder / "unsealed" / name).exists()
    assert told == {"event": "unsealed", "storage_dir": str(folder / "unsealed"), "frames": 50, "unopened": 0}


def test_a_wrong_secret_says_how_much_stays_sealed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL_RECORDER_SECRET", "another")
    finished = run(["unseal", str(kept(tmp_path))])
    assert finished.out.endswith("0 frames opened, 50 stay sealed\n")


def test_without_a_key_it_says_how_to_give_one(run: Run, tmp_path: Path) -> None:
    finished = run(["unseal", str(tmp_path)])
    assert finished.status == 2
    assert "give --secret or --encryption-keys" in finished.err


def test_a_folder_without_sealed_frames_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL_RECORDER_SECRET", SECRET)
    finished = run(["unseal", str(tmp_path)])
    assert finished.status == 1
    assert str(tmp_path) in finished.err
    assert "kept its ciphertext" in finished.err
    assert SECRET not in finished.err
