"""AccessToken 006 and 007, checked and told in the same words as LiveKit's own tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from channel_recorder.errors import AppIdError, ErrorCode, MalformedError, TokenError
from channel_recorder.protocol import access_token_006, access_token_007
from channel_recorder.protocol.access_token_006 import AccessToken006, make_access_token_006, read_access_token_006
from channel_recorder.protocol.access_token_007 import AccessToken007, make_access_token_007, read_access_token_007
from channel_recorder.protocol.privileges import MAX_VALID_SECONDS, Privilege, alive, grants_of
from channel_recorder.protocol.tokens import LEEWAY_SECONDS, AccessToken

_MAX_TOKEN_LENGTH = 16 * 1024
_ANYBODY = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Who wants to join what, as the join says it beside the token. Empty: it does not say."""

    channel: str = ""
    account: str = ""
    recorder: bool = False


def is_classic_token(token: str) -> bool:
    """By its first three characters: a JSON Web Token begins with an encoded `{`."""
    return token.startswith((access_token_006.VERSION, access_token_007.VERSION))


def app_id_of(token: str) -> str:
    """Whose token it says to be. Raises TokenError."""
    return _read(token).app_id


def account_of(token: str) -> str:
    """The user it is for; empty: anybody, or it does not tell. Raises TokenError."""
    content = _read(token)
    return content.account if isinstance(content, AccessToken007) else ""


def check_classic_token(token: str, membership: Membership, now_seconds: float) -> None:
    """Tells before any connection is made what is wrong with it, as far as that shows without the certificate.

    Raises TokenError.
    """
    content = _read(token)
    if isinstance(content, AccessToken007):
        membership = _member_of_007(content, membership)
    _as_access_token(content, membership, now_seconds)


def verify_classic_token(
    token: str, certificates: Mapping[str, str], membership: Membership, now_seconds: float
) -> AccessToken:
    """The token, if one of the App IDs in `certificates` (App ID to certificate) made it for this member, and it is
    valid now (seconds since 1970).

    Raises AppIdError for an unknown App ID, TokenError 109 when expired, 110 when it is anything else but valid.
    """
    content = _read(token)
    certificate = certificates.get(content.app_id)
    if not certificate:
        raise AppIdError(f"the access token was made with the App ID {content.app_id[:80]!r}, which is not known here")
    if isinstance(content, AccessToken006):
        member = _member_of_006(content, certificate, membership)
    else:
        if not content.is_signed(certificate):
            raise TokenError("the signature of the access token does not fit the App Certificate")
        member = _member_of_007(content, membership)
    return _as_access_token(content, member, now_seconds)


def make_classic_token(
    version: str,
    app_id: str,
    app_certificate: str,
    *,
    channel: str,
    account: str,
    privileges: tuple[Privilege, ...],
    now_seconds: float,
    valid_for_seconds: int,
    salt: int,
) -> str:
    """`version`: "006" or "007". Raises ConfigError for what this version can't hold."""
    now, valid_for = int(now_seconds), min(valid_for_seconds, MAX_VALID_SECONDS)
    if version == access_token_006.VERSION:
        return make_access_token_006(
            app_id,
            app_certificate,
            channel=channel,
            account=account,
            privileges=dict.fromkeys(privileges, now + valid_for),
            expires_at=now + valid_for,
            salt=salt,
        )
    return make_access_token_007(
        app_id,
        app_certificate,
        channel=channel,
        account=account,
        privileges=dict.fromkeys(privileges, 0),
        issued_at=now,
        valid_for_seconds=valid_for,
        salt=salt,
    )


def _read(token: str) -> AccessToken006 | AccessToken007:
    if len(token) > _MAX_TOKEN_LENGTH:
        raise TokenError("the access token is too long to be one")
    # In a query a plus sign that was not escaped arrives as a space; base64 has no space.
    token = token.replace(" ", "+")
    try:
        if token.startswith(access_token_006.VERSION):
            return read_access_token_006(token)
        return read_access_token_007(token)
    except MalformedError as error:
        raise TokenError(f"the access token is no AccessToken 006 or 007: {error}") from None


def _member_of_006(content: AccessToken006, certificate: str, membership: Membership) -> Membership:
    if not membership.channel:
        raise TokenError("an AccessToken 006 does not tell its channel: the join has to")
    for account in dict.fromkeys((membership.account, _ANYBODY)):
        if content.is_signed(certificate, channel=membership.channel, account=account):
            return membership
    raise TokenError("the access token is for another channel or user, or was made with another App Certificate")


def _member_of_007(content: AccessToken007, membership: Membership) -> Membership:
    if content.channel is None:
        raise TokenError("the access token does not allow to join a channel (permission denied)")
    if membership.channel not in ("", content.channel):
        raise TokenError("the access token is for another channel")
    if membership.account not in ("", content.account) and content.account != _ANYBODY:
        raise TokenError("the access token is for another user")
    return Membership(
        channel=content.channel, account=membership.account or content.account, recorder=membership.recorder
    )


def _as_access_token(content: AccessToken006 | AccessToken007, member: Membership, now_seconds: float) -> AccessToken:
    token_end = _token_end(content, now_seconds)
    ends = _privilege_ends(content, token_end)
    if Privilege.JOIN not in ends:
        raise TokenError("the access token does not allow to join a channel (permission denied)")
    expires_at = min(token_end, ends[Privilege.JOIN])
    if now_seconds >= expires_at + LEEWAY_SECONDS:
        raise TokenError("the access token expired: get a new one", code=ErrorCode.TOKEN_EXPIRED)
    return AccessToken(
        api_key=content.app_id,
        identity=member.account,
        room=member.channel,
        kind="egress" if member.recorder else "standard",
        grants=grants_of(alive(ends, now_seconds), recorder=member.recorder),
        expires_at=expires_at,
    )


def _token_end(content: AccessToken006 | AccessToken007, now_seconds: float) -> float:
    if isinstance(content, AccessToken006):
        return float(content.expires_at)
    if now_seconds < content.issued_at - LEEWAY_SECONDS:
        raise TokenError("the access token is not valid yet: check the clocks")
    return float(content.issued_at + min(content.valid_for_seconds or MAX_VALID_SECONDS, MAX_VALID_SECONDS))


def _privilege_ends(content: AccessToken006 | AccessToken007, token_end: float) -> dict[int, float]:
    """Seconds since 1970."""
    issued_at = 0 if isinstance(content, AccessToken006) else content.issued_at
    return {
        privilege: min(token_end, float(issued_at + end)) if end else token_end
        for privilege, end in content.privileges.items()
    }
