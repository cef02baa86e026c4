"""What lies in a folder that anybody may have written to: names, journal, manifest, half a file; and what browsers
ask of it."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from channel_recorder.errors import MalformedError, StorageError
from channel_recorder.media.containers.repair import MEDIA_SUFFIXES, repair
from channel_recorder.recording.journal import parse_journal
from channel_recorder.recording.manifest import Manifest
from channel_recorder.service import shelf
from channel_recorder.service.file_response import UnsatisfiableRangeError, parse_range
from channel_recorder.service.library import Entry, may_give_out, open_file
from channel_recorder.service.sessions import PageSessions
from channel_recorder.storage.names import JOURNAL, MANIFEST, DirectoryName, MediaName, UidLogName

SUFFIXES = tuple(sorted(MEDIA_SUFFIXES))
MAX_INDEX_BYTES = 4096
"""Of the index of next to nothing."""
MEDIA = "1001_20260101101112131.mp4"


@functools.cache
def folder() -> Path:
    """Of this process, and gone with it."""
    root = tempfile.mkdtemp(prefix="channel-recorder-fuzz-")
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    made = Path(root) / "20260101" / "lesson-7_101112_131415000"
    made.mkdir(parents=True)
    (made.parent / "outside.txt").write_text("nobody's business")
    (made / MEDIA).write_bytes(b"media")
    return made


def journal(data: bytes) -> None:
    """Read, and shown on the page."""
    content = parse_journal(data)
    assert len(content.entries) + content.damaged_lines <= data.count(b"\n") + 1
    (folder() / JOURNAL).write_bytes(data)
    (folder() / MANIFEST).unlink(missing_ok=True)
    _show()


def manifest(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        read = Manifest.from_json(data)
        assert Manifest.from_json(read.to_json()) == read
    (folder() / MANIFEST).write_bytes(data)
    (folder() / JOURNAL).unlink(missing_ok=True)
    _show()


def _show() -> None:
    entry = Entry.of(folder())
    shelf.describe(entry, None, lambda: 1_800_000_000.0).model_dump_json()
    for file in shelf.list_files(entry, None):
        file.model_dump_json()


def file_names(data: bytes) -> None:
    """A name in a folder, or in a request: what is read is written the same, and none leads elsewhere."""
    name = os.fsdecode(data)
    for kind in (MediaName, UidLogName):
        with contextlib.suppress(MalformedError):
            assert kind.decode(name).encode() == name
    with contextlib.suppress(MalformedError, StorageError):
        path = PurePosixPath(name)
        decoded = DirectoryName.decode(path)
        assert DirectoryName.decode(decoded.encode()) == decoded
    assert not may_give_out(name) or ("/" not in name and "\0" not in name and name not in (".", ".."))
    descriptor = open_file(Entry.of(folder()), name)
    if descriptor is not None:
        assert os.fstat(descriptor).st_ino != (folder().parent / "outside.txt").stat().st_ino
        os.close(descriptor)


def byte_range(data: bytes) -> None:
    header = data[8:].decode("latin-1")
    size = int.from_bytes(data[:8], "big")
    with contextlib.suppress(UnsatisfiableRangeError):
        span = parse_range(header, size)
        assert span is None or 0 <= span.start < span.end <= size


def page_cookie(data: bytes) -> None:
    assert not PageSessions("password", None).is_cookie(data.decode("latin-1"), 1_800_000_000.0)


def repaired(suffix: str) -> Callable[[bytes], None]:
    """A media file that a dead process left, or anything under its name: what was mended needs no mending."""

    def mend(data: bytes) -> None:
        path = folder() / f"mended{suffix}"
        path.write_bytes(data)
        repair(path)
        mended = path.read_bytes()
        assert len(mended) <= len(data) + MAX_INDEX_BYTES + 4 * len(data)
        assert not repair(path).changed
        assert path.read_bytes() == mended

    return mend
