"""Which of the classic SDK's two settings says where recordings go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from channel_recorder.errors import ConfigError
from channel_recorder.storage.directory import StorageRoot

RECORDING_DIR_KEY = "Recording_Dir"


def select_root(record_file_root_dir: Path | None, cfg_file_path: Path | None) -> StorageRoot:
    """`cfg_file_path` names a JSON file; its key Recording_Dir is optional (classic SDK 3.0.0 and later).

    Neither given: the current folder. Raises `ConfigError`.
    """
    flat = _recording_dir(cfg_file_path) if cfg_file_path is not None else None
    if flat is not None:
        return StorageRoot(path=flat, is_flat=True)
    return StorageRoot(path=(record_file_root_dir or Path()).absolute())


def _recording_dir(cfg_file_path: Path) -> Path | None:
    try:
        settings: object = json.loads(cfg_file_path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cfg_file_path={str(cfg_file_path)!r} can't be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"cfg_file_path={str(cfg_file_path)!r} is no JSON file") from None
    if not isinstance(settings, dict):
        raise ConfigError(f"cfg_file_path={str(cfg_file_path)!r} holds no JSON object")
    return _absolute(cfg_file_path, cast("dict[str, object]", settings).get(RECORDING_DIR_KEY))


def _absolute(cfg_file_path: Path, value: object) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, str) or not Path(value).is_absolute() or "\0" in value:
        raise ConfigError(f"{RECORDING_DIR_KEY} in {str(cfg_file_path)!r} must be an absolute path, not {value!r}")
    return Path(value)
