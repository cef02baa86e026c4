"""Records WebRTC calls and live broadcasts on your own Linux machines.

    from channel_recorder import RecordingConfig, RecordingEngine, RecordingHandler

`RecordingEngine` is the engine for any program, `channel_recorder.aio.RecordingEngine` the one for asyncio.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from channel_recorder.aio import RecordingProperties
    from channel_recorder.config import EncryptionKey, RecordingConfig, StreamType, TriggerMode
    from channel_recorder.engine import RecordingEngine, create_recording_engine
    from channel_recorder.errors import (
        AppIdError,
        ChannelNameError,
        ConfigError,
        ConnectionFailedError,
        ErrorCode,
        JoinError,
        RecorderError,
        ServerUnreachableError,
        StateError,
        StatusCode,
        StorageError,
        TokenError,
        UidInUseError,
        WarningCode,
    )
    from channel_recorder.handler import (
        ConnectionChangedReason,
        ConnectionState,
        LeavePath,
        OfflineReason,
        RecordedFile,
        RecordingHandler,
        RecordingStats,
        RemoteStreamState,
        RemoteStreamStateReason,
        UserJoinInfo,
    )
    from channel_recorder.model import ChannelProfile, User

# Public names load on first use: `channel-recorder --help` and the rooms' own tests need no WebRTC stack.
_HOMES = {
    "aio": ("RecordingProperties",),
    "config": ("EncryptionKey", "RecordingConfig", "StreamType", "TriggerMode"),
    "engine": ("RecordingEngine", "create_recording_engine"),
    "errors": (
        "AppIdError",
        "ChannelNameError",
        "ConfigError",
        "ConnectionFailedError",
        "ErrorCode",
        "JoinError",
        "RecorderError",
        "ServerUnreachableError",
        "StateError",
        "StatusCode",
        "StorageError",
        "TokenError",
        "UidInUseError",
        "WarningCode",
    ),
    "handler": (
        "ConnectionChangedReason",
        "ConnectionState",
        "LeavePath",
        "OfflineReason",
        "RecordedFile",
        "RecordingHandler",
        "RecordingStats",
        "RemoteStreamState",
        "RemoteStreamStateReason",
        "UserJoinInfo",
    ),
    "model": ("ChannelProfile", "User"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AppIdError",
    "ChannelNameError",
    "ChannelProfile",
    "ConfigError",
    "ConnectionChangedReason",
    "ConnectionFailedError",
    "ConnectionState",
    "EncryptionKey",
    "ErrorCode",
    "JoinError",
    "LeavePath",
    "OfflineReason",
    "RecordedFile",
    "RecorderError",
    "RecordingConfig",
    "RecordingEngine",
    "RecordingHandler",
    "RecordingProperties",
    "RecordingStats",
    "RemoteStreamState",
    "RemoteStreamStateReason",
    "ServerUnreachableError",
    "StateError",
    "StatusCode",
    "StorageError",
    "StreamType",
    "TokenError",
    "TriggerMode",
    "UidInUseError",
    "User",
    "UserJoinInfo",
    "WarningCode",
    "create_recording_engine",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"channel_recorder.{home}"), name)
