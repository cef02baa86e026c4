"""Every exception this package raises, each with the classic SDK's codes.

RecorderError
+-- ConfigError           bad argument; nothing was touched            (2)
+-- StateError            not allowed in the engine's present state    (3), a RuntimeError too
+-- JoinError             the channel could not be joined              (1, status 2)
|   +-- TokenError        token expired 109, invalid 110
|   +-- ChannelNameError  illegal name or no such channel 102
|   +-- AppIdError        key unknown to the server 101
|   +-- ServerUnreachableError   wrong URL, closed port, no TLS
|   +-- UidInUseError     the identity is taken 123
+-- ConnectionFailedError lost after the join and not regained 112
+-- StorageError          unwritable, full, or gone                    (1)
+-- ProtocolError         the far side broke the protocol              (1)
    +-- MalformedError    foreign bytes that parse as nothing
"""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """Classic error codes, including the engine's own that it reports with status 1."""

    OK = 0
    GENERIC = 1
    INVALID_ARGUMENT = 2
    INTERNAL = 3
    BAD_APP_ID = 101
    BAD_CHANNEL_NAME = 102
    TOKEN_EXPIRED = 109
    TOKEN_INVALID = 110
    CONNECTION_INTERRUPTED = 111
    CONNECTION_LOST = 112
    DECRYPTION_FAILED = 120
    BANNED = 123


class StatusCode(IntEnum):
    """Classic status codes, the second argument of `on_error`."""

    OK = 0
    FROM_ENGINE = 1
    JOIN_FAILED = 2
    CREATE_PROCESS = 3
    MIX_PARAMETERS = 4
    NULL_POINTER = 5
    PROXY = 6


class WarningCode(IntEnum):
    """Classic warning codes, and ours from 1001 for what the classic SDK kept to itself."""

    NO_AVAILABLE_CHANNEL = 103
    LOOKUP_CHANNEL_TIMEOUT = 104
    LOOKUP_CHANNEL_REJECTED = 105
    OPEN_CHANNEL_TIMEOUT = 106
    OPEN_CHANNEL_REJECTED = 107
    RECOVERED_FROM_CRASH = 108
    VIDEO_DROPPED_BY_OVERLOAD = 1001
    UNSUPPORTED_CODEC = 1002
    ENCRYPTED_TRACK = 1003
    STREAM_PAUSED_BY_SERVER = 1004


class RecorderError(Exception):
    """Anything that goes wrong here. `code` and `status` are the classic numbers."""

    code: ErrorCode = ErrorCode.GENERIC
    status: StatusCode = StatusCode.OK

    def __init__(self, message: str, *, code: ErrorCode | None = None, status: StatusCode | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status


class ConfigError(RecorderError, ValueError):
    """A bad argument or a contradiction between arguments. Raised before anything is touched."""

    code = ErrorCode.INVALID_ARGUMENT


class StateError(RecorderError, RuntimeError):
    """The call is not allowed now: a spent engine, release inside a callback, ..."""

    code = ErrorCode.INTERNAL


class JoinError(RecorderError):
    """The channel could not be joined."""

    status = StatusCode.JOIN_FAILED


class TokenError(JoinError):
    """The access token is expired (109), malformed, foreign, or lacks a grant (110)."""

    code = ErrorCode.TOKEN_INVALID


class ChannelNameError(JoinError):
    """The channel name is illegal, or the server knows no such channel."""

    code = ErrorCode.BAD_CHANNEL_NAME


class AppIdError(JoinError):
    """The App ID (API key) is unknown to the server."""

    code = ErrorCode.BAD_APP_ID


class UidInUseError(JoinError):
    """Another member of the channel has this identity."""

    code = ErrorCode.BANNED


class ServerUnreachableError(JoinError):
    """Nothing answers at the server URL, or what answers is no channel server."""


class ConnectionFailedError(RecorderError):
    """The connection was lost after the join and could not be regained in time."""

    code = ErrorCode.CONNECTION_LOST


class StorageError(RecorderError):
    """The recordings folder is not writable, full, or gone."""


class ProtocolError(RecorderError):
    """The far side broke the protocol."""


class MalformedError(ProtocolError):
    """Bytes from the network that parse as nothing. Counted by the receiver, never fatal."""
