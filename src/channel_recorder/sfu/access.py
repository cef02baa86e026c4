"""Who is asking, and what they may do: API keys, LiveKit tokens, AccessToken 006 and 007, and App IDs alone."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from channel_recorder.errors import AppIdError, ConfigError, TokenError
from channel_recorder.protocol.classic_tokens import Membership, is_classic_token, verify_classic_token
from channel_recorder.protocol.tokens import (
    RECORDER_GRANTS,
    AccessToken,
    Grants,
    check_times,
    make_access_token,
    read_unverified,
    verify_access_token,
)
from channel_recorder.sfu.contract import Credentials, JoinRefusedError

MAX_NAME_LENGTH = 256
"""Characters of an identity, a room's name, a display name."""
MAX_UID = 2**32 - 1
SECRET_LENGTH = 32
"""A shorter secret can be guessed by trying, by whoever holds a token made with it."""
REFRESH_VALID_SECONDS = 6 * 3600.0
"""Of a refreshed token whose first one had no end."""
REFRESH_AT_LEAST_SECONDS = 600.0
"""Somebody who is there stays able to reconnect, also shortly before the first token ends."""
_KEY = re.compile(r"(?P<key>[^\s:]+)(?::[ \t]*(?P<secret>\S*))?")
_TRUE = ("1", "true")


class Keys:
    """API keys (App IDs) with their secrets (App Certificates). A key without a secret lets in whoever names it."""

    def __init__(self, secrets_by_key: Mapping[str, str | None]) -> None:
        """Raises ConfigError when there is none."""
        if not secrets_by_key:
            raise ConfigError("there is no API key: give at least one as KEY:SECRET")
        self.secrets: Mapping[str, str] = {key: secret for key, secret in secrets_by_key.items() if secret}
        self.open: frozenset[str] = frozenset(key for key, secret in secrets_by_key.items() if not secret)
        """App IDs without a certificate."""

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Keys:
        """From `KEY:SECRET`, `KEY: SECRET` or `KEY`, several of them between white space. Raises ConfigError."""
        pairs: dict[str, str | None] = {}
        for text in texts:
            for key, secret in _pairs(text):
                if pairs.setdefault(key, secret) != secret:
                    raise ConfigError(f"the API key {key[:80]!r} has two secrets: give only one of them")
        return cls(pairs)

    @property
    def weak(self) -> tuple[str, ...]:
        """Keys whose secrets are short enough to be guessed."""
        return tuple(key for key, secret in self.secrets.items() if len(secret) < SECRET_LENGTH)

    def __repr__(self) -> str:
        return f"Keys({sorted(self.secrets)}, open={sorted(self.open)})"


class Access:
    """Checks tokens. `wall_seconds`: the wall clock, seconds since 1970."""

    def __init__(self, keys: Keys, wall_seconds: Callable[[], float], *, anyone_may_join: bool = False) -> None:
        """`anyone_may_join`: an App ID alone lets in pages of other sites too."""
        self._keys = keys
        self._anyone_may_join = anyone_may_join
        self._wall_seconds = wall_seconds
        self._anybodys_secret = secrets.token_hex(SECRET_LENGTH)
        """Signs what needs no proof: tokens of App IDs without a certificate."""

    def join(self, token: str, query: Mapping[str, str]) -> Credentials:
        """Who may join with this token; `query` names channel and user where it does not. Raises JoinRefusedError."""
        checked = self._checked(token, query)
        if not checked.grants.room_join:
            raise JoinRefusedError(401, "permission denied: the access token does not allow to join a room")
        _check_names(checked)
        return Credentials(
            api_key=checked.api_key,
            identity=checked.identity,
            room=checked.room,
            grants=checked.grants,
            kind=checked.kind,
            name=checked.name,
            metadata=checked.metadata,
            attributes=checked.attributes,
            expires_at=checked.expires_at,
        )

    def needs_no_proof(self, credentials: Credentials) -> bool:
        """They come with an App ID alone, so that any page in a browser on this machine could have made them up."""
        return credentials.api_key in self._keys.open and not self._anyone_may_join

    def rights(self, token: str) -> AccessToken:
        """What the bearer of a LiveKit token may do beside joining. Raises JoinRefusedError."""
        try:
            return self._signed(token)
        except (TokenError, AppIdError) as error:
            raise _unauthorized(error) from None

    def refresh_token(self, credentials: Credentials) -> str:
        """A LiveKit token that says the same, for reconnecting, in whatever format the first one was."""
        now = self._wall_seconds()
        left = REFRESH_VALID_SECONDS if credentials.expires_at is None else credentials.expires_at - now
        return make_access_token(
            credentials.api_key,
            self._keys.secrets.get(credentials.api_key, self._anybodys_secret),
            identity=credentials.identity,
            room=credentials.room,
            now_seconds=now,
            valid_for_seconds=max(left, REFRESH_AT_LEAST_SECONDS),
            grants=credentials.grants,
            kind=credentials.kind,
            name=credentials.name,
            metadata=credentials.metadata,
            attributes=credentials.attributes,
        )

    def _checked(self, token: str, query: Mapping[str, str]) -> AccessToken:
        if not token:
            raise JoinRefusedError(401, "there is no access token: give one in the Authorization header")
        try:
            # First, since an App ID may begin like a token.
            if token in self._keys.open:
                return _open_join(token, query)
            if is_classic_token(token):
                return self._classic(token, query)
            return self._signed(token, unverifiable=self._keys.open)
        except (TokenError, AppIdError) as error:
            raise _unauthorized(error) from None

    def _classic(self, token: str, query: Mapping[str, str]) -> AccessToken:
        membership = _membership(query)
        checked = verify_classic_token(token, self._keys.secrets, membership, self._wall_seconds())
        return replace(checked, name=query.get("name", ""))

    def _signed(self, token: str, unverifiable: frozenset[str] = frozenset()) -> AccessToken:
        now = self._wall_seconds()
        content = read_unverified(token)
        if content.api_key in unverifiable:
            check_times(content, now)
            return replace(content, grants=_modest(content.grants))
        checked = verify_access_token(token, self._keys.secrets, now)
        if checked.expires_at is None:
            raise TokenError("the access token has no end (exp): nobody could ever take it back")
        return checked


