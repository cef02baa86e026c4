"""LiveKit access tokens: JSON Web Tokens (RFC 7519), HS256 with the API secret.

Claims as livekit/protocol `auth/` reads them: iss = API key, sub = identity, exp, nbf, and `video`, the grants.
Signatures are PyJWT's; times are checked here, because they come in as numbers.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jwt import PyJWS
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import PyJWTError

from channel_recorder.errors import AppIdError, ConfigError, ErrorCode, TokenError
from channel_recorder.protocol.claims import Claims, MalformedClaimError

LEEWAY_SECONDS = 60.0
"""Clocks may differ by this much; the same as livekit-server's."""
RECORDER_VALID_SECONDS = 24 * 3600.0
"""As livekit/egress gives its recorders."""
WEBHOOK_VALID_SECONDS = 300.0
_MAX_TOKEN_LENGTH = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """What the bearer may do in the room (claim `video`)."""

    room_join: bool = True
    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool = True
    can_publish_sources: tuple[str, ...] = ()
    """camera, microphone, screen_share, screen_share_audio; empty: all."""
    can_update_own_metadata: bool = False
    hidden: bool = False
    """Others do not see the bearer."""
    recorder: bool = False
    """The room is marked as being recorded while the bearer is there."""
    agent: bool = False
    room_admin: bool = False
    room_create: bool = False
    room_list: bool = False
    room_record: bool = False
    """Recordings of any room may be started, stopped and read."""


