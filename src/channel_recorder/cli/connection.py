"""The flags that say which channel server and as whom, shared by the commands. Secrets come from the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from channel_recorder.cli.exits import UsageError
from channel_recorder.cli.help_groups import help_group

CONNECTION = help_group("Connection")

SERVER_URL_VARIABLE = "CHANNEL_RECORDER_SERVER_URL"
APP_ID_VARIABLE = "CHANNEL_RECORDER_APP_ID"
APP_CERTIFICATE_VARIABLE = "CHANNEL_RECORDER_APP_CERTIFICATE"
TOKEN_VARIABLE = "CHANNEL_RECORDER_TOKEN"
SECRET_VARIABLE = "CHANNEL_RECORDER_SECRET"
ENCRYPTION_KEYS_VARIABLE = "CHANNEL_RECORDER_ENCRYPTION_KEYS"
SECRET_MAX_BYTES = 16_384

CONNECTION_FLAGS = (
    "server_url",
    "app_id",
    "app_certificate",
    "token",
    "uid",
    "user_account",
    "log_level",
)
"""Flags beside those of the config that have a classic spelling too."""

ServerUrl: TypeAlias = Annotated[
    str | None,
    Parameter(
        help="The channel server: ws://HOST:PORT, or wss://HOST where it has TLS.",
        env_var=SERVER_URL_VARIABLE,
        metavar="URL",
        group=CONNECTION,
    ),
]
AppId: TypeAlias = Annotated[
    str | None,
    Parameter(help="API key of the channel server.", env_var=APP_ID_VARIABLE, metavar="KEY", group=CONNECTION),
]
AppCertificate: TypeAlias = Annotated[
    str | None,
    Parameter(
        help="API secret that belongs to the App ID, or @FILE that holds it. Better from the environment: "
        "what is on the command line, everybody on the machine can see in the process list.",
        env_var=APP_CERTIFICATE_VARIABLE,
        metavar="SECRET",
        group=CONNECTION,
    ),
]
Token: TypeAlias = Annotated[
    str | None,
    Parameter(
        help="Access token of the channel, or @FILE that holds it; instead of an App Certificate. "
        "Better from the environment.",
        env_var=TOKEN_VARIABLE,
        metavar="TOKEN",
        group=CONNECTION,
    ),
]


def required(value: str | None, flag: str, variable: str) -> str:
    """The value, or a sentence that says how to give it. Raises `UsageError`."""
    if not value:
        raise UsageError(f"{flag} is missing: give it, or set {variable} in the environment")
    return value


def secret_of(value: str | None, flag: str, variable: str | None = None) -> str | None:
    """The secret itself: `@FILE` is read, a secret in plain sight is warned of. Raises `UsageError`."""
    if not value:
        return None
    if value.startswith("@"):
        return _read_secret(Path(value[1:]), flag)
    if variable is None or os.environ.get(variable) != value:
        better = f"set {variable} or give {flag} @FILE" if variable else f"give {flag} @FILE"
        sys.stderr.write(f"channel-recorder: warning: {flag} is visible in the process list: {better}\n")
    return value


def _read_secret(path: Path, flag: str) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(SECRET_MAX_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"{flag} @{path} cannot be read: {reason}") from None
    if not text:
        raise UsageError(f"{flag} @{path} is empty")
    return text