def bearer_token(authorization: str | None, query: Mapping[str, str]) -> str:
    """The token of a request: browsers can't set a header and put it into the query. Empty: there is none.

    Raises JoinRefusedError for an authorization of another kind.
    """
    if authorization is None:
        return query.get("access_token", "")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise JoinRefusedError(401, "the authorization is of another kind than Bearer")
    return token.strip()


def is_true(text: str) -> bool:
    """As LiveKit reads switches of a query."""
    return text in _TRUE


def _pairs(text: str) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    for line in text.splitlines():
        position = 0
        while (rest := line[position:].lstrip()) and not rest.startswith("#"):
            position = len(line) - len(rest)
            match = _KEY.match(line, position)
            if match is None:
                # Not repeated: it may be a secret.
                raise ConfigError("an API key begins with a colon: give it as KEY:SECRET")
            found.append((match["key"], match["secret"] or None))
            position = match.end()
    return found


def _open_join(app_id: str, query: Mapping[str, str]) -> AccessToken:
    membership = _membership(query)
    return AccessToken(
        api_key=app_id,
        identity=membership.account,
        room=membership.channel,
        grants=RECORDER_GRANTS if membership.recorder else Grants(),
        kind="egress" if membership.recorder else "standard",
        name=query.get("name", ""),
    )


def _membership(query: Mapping[str, str]) -> Membership:
    return Membership(
        channel=query.get("channel", ""), account=_account(query), recorder=is_true(query.get("recorder", ""))
    )


def _account(query: Mapping[str, str]) -> str:
    account, uid = query.get("user_account", ""), query.get("uid", "")
    if not uid:
        return account
    if account:
        raise JoinRefusedError(400, "uid and user_account both name the user (identity): give only one of them")
    if not (uid.isascii() and uid.isdecimal() and len(uid) <= 10 and 1 <= int(uid) <= MAX_UID):
        raise JoinRefusedError(
            400, f"the user's identity, uid, is no number from 1 to {MAX_UID}: or is it a user_account?"
        )
    return str(int(uid))


def _modest(grants: Grants) -> Grants:
    """What anybody may claim without proof: to be there, to be seen unless recording, never to rule."""
    return replace(
        grants,
        hidden=grants.hidden and grants.recorder,
        agent=False,
        room_admin=False,
        room_create=False,
        room_list=False,
        room_record=False,
    )


def _check_names(token: AccessToken) -> None:
    if not token.identity:
        raise JoinRefusedError(400, "the user's identity is missing: neither the access token nor the query names one")
    if not token.room:
        raise JoinRefusedError(400, "the room is missing: neither the access token nor the query names one")
    for text, what in ((token.identity, "identity"), (token.room, "room name"), (token.name, "display name")):
        if len(text) > MAX_NAME_LENGTH:
            raise JoinRefusedError(400, f"the {what} has more than {MAX_NAME_LENGTH} characters")


def _unauthorized(error: TokenError | AppIdError) -> JoinRefusedError:
    if isinstance(error, AppIdError):
        return JoinRefusedError(401, f"invalid API key: {error}")
    return JoinRefusedError(401, f"invalid token: {error}")
