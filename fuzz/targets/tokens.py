"""Access tokens of every format, as a server and as a recorder look at them."""

from __future__ import annotations

import contextlib
import struct
import zlib
from base64 import b64encode, urlsafe_b64encode

from channel_recorder.errors import AppIdError, MalformedError, TokenError
from channel_recorder.protocol import classic_tokens, tokens
from channel_recorder.protocol.access_token_006 import read_access_token_006
from channel_recorder.protocol.access_token_007 import read_access_token_007
from channel_recorder.protocol.classic_tokens import Membership
from channel_recorder.sfu.access import Access, Keys
from channel_recorder.sfu.contract import JoinRefusedError

NOW = 1_800_000_000.0
APP_ID = "970CA35de60c44645bbae8a215061b33"
CERTIFICATE = "5CFd2fd1755d40ecb72977518be15d3b"
KEYS = {APP_ID: CERTIFICATE, "key": "a-secret-of-at-least-32-characters-xx"}
ACCESS = Access(Keys({**KEYS, "open": None}), lambda: NOW)
MEMBER = Membership(channel="lesson-7", account="1001")


def join(data: bytes) -> None:
    """The text of a token, whatever it is: nobody gets in without a signature."""
    text, _, account = data.partition(b"\n")
    token = text.decode("utf-8", "replace")
    with contextlib.suppress(JoinRefusedError):
        ACCESS.join(token, {"room": "lesson-7", "account": account.decode("utf-8", "replace")})
    with contextlib.suppress(TokenError):
        tokens.check_times(tokens.read_unverified(token), NOW)
    with contextlib.suppress(TokenError):
        classic_tokens.check_classic_token(token, MEMBER, NOW)


def jwt_claims(data: bytes) -> None:
    """Claims and nothing else, in an unsigned token."""
    token = ".".join(map(_base64, (b'{"alg":"HS256","typ":"JWT"}', data, bytes(32))))
    with contextlib.suppress(TokenError, AppIdError):
        tokens.check_recorder_token(tokens.read_unverified(token), room="a", identity="b", now_seconds=NOW)
    with contextlib.suppress(TokenError, AppIdError):
        tokens.verify_access_token(token, KEYS, NOW)


def access_token_006(data: bytes) -> None:
    """What is in it, behind version and App ID."""
    token = "006" + APP_ID + b64encode(data).decode()
    with contextlib.suppress(MalformedError):
        content = read_access_token_006(token)
        content.is_signed(CERTIFICATE, channel="lesson-7", account="1001")
    with contextlib.suppress(TokenError, AppIdError):
        classic_tokens.verify_classic_token(token, KEYS, MEMBER, NOW)


def access_token_007(data: bytes) -> None:
    """What is in it, behind version, compression and signature; and the compressed form as it comes."""
    signed = struct.pack("<H", 32) + bytes(32) + data
    for content in (zlib.compress(signed, 1), data):
        token = "007" + b64encode(content).decode()
        with contextlib.suppress(MalformedError):
            read_access_token_007(token).is_signed(CERTIFICATE)
        with contextlib.suppress(TokenError, AppIdError):
            classic_tokens.verify_classic_token(token, KEYS, MEMBER, NOW)


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
