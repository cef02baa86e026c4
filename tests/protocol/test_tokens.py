"""Access tokens: what official tools make of ours, what we make of theirs, and of anybody's."""

from __future__ import annotations

import base64
import json
import warnings
from datetime import timedelta

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit import api

from channel_recorder import clock
from channel_recorder.errors import AppIdError, ConfigError, ErrorCode, RecorderError, TokenError
from channel_recorder.protocol.tokens import (
    LEEWAY_SECONDS,
    RECORDER_GRANTS,
    Grants,
    check_recorder_token,
    make_access_token,
    make_recorder_token,
    make_webhook_token,
    read_unverified,
    verify_access_token,
)

KEY = "devkey"
SECRET = "a-secret-of-at-least-32-characters-xx"
NOW = 1_800_000_000.0
GRANTS = st.builds(
    Grants,
    room_join=st.booleans(),
    can_publish=st.booleans(),
    can_subscribe=st.booleans(),
    can_publish_data=st.booleans(),
    can_publish_sources=st.lists(st.sampled_from(["camera", "microphone", "screen_share"])).map(tuple),
    can_update_own_metadata=st.booleans(),
    hidden=st.booleans(),
    recorder=st.booleans(),
    agent=st.booleans(),
    room_admin=st.booleans(),
    room_create=st.booleans(),
    room_list=st.booleans(),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def recorder_token(now: float = NOW) -> str:
    return make_recorder_token(KEY, SECRET, identity="1001", room="lesson-7", now_seconds=now)


def signed(claims: object, secret: str = SECRET, **header: object) -> str:
    """A token with any claims, made by PyJWT alone."""
    return jwt.PyJWS().encode(json.dumps(claims).encode(), secret, algorithm="HS256", headers=dict(header))


def test_livekit_reads_a_recorder_token_as_that_of_a_silent_hidden_member() -> None:
    claims = api.TokenVerifier(KEY, SECRET).verify(recorder_token(now=clock.unix_seconds()))
    video = claims.video
    assert claims.identity == "1001"
    assert claims.kind == "egress"
    assert video is not None
    assert (video.room_join, video.room, video.hidden, video.recorder) == (True, "lesson-7", True, True)
    assert (video.can_publish, video.can_subscribe, video.can_publish_data) == (False, True, False)


def test_livekit_takes_the_token_of_a_webhook_for_its_body_and_no_other() -> None:
    receiver = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET))
    token = make_webhook_token(KEY, SECRET, b'{"event":"room_started"}', now_seconds=clock.unix_seconds())
    assert receiver.receive('{"event":"room_started"}', token).event == "room_started"
    with pytest.raises(Exception, match="hash mismatch"):
        receiver.receive('{"event":"room_finished"}', token)


def test_a_token_made_by_livekit_is_read() -> None:
    grants = api.VideoGrants(room_join=True, room="r", can_publish=False, can_publish_sources=["camera"], agent=True)
    token = (
        api.AccessToken(KEY, SECRET)
        .with_identity("alice")
        .with_name("Alice")
        .with_metadata("m")
        .with_attributes({"a": "b"})
        .with_kind("agent")
        .with_grants(grants)
        .with_ttl(timedelta(minutes=5))
        .to_jwt()
    )
    read = verify_access_token(token, {"other": "x", KEY: SECRET}, clock.unix_seconds())
    assert (read.api_key, read.identity, read.room, read.name, read.kind) == (KEY, "alice", "r", "Alice", "agent")
    assert (read.metadata, read.attributes) == ("m", {"a": "b"})
    assert read.grants == Grants(
        can_publish=False, can_subscribe=True, can_publish_sources=("camera",), agent=True, can_publish_data=True
    )


def test_absent_grants_are_what_livekit_takes_them_for() -> None:
    read = read_unverified(signed({"iss": KEY, "jti": "by-jti", "video": {"roomJoin": True, "room": "r"}}))
    assert read.identity == "by-jti"
    assert read.grants == Grants(room_join=True)
    publisher = read_unverified(signed({"video": {"canPublish": False}})).grants
    assert not publisher.can_publish_data, "follows canPublish"
    assert not publisher.room_join


@given(identity=st.text(min_size=1), room=st.text(), name=st.text(), grants=GRANTS, seconds=st.integers(61, 10**6))
@settings(deadline=None)
def test_what_is_made_is_what_is_read(identity: str, room: str, name: str, grants: Grants, seconds: int) -> None:
    token = make_access_token(
        KEY, SECRET, identity=identity, room=room, name=name, grants=grants, now_seconds=NOW, valid_for_seconds=seconds
    )
    read = verify_access_token(token, {KEY: SECRET}, NOW)
    assert (read.identity, read.room, read.name, read.grants) == (identity, room, name, grants)
    assert (read.not_before, read.expires_at) == (NOW, NOW + seconds)


def test_the_short_secret_of_a_development_server_gives_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        token = make_recorder_token(KEY, "secret", identity="1", room="r", now_seconds=NOW)
        assert verify_access_token(token, {KEY: "secret"}, NOW).grants == RECORDER_GRANTS


def test_expiry_is_told_with_the_time_and_code_109_after_the_servers_leeway() -> None:
    token = make_recorder_token(KEY, SECRET, identity="1", room="r", now_seconds=NOW, valid_for_seconds=10)
    read = read_unverified(token)
    check_recorder_token(read, room="r", identity="1", now_seconds=NOW + 9 + LEEWAY_SECONDS)
    for call in (
        lambda: check_recorder_token(read, room="r", identity="1", now_seconds=NOW + 10 + LEEWAY_SECONDS),
        lambda: verify_access_token(token, {KEY: SECRET}, NOW + 10 + LEEWAY_SECONDS),
    ):
        with pytest.raises(TokenError, match="expired at 2027-01-15 08:00:10 UTC") as caught:
            call()
        assert caught.value.code is ErrorCode.TOKEN_EXPIRED


