"""AccessToken 006: `006`, the App ID (32 characters), in base64 a signature over App ID, channel, user and message.

The token holds neither channel nor user, only their CRC-32 as a hint: both come from whoever wants to join, and the
signature tells whether they are right. They are signed one behind the other without a mark between, so that a token
for user 12 of channel `a` fits user 2 of channel `a1` too. Version 007 has no such weakness.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from channel_recorder.errors import ConfigError, MalformedError
from channel_recorder.protocol.packing import Reader, pack_numbers, pack_octets, pack_u32

VERSION = "006"
APP_ID_LENGTH = 32
SALT_MAX = 99_999_999
ANYBODY = ""
"""The user of a token that any user may join with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken006:
    app_id: str
    expires_at: int
    """Seconds since 1970."""
    privileges: Mapping[int, int]
    """To when each ends, seconds since 1970; 0 with the token."""
    channel_crc: int
    account_crc: int
    signature: bytes = field(repr=False)
    message: bytes = field(repr=False)

    def is_signed(self, app_certificate: str, *, channel: str, account: str) -> bool:
        """Whether the certificate's owner made it for this user of this channel."""
        expected = _signature(app_certificate, self.app_id, channel, account, self.message)
        return hmac.compare_digest(self.signature, expected)


def make_access_token_006(
    app_id: str,
    app_certificate: str,
    *,
    channel: str,
    account: str,
    privileges: Mapping[int, int],
    expires_at: int,
    salt: int,
) -> str:
    """`account`: the user's number in digits, or name; `ANYBODY`: any user. `salt`: 1 to `SALT_MAX`, at random.

    Raises ConfigError if the App ID does not fit into this version.
    """
    if len(app_id) != APP_ID_LENGTH or not app_id.isascii() or not app_certificate:
        raise ConfigError(f"an AccessToken 006 needs an App ID of {APP_ID_LENGTH} characters and an App Certificate")
    message = pack_u32(salt) + pack_u32(expires_at) + pack_numbers(privileges)
    content = (
        pack_octets(_signature(app_certificate, app_id, channel, account, message))
        + pack_u32(zlib.crc32(channel.encode()))
        + pack_u32(zlib.crc32(account.encode()))
        + pack_octets(message)
    )
    return VERSION + app_id + base64.b64encode(content).decode()


def read_access_token_006(token: str) -> AccessToken006:
    """What it says, its signature unchecked. Raises MalformedError."""
    content = Reader(_content(token))
    signature = content.octets()
    channel_crc, account_crc = content.u32(), content.u32()
    message = content.octets()
    signed = Reader(message)
    signed.u32()  # the salt
    return AccessToken006(
        app_id=token[len(VERSION) : len(VERSION) + APP_ID_LENGTH],
        signature=signature,
        channel_crc=channel_crc,
        account_crc=account_crc,
        message=message,
        expires_at=signed.u32(),
        privileges=signed.numbers(),
    )


def _content(token: str) -> bytes:
    if not token.startswith(VERSION):
        raise MalformedError("it does not begin with 006")
    try:
        return base64.b64decode(token[len(VERSION) + APP_ID_LENGTH :], validate=True)
    except (binascii.Error, ValueError):
        raise MalformedError("it is not base64") from None


def _signature(app_certificate: str, app_id: str, channel: str, account: str, message: bytes) -> bytes:
    data = app_id.encode() + channel.encode() + account.encode() + message
    return hmac.digest(app_certificate.encode(), data, hashlib.sha256)
