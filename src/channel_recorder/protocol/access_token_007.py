"""AccessToken 007: `007`, and in base64 and zlib a signature over App ID, times and the services the bearer may use."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from channel_recorder.errors import ConfigError, MalformedError
from channel_recorder.protocol.packing import Reader, pack_numbers, pack_octets, pack_text, pack_u16, pack_u32

VERSION = "007"
ANYBODY = ""
"""The user of a token that any user may join with."""
SALT_MAX = 99_999_999
MAX_CONTENT_BYTES = 64 * 1024
"""Inflated. Real ones have some 200."""
_RTC = 1
_TEXT, _NUMBER = Reader.octets, Reader.u16
_SERVICE_FIELDS: dict[int, tuple[Callable[[Reader], object], ...]] = {
    _RTC: (_TEXT, _TEXT),
    2: (_TEXT,),
    3: (_TEXT, _TEXT),
    4: (),
    5: (_TEXT,),
    7: (_TEXT, _TEXT, _NUMBER),
    8: (_TEXT,),
}
"""What follows the privileges, by the service's type. Nothing tells how long another one is: there reading ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken007:
    app_id: str
    issued_at: int
    """Seconds since 1970."""
    valid_for_seconds: int
    channel: str | None
    """None: the token is for other services, not for joining a channel."""
    account: str
    privileges: Mapping[int, int]
    """To how many seconds after the issue each ends; 0 with the token."""
    salt: int = field(repr=False)
    signature: bytes = field(repr=False)
    info: bytes = field(repr=False)

    def is_signed(self, app_certificate: str) -> bool:
        expected = _signature(app_certificate, self.issued_at, self.salt, self.info)
        return hmac.compare_digest(self.signature, expected)


def make_access_token_007(
    app_id: str,
    app_certificate: str,
    *,
    channel: str,
    account: str,
    privileges: Mapping[int, int],
    issued_at: int,
    valid_for_seconds: int,
    salt: int,
) -> str:
    """`account`: the user's number in digits, or name; `ANYBODY`: any user. `salt`: 1 to `SALT_MAX`, at random.

    Raises ConfigError without App ID or certificate.
    """
    if not app_id or not app_certificate:
        raise ConfigError("an AccessToken 007 needs an App ID and an App Certificate")
    service = pack_u16(_RTC) + pack_numbers(privileges) + pack_text(channel) + pack_text(account)
    times = pack_u32(issued_at) + pack_u32(valid_for_seconds) + pack_u32(salt)
    info = pack_text(app_id) + times + pack_u16(1) + service
    content = pack_octets(_signature(app_certificate, issued_at, salt, info)) + info
    return VERSION + base64.b64encode(zlib.compress(content)).decode()


def read_access_token_007(token: str) -> AccessToken007:
    """What it says, its signature unchecked. Raises MalformedError."""
    content = Reader(_inflate(_compressed(token)))
    signature = content.octets()
    info = content.rest()
    signed = Reader(info)
    app_id, issued_at, valid_for_seconds, salt = signed.text(), signed.u32(), signed.u32(), signed.u32()
    privileges, names = _rtc_service(signed)
    return AccessToken007(
        app_id=app_id,
        issued_at=issued_at,
        valid_for_seconds=valid_for_seconds,
        channel=names[0] if names else None,
        account=names[1] if names else ANYBODY,
        privileges=privileges,
        salt=salt,
        signature=signature,
        info=info,
    )


def _rtc_service(signed: Reader) -> tuple[dict[int, int], tuple[str, str] | None]:
    for _ in range(signed.u16()):
        kind = signed.u16()
        if kind not in _SERVICE_FIELDS:
            break
        privileges = signed.numbers()
        if kind == _RTC:
            return privileges, (signed.text(), signed.text())
        for take in _SERVICE_FIELDS[kind]:
            take(signed)
    return {}, None


def _compressed(token: str) -> bytes:
    if not token.startswith(VERSION):
        raise MalformedError("it does not begin with 007")
    try:
        return base64.b64decode(token[len(VERSION) :], validate=True)
    except (binascii.Error, ValueError):
        raise MalformedError("it is not base64") from None


def _inflate(compressed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(compressed, MAX_CONTENT_BYTES)
    except zlib.error:
        raise MalformedError("it is not compressed with zlib") from None
    if not inflater.eof:
        raise MalformedError("it ends too early, or is too long to be a token")
    return content


def _signature(app_certificate: str, issued_at: int, salt: int, info: bytes) -> bytes:
    key = hmac.digest(pack_u32(issued_at), app_certificate.encode(), hashlib.sha256)
    key = hmac.digest(pack_u32(salt), key, hashlib.sha256)
    return hmac.digest(key, info, hashlib.sha256)
