"""Who writes a recording is known by a lock, which goes with its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from channel_recorder.recording.journal import Journal
from channel_recorder.storage.locks import locked

HOLDER = """
import sys, time
from pathlib import Path
from channel_recorder.recording.journal import Journal
journal = Journal(Path(sys.argv[1]))
print("locked", flush=True)
time.sleep(60)
"""


def is_free(path: Path) -> bool:
    with locked(path) as free:
        return free


def test_a_journal_that_is_written_is_locked_even_for_its_own_process(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    assert not is_free(path)
    path.read_bytes()
    assert not is_free(path), "somebody who read it and closed it changes nothing"
    with pytest.raises(OSError, match="another process"):
        Journal(path)
    assert not is_free(path)
    journal.close()
    assert is_free(path)
    Journal(path).close()


def test_a_lock_ends_with_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert not is_free(path)
        process.kill()
        process.wait()
    assert is_free(path)


def test_a_child_that_is_started_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        journal.close()
        assert is_free(path)
        child.communicate(b"\n")
    assert path.exists()
