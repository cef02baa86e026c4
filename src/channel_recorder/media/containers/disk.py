"""Files are made, never overwritten; what the disk says becomes a `StorageError`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from channel_recorder.errors import StorageError


def create_exclusively(path: Path) -> None:
    """Claim the name with an empty file. Raises `FileExistsError`, and `StorageError` for all else."""
    try:
        path.open("xb").close()
    except FileExistsError:
        raise
    except OSError as error:
        raise storage_error(path, error) from error


def remove_unused(path: Path) -> None:
    """Take back a name that was claimed for a file that could not be begun."""
    with suppress(OSError):
        path.unlink()


def storage_error(path: Path, error: Exception) -> StorageError:
    reason = getattr(error, "strerror", None) or str(error)
    return StorageError(f"{path.name}: {reason}")


def size_bytes(path: Path) -> int:
    """Size on disk; 0 if the file is gone."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