RECORDER_GRANTS = Grants(can_publish=False, can_publish_data=False, hidden=True, recorder=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What an access token says. Holds neither the token nor a secret: safe to log."""

    api_key: str
    identity: str
    room: str
    grants: Grants
    kind: str = "standard"
    """standard, egress, ingress, sip, agent, ..."""
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    expires_at: float | None = None
    """Seconds since 1970."""
    not_before: float | None = None

    def is_expired(self, now_seconds: float) -> bool:
        """`now_seconds` is the wall clock, seconds since 1970."""
        return self.expires_at is not None and now_seconds >= self.expires_at + LEEWAY_SECONDS


def make_access_token(
    api_key: str,
    api_secret: str,
    *,
    identity: str,
    room: str,
    now_seconds: float,
    valid_for_seconds: float,
    grants: Grants | None = None,
    kind: str = "standard",
    name: str = "",
    metadata: str = "",
    attributes: Mapping[str, str] | None = None,
) -> str:
    """A signed token. Raises ConfigError when there is no key or no secret."""
    if not api_key or not api_secret:
        raise ConfigError("a token needs an App ID (API key) and its App Certificate (API secret)")
    claims: dict[str, object] = {
        "iss": api_key,
        "sub": identity,
        "iat": int(now_seconds),
        "nbf": int(now_seconds),
        "exp": int(now_seconds + valid_for_seconds),
        "video": _video_claim(grants or Grants(), room),
    }
    optional = {"name": name, "metadata": metadata, "attributes": dict(attributes or {})}
    claims |= {key: value for key, value in optional.items() if value}
    if kind != "standard":
        claims["kind"] = kind
    return _signed(claims, api_secret)


def make_recorder_token(
    api_key: str,
    api_secret: str,
    *,
    identity: str,
    room: str,
    now_seconds: float,
    valid_for_seconds: float = RECORDER_VALID_SECONDS,
) -> str:
    """The token of a silent member as livekit/egress makes it: hidden, recorder, hears all, says nothing."""
    return make_access_token(
        api_key,
        api_secret,
        identity=identity,
        room=room,
        now_seconds=now_seconds,
        valid_for_seconds=valid_for_seconds,
        grants=RECORDER_GRANTS,
        kind="egress",
    )


def make_webhook_token(api_key: str, api_secret: str, body: bytes, *, now_seconds: float) -> str:
    """Proves to a webhook's receiver who sent `body`, and that nobody changed it."""
    return _signed(
        {
            "iss": api_key,
            "nbf": int(now_seconds),
            "exp": int(now_seconds + WEBHOOK_VALID_SECONDS),
            "sha256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
        },
        api_secret,
    )


def read_unverified(token: str) -> AccessToken:
    """What the token says, its signature unchecked. Raises TokenError if it is no access token."""
    return _read(token, "", verify=False)


def verify_access_token(token: str, secrets: Mapping[str, str], now_seconds: float) -> AccessToken:
    """The token, if one of the API keys in `secrets` signed it and it is valid now (seconds since 1970).

    Raises AppIdError for an unknown key, TokenError 109 when expired, 110 when it is anything else but valid.
    """
    api_key = read_unverified(token).api_key
    secret = secrets.get(api_key)
    if not secret:
        raise AppIdError(f"the access token was made with the App ID {api_key[:80]!r}, which is not known here")
    verified = _read(token, secret, verify=True)
    check_times(verified, now_seconds)
    return verified


def check_times(token: AccessToken, now_seconds: float) -> None:
    """Raises TokenError: 109 when expired, 110 when not valid yet."""
    if token.is_expired(now_seconds):
        raise TokenError(
            f"the access token expired at {_utc(token.expires_at)}: get a new one", code=ErrorCode.TOKEN_EXPIRED
        )
    if token.not_before is not None and now_seconds < token.not_before - LEEWAY_SECONDS:
        raise TokenError(f"the access token is not valid before {_utc(token.not_before)}: check the clocks")


def check_recorder_token(token: AccessToken, *, room: str, identity: str, now_seconds: float) -> None:
    """Tells before any connection is made why a recorder cannot join with the token. Raises TokenError."""
    check_times(token, now_seconds)
    if not token.grants.room_join:
        raise TokenError("the access token does not allow to join a channel (no roomJoin grant)")
    if token.room != room:
        raise TokenError(f"the access token is for the channel {token.room[:80]!r}, not for {room[:80]!r}")
    if token.identity != identity:
        raise TokenError(f"the access token is for the user {token.identity[:80]!r}, not for {identity[:80]!r}")
    if not token.grants.can_subscribe:
        raise TokenError("the access token does not allow to subscribe: there would be nothing to record")


class _AnyLengthHmac(HMACAlgorithm):
    """The server decides which secrets are long enough: `livekit-server --dev` has one of six letters."""

    def check_key_length(self, key: bytes) -> str | None:
        del key
        return None


def _make_signer() -> PyJWS:
    signer = PyJWS(algorithms=[])
    signer.register_algorithm("HS256", _AnyLengthHmac(HMACAlgorithm.SHA256))
    return signer


_signer = _make_signer()


def _signed(claims: Mapping[str, object], secret: str) -> str:
    return _signer.encode(json.dumps(claims, separators=(",", ":")).encode(), secret, algorithm="HS256")


def _read(token: str, secret: str, *, verify: bool) -> AccessToken:
    if len(token) > _MAX_TOKEN_LENGTH:
        raise TokenError("the access token is too long to be one")
    try:
        payload = _signer.decode(token, secret, algorithms=["HS256"], options={"verify_signature": verify})
        return _access_token(Claims.parse(payload))
    except (PyJWTError, NotImplementedError, ValueError, RecursionError) as error:
        raise TokenError(_why_unreadable(error, verify)) from None


def _why_unreadable(error: Exception, verify: bool) -> str:
    """Never the text of `error`: it may quote the token."""
    if isinstance(error, MalformedClaimError):
        return f"the access token is malformed: {error}"
    if verify:
        return "the signature of the access token does not fit the App Certificate"
    return "the access token is no JSON Web Token as a LiveKit server takes it"


def _access_token(claims: Claims) -> AccessToken:
    video = claims.mapping("video")
    can_publish = video.flag("canPublish", True)
    return AccessToken(
        api_key=claims.text("iss"),
        identity=claims.text("sub") or claims.text("jti"),
        room=video.text("room"),
        kind=claims.text("kind") or "standard",
        name=claims.text("name"),
        metadata=claims.text("metadata"),
        attributes=claims.texts("attributes"),
        expires_at=claims.number("exp"),
        not_before=claims.number("nbf"),
        grants=Grants(
            room_join=video.flag("roomJoin"),
            can_publish=can_publish,
            can_subscribe=video.flag("canSubscribe", True),
            can_publish_data=video.flag("canPublishData", can_publish),
            can_publish_sources=video.list_of_text("canPublishSources"),
            **{name: video.flag(key) for name, key in _FLAGS.items()},
        ),
    )


_FLAGS = {
    "can_update_own_metadata": "canUpdateOwnMetadata",
    "hidden": "hidden",
    "recorder": "recorder",
    "agent": "agent",
    "room_admin": "roomAdmin",
    "room_create": "roomCreate",
    "room_list": "roomList",
    "room_record": "roomRecord",
}
"""Grants that nobody has unless the token says so."""


def _video_claim(grants: Grants, room: str) -> dict[str, object]:
    claim: dict[str, object] = {
        "roomJoin": grants.room_join,
        "room": room,
        "canPublish": grants.can_publish,
        "canSubscribe": grants.can_subscribe,
        "canPublishData": grants.can_publish_data,
    }
    if grants.can_publish_sources:
        claim["canPublishSources"] = list(grants.can_publish_sources)
    return claim | {key: True for name, key in _FLAGS.items() if getattr(grants, name)}


def _utc(unix_seconds: float | None) -> str:
    try:
        return datetime.fromtimestamp(unix_seconds or 0.0, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return "a time far away"