def test_a_token_from_the_future_is_refused() -> None:
    token = recorder_token()
    assert verify_access_token(token, {KEY: SECRET}, NOW - LEEWAY_SECONDS)
    with pytest.raises(TokenError, match="not valid before") as caught:
        verify_access_token(token, {KEY: SECRET}, NOW - LEEWAY_SECONDS - 1)
    assert caught.value.code is ErrorCode.TOKEN_INVALID


@pytest.mark.parametrize(
    ("room", "identity", "grants", "told"),
    [
        ("other", "1", Grants(), "for the channel 'r', not for 'other'"),
        ("r", "2", Grants(), "for the user '1', not for '2'"),
        ("r", "1", Grants(room_join=False), "does not allow to join"),
        ("r", "1", Grants(can_subscribe=False), "does not allow to subscribe"),
    ],
)
def test_what_keeps_a_recorder_out_is_told_before_a_connection_is_made(
    room: str, identity: str, grants: Grants, told: str
) -> None:
    token = make_access_token(KEY, SECRET, identity="1", room="r", grants=grants, now_seconds=NOW, valid_for_seconds=60)
    with pytest.raises(TokenError, match=told) as caught:
        check_recorder_token(read_unverified(token), room=room, identity=identity, now_seconds=NOW)
    assert caught.value.code is ErrorCode.TOKEN_INVALID


def test_a_foreign_signature_is_refused_without_a_word_of_the_token() -> None:
    token = recorder_token()
    with pytest.raises(TokenError, match="signature") as caught:
        verify_access_token(token, {KEY: SECRET + "x"}, NOW)
    assert not any(part in str(caught.value) for part in (*token.split("."), SECRET))
    with pytest.raises(AppIdError, match="'devkey', which is not known here"):
        verify_access_token(token, {"another": SECRET}, NOW)


def test_an_unsigned_token_is_refused() -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    payload = recorder_token().split(".")[1]
    with pytest.raises(TokenError):
        verify_access_token(f"{header}.{payload}.", {KEY: SECRET}, NOW)


def test_a_key_without_a_secret_opens_nothing() -> None:
    token = jwt.PyJWS().encode(b'{"iss":"devkey","video":{}}', SECRET, algorithm="HS256")
    with pytest.raises(AppIdError):
        verify_access_token(token, {KEY: ""}, NOW)


@pytest.mark.parametrize("text", ["", "abc", "a.b.c", "007eJxTYBBb", "a" * 100_000, "é.é.é", "ey\n.ey.ey", "\ud800"])
def test_what_is_no_token_at_all_is_told_so(text: str) -> None:
    with pytest.raises(TokenError) as caught:
        read_unverified(text)
    assert caught.value.code is ErrorCode.TOKEN_INVALID


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ([], "payload is no object"),
        ({"video": 1}, "video is no object"),
        ({"video": {"roomJoin": "yes"}}, "roomJoin is neither"),
        ({"exp": "tomorrow"}, "exp is no number"),
        ({"exp": 10**400}, "exp is out of range"),
        ({"nbf": True}, "nbf is no number"),
        ({"sub": 7}, "sub is no text"),
        ({"sub": "\ud800"}, "sub is no text"),
        ({"attributes": {"a": 1}}, "attributes is no text"),
        ({"video": {"canPublishSources": "camera"}}, "canPublishSources is no list"),
    ],
)
def test_a_claim_of_the_wrong_type_is_named(claims: object, told: str) -> None:
    with pytest.raises(TokenError, match=f"malformed: {told}"):
        read_unverified(signed(claims))


def test_a_deep_nest_of_claims_is_refused() -> None:
    payload = b'{"video":' * 3000
    with pytest.raises(TokenError):
        read_unverified(jwt.PyJWS().encode(payload, SECRET, algorithm="HS256"))


def test_an_expiry_beyond_the_calendar_is_told_all_the_same() -> None:
    with pytest.raises(TokenError, match="a time far away"):
        verify_access_token(signed({"iss": KEY, "nbf": 1e300}), {KEY: SECRET}, NOW)


def test_a_token_is_made_from_a_key_and_a_secret_only() -> None:
    for key, secret in (("", SECRET), (KEY, "")):
        with pytest.raises(ConfigError):
            make_recorder_token(key, secret, identity="1", room="r", now_seconds=NOW)


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
@settings(deadline=None)
def test_any_text_is_a_token_or_a_token_error(text: str) -> None:
    for call in (lambda: read_unverified(text), lambda: verify_access_token(text, {KEY: SECRET}, NOW)):
        try:
            call()
        except RecorderError as error:
            assert isinstance(error, TokenError | AppIdError)


@given(claims=JSON, video=st.dictionaries(st.sampled_from(["roomJoin", "room", "hidden", "canPublishSources"]), JSON))
@settings(deadline=None)
def test_any_claims_are_read_or_a_token_error(claims: object, video: object) -> None:
    for payload in (claims, {"iss": claims, "exp": claims}, {"video": video, "attributes": claims}):
        try:
            read_unverified(signed(payload))
        except TokenError as error:
            assert "malformed" in str(error) or "no JSON Web Token" in str(error)
