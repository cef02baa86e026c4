"""`channel-recorder token`: prints an access token of a channel."""

from __future__ import annotations

import re
import secrets
import sys
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

from channel_recorder import arguments
from channel_recorder.cli.connection import (
    APP_CERTIFICATE_VARIABLE,
    APP_ID_VARIABLE,
    AppCertificate,
    AppId,
    required,
    secret_of,
)
from channel_recorder.cli.exits import UsageError
from channel_recorder.cli.help_groups import help_group
from channel_recorder.clock import unix_seconds
from channel_recorder.errors import JoinError
from channel_recorder.protocol.access_token_007 import SALT_MAX
from channel_recorder.protocol.classic_tokens import make_classic_token
from channel_recorder.protocol.privileges import PUBLISHER, SUBSCRIBER
from channel_recorder.protocol.tokens import RECORDER_GRANTS, Grants, make_access_token

EXAMPLES = """Examples:
  A token for user 7, who may speak and show, for the next 6 hours:
    export CHANNEL_RECORDER_APP_ID=devkey CHANNEL_RECORDER_APP_CERTIFICATE=...
    channel-recorder token lesson-7 --uid 7

  A recorder that never sees the secret:
    CHANNEL_RECORDER_TOKEN=$(channel-recorder token lesson-7 --uid 1001 \\
      --role recorder) channel-recorder record lesson-7 --uid 1001

  The same for the embedded server, in the format of a classic SDK:
    channel-recorder token lesson-7 --uid 7 --format 007

Whoever has the token can join as this user until it expires."""

_TOKEN = help_group("Token")
_ROLES = {
    "publisher": (Grants(), "standard"),
    "subscriber": (Grants(can_publish=False, can_publish_data=False), "standard"),
    "recorder": (RECORDER_GRANTS, "egress"),
}
_PRIVILEGES = {"publisher": PUBLISHER, "subscriber": SUBSCRIBER, "recorder": SUBSCRIBER}
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}

Role: TypeAlias = Literal["publisher", "subscriber", "recorder"]
Format: TypeAlias = Literal["livekit", "006", "007"]


def token(
    channel: Annotated[str, Parameter(name="--channel", help="Name of the channel.", group=_TOKEN)],
    *,
    uid: Annotated[int | None, Parameter(help="Whom the token is for, by number.", group=_TOKEN)] = None,
    user_account: Annotated[
        str | None, Parameter(help="Whom the token is for, by name.", metavar="ACCOUNT", group=_TOKEN)
    ] = None,
    role: Annotated[
        Role,
        Parameter(
            help="publisher speaks and listens, subscriber only listens, recorder listens unseen.",
            show_choices=False,
            metavar="ROLE",
            group=_TOKEN,
        ),
    ] = "publisher",
    valid_for: Annotated[
        str, Parameter(help="How long it lets in: 90s, 30m, 6h or 7d.", metavar="TIME", group=_TOKEN)
    ] = "6h",
    format: Annotated[
        Format,
        Parameter(
            help="livekit, or AccessToken 006 or 007, which only the embedded server takes; those last a day at most.",
            show_choices=False,
            metavar="FORMAT",
            group=_TOKEN,
        ),
    ] = "livekit",
    app_id: AppId = None,
    app_certificate: AppCertificate = None,
) -> int:
    """Print an access token of a channel for one user."""
    key = required(app_id, "--app-id", APP_ID_VARIABLE)
    certificate = secret_of(app_certificate, "--app-certificate", APP_CERTIFICATE_VARIABLE)
    maker = _Maker(key, required(certificate, "--app-certificate", APP_CERTIFICATE_VARIABLE), seconds_of(valid_for))
    identity = _identity(channel, uid, user_account)
    text = (
        maker.livekit(channel, identity, role)
        if format == "livekit"
        else maker.classic(format, channel, identity, role)
    )
    sys.stdout.write(f"{text}\n")
    return 0


@dataclass(frozen=True, slots=True)
class _Maker:
    app_id: str
    app_certificate: str = field(repr=False)
    valid_for_seconds: int

    def livekit(self, channel: str, identity: str, role: Role) -> str:
        grants, kind = _ROLES[role]
        return make_access_token(
            self.app_id,
            self.app_certificate,
            identity=identity,
            room=channel,
            now_seconds=unix_seconds(),
            valid_for_seconds=self.valid_for_seconds,
            grants=grants,
            kind=kind,
        )

    def classic(self, version: str, channel: str, identity: str, role: Role) -> str:
        return make_classic_token(
            version,
            self.app_id,
            self.app_certificate,
            channel=channel,
            account=identity,
            privileges=_PRIVILEGES[role],
            now_seconds=unix_seconds(),
            valid_for_seconds=self.valid_for_seconds,
            salt=1 + secrets.randbelow(SALT_MAX),
        )


def seconds_of(text: str) -> int:
    """`90s`, `30m`, `6h`, `7d`, or plain seconds. Raises `UsageError`."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    if match is None or int(match[1]) == 0:
        raise UsageError(f"--valid-for={text!r} is no time: give 90s, 30m, 6h or 7d")
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def _identity(channel: str, uid: int | None, user_account: str | None) -> str:
    if (uid is None) == (user_account is None):
        raise UsageError("give either --uid or --user-account: a token is for one user")
    try:
        arguments.check_channel_id(channel)
    except JoinError as error:
        raise UsageError(str(error)) from None
    if user_account is not None:
        arguments.check_user_account(user_account)
        return user_account
    assert uid is not None
    arguments.check_uid(uid)
    return str(uid)
