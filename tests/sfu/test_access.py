"""Who gets in with which token, as whom, with which rights; and with which status everybody else is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.errors import ConfigError
from channel_recorder.protocol.classic_tokens import make_classic_token
from channel_recorder.protocol.privileges import PUBLISHER, SUBSCRIBER, grants_of
from channel_recorder.protocol.tokens import (
    RECORDER_GRANTS,
    Grants,
    make_access_token,
    make_recorder_token,
    read_unverified,
    verify_access_token,
)
from channel_recorder.sfu.access import Access, Keys, bearer_token
from channel_recorder.sfu.contract import Credentials, JoinRefusedError

KEY, SECRET = "devkey", "a-secret-of-at-least-32-characters-xx"
APP_ID, CERTIFICATE = "970ca35de60c44645bbae8a215061b33", "5cfd2fd1755d40ecb72977518be15d3b"
OPEN = "0061b33970ca35de60c44645bbae8a21"
NOW = 1_800_000_000.0
HOUR = 3600


def access(now: float = NOW) -> Access:
    return Access(Keys({KEY: SECRET, APP_ID: CERTIFICATE, OPEN: None}), lambda: now)


def jwt(**fields: Any) -> str:
    defaults: dict[str, Any] = {"identity": "7", "room": "lesson", "now_seconds": NOW, "valid_for_seconds": HOUR}
    return make_access_token(fields.pop("key", KEY), fields.pop("secret", SECRET), **defaults | fields)


def classic(version: str, *, channel: str = "lesson", account: str = "7", role: Any = PUBLISHER) -> str:
    return make_classic_token(
        version,
        APP_ID,
        CERTIFICATE,
        channel=channel,
        account=account,
        privileges=role,
        now_seconds=NOW,
        valid_for_seconds=HOUR,
        salt=5,
    )


def refusal(token: str, query: dict[str, str] | None = None, *, now: float = NOW) -> JoinRefusedError:
    with pytest.raises(JoinRefusedError) as caught:
        access(now).join(token, query or {})
    for secret in (SECRET, CERTIFICATE, token):
        assert len(secret) < 10 or secret not in str(caught.value)
    return caught.value


def test_a_livekit_token_lets_in_as_it_says() -> None:
    token = jwt(name="Anna", metadata="m", attributes={"a": "b"}, grants=Grants(can_publish=False, hidden=True))
    assert access().join(token, {"channel": "other", "uid": "9"}) == Credentials(
        api_key=KEY,
        identity="7",
        room="lesson",
        grants=Grants(can_publish=False, hidden=True),
        name="Anna",
        metadata="m",
        attributes={"a": "b"},
        expires_at=NOW + HOUR,
    )


@pytest.mark.parametrize("version", ["006", "007"])
@pytest.mark.parametrize("query", [{"uid": "7"}, {"uid": "007"}, {"user_account": "7"}])
def test_a_classic_token_lets_in_whom_the_query_names(version: str, query: dict[str, str]) -> None:
    joined = access().join(classic(version), {"channel": "lesson", "name": "Anna", **query})
    assert joined == Credentials(
        api_key=APP_ID, identity="7", room="lesson", grants=Grants(), name="Anna", expires_at=NOW + HOUR
    )


def test_an_007_that_names_both_needs_no_query() -> None:
    joined = access().join(classic("007", role=SUBSCRIBER), {})
    assert (joined.identity, joined.room, joined.grants) == ("7", "lesson", grants_of(SUBSCRIBER))


@pytest.mark.parametrize("version", ["006", "007"])
def test_a_recorder_comes_in_unseen_with_a_classic_token(version: str) -> None:
    token = classic(version, role=SUBSCRIBER, account="")
    joined = access().join(token, {"channel": "lesson", "uid": "1001", "recorder": "1"})
    assert (joined.identity, joined.grants, joined.kind) == ("1001", RECORDER_GRANTS, "egress")


def test_an_app_id_without_certificate_is_a_token_itself() -> None:
    joined = access().join(OPEN, {"channel": "lesson", "user_account": "anna"})
    assert joined == Credentials(api_key=OPEN, identity="anna", room="lesson", grants=Grants())
    recorder = access().join(OPEN, {"channel": "lesson", "uid": "5", "recorder": "true"})
    assert (recorder.grants, recorder.kind) == (RECORDER_GRANTS, "egress")


def test_a_token_of_an_app_id_without_certificate_needs_no_true_signature_but_gives_no_power() -> None:
    claimed = Grants(room_admin=True, room_create=True, room_list=True, room_record=True, hidden=True, agent=True)
    joined = access().join(jwt(key=OPEN, secret="whatever", grants=claimed), {})
    assert (joined.identity, joined.room, joined.grants) == ("7", "lesson", Grants())
    recorder = access().join(make_recorder_token(OPEN, "x", identity="5", room="lesson", now_seconds=NOW), {})
    assert recorder.grants == RECORDER_GRANTS
    assert "expired" in str(refusal(jwt(key=OPEN, secret="whatever"), now=NOW + 2 * HOUR))


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("", "no access token"),
        ("garbage", "invalid token"),
        (APP_ID, "invalid token"),
        (jwt(key="other"), "invalid API key"),
        (jwt(secret="another-secret-of-32-characters-xxxx"), "does not fit the App Certificate"),
        (jwt()[:-4] + "AAAA", "does not fit the App Certificate"),
        (jwt(now_seconds=NOW - 2 * HOUR), "expired"),
        (jwt(now_seconds=NOW + HOUR), "not valid before"),
        (jwt(grants=Grants(room_join=False)), "permission denied"),
        (classic("007", account="8"), "another user"),
        (classic("006", account="8"), "another channel or user"),
        (classic("007", channel="other"), "another channel"),
        (classic("007")[:40], "no AccessToken"),
        (classic("007", role=()), "permission denied"),
    ],
)
def test_who_shows_no_good_token_is_refused_with_401(token: str, told: str) -> None:
    error = refusal(token, {"channel": "lesson", "uid": "7"})
    assert error.status == 401
    assert told in str(error)


def test_a_livekit_token_without_an_end_is_refused() -> None:
    import jwt as pyjwt

    token = pyjwt.encode({"iss": KEY, "sub": "7", "video": {"roomJoin": True, "room": "lesson"}}, SECRET, "HS256")
    assert (refusal(token).status, "no end" in str(refusal(token))) == (401, True)


@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
def test_no_other_algorithm_is_taken(algorithm: str) -> None:
    import jwt as pyjwt

    claims = {"iss": KEY, "sub": "7", "exp": NOW + HOUR, "video": {"roomJoin": True, "room": "lesson"}}
    token = pyjwt.encode(claims, SECRET * 2 if algorithm != "none" else "", algorithm)
    assert refusal(token).status == 401


@pytest.mark.parametrize(
    ("token", "query", "told"),
    [
        (jwt(identity=""), {}, "identity"),
        (jwt(identity="x" * 257), {}, "identity"),
        (jwt(room=""), {}, "room"),
        (jwt(room="x" * 257), {}, "room"),
        (jwt(name="x" * 257), {}, "display name"),
        (OPEN, {"uid": "7"}, "room"),
        (OPEN, {"channel": "lesson"}, "identity"),
        (OPEN, {"channel": "lesson", "uid": "0"}, "identity"),
        (OPEN, {"channel": "lesson", "uid": "4294967296"}, "identity"),
        (OPEN, {"channel": "lesson", "uid": "anna"}, "identity"),
        (OPEN, {"channel": "lesson", "uid": "²"}, "identity"),
        (OPEN, {"channel": "lesson", "uid": "7", "user_account": "anna"}, "identity"),
        (classic("007", account=""), {}, "identity"),
    ],
)
def test_who_does_not_say_who_or_where_well_is_refused_with_400(token: str, query: dict[str, str], told: str) -> None:
    error = refusal(token, query)
    assert error.status == 400
    assert told in str(error)


def test_names_of_256_characters_are_welcome() -> None:
    joined = access().join(jwt(identity="ä" * 256, room="ö" * 256), {})
    assert (len(joined.identity), len(joined.room)) == (256, 256)


@pytest.mark.parametrize(
    "credentials",
    [
        access().join(jwt(name="Anna", attributes={"a": "b"}, grants=Grants(can_publish=False)), {}),
        access().join(classic("006"), {"channel": "lesson", "uid": "7"}),
    ],
    ids=["LiveKit", "006"],
)
def test_a_refreshed_token_is_a_livekit_token_that_says_the_same(credentials: Credentials) -> None:
    token = access(NOW + 600).refresh_token(credentials)
    secret = {KEY: SECRET, APP_ID: CERTIFICATE}[credentials.api_key]
    assert verify_access_token(token, {credentials.api_key: secret}, NOW + 600).expires_at == NOW + HOUR
    assert access(NOW + 600).join(token, {}) == credentials


def test_a_refreshed_token_lasts_ten_minutes_at_least() -> None:
    credentials = access().join(jwt(), {})
    assert read_unverified(access(NOW + HOUR).refresh_token(credentials)).expires_at == NOW + HOUR + 600


def test_a_refreshed_token_of_an_app_id_alone_lets_in_again() -> None:
    door = access()
    credentials = door.join(OPEN, {"channel": "lesson", "uid": "7"})
    again = door.join(door.refresh_token(credentials), {})
    assert (again.identity, again.room, again.grants) == ("7", "lesson", Grants())


@pytest.mark.parametrize(
    "token", ["", OPEN, jwt(key=OPEN, secret="x"), jwt(secret="x"), classic("007"), jwt(now_seconds=NOW - 2 * HOUR)]
)
def test_rooms_are_ruled_with_signed_livekit_tokens_only(token: str) -> None:
    with pytest.raises(JoinRefusedError) as caught:
        access().rights(token)
    assert caught.value.status == 401


def test_the_rights_of_a_token_are_as_it_says() -> None:
    grants = Grants(room_join=False, room_admin=True)
    assert access().rights(jwt(identity="", grants=grants)).grants == grants


@pytest.mark.parametrize(
    ("authorization", "query", "token"),
    [
        ("Bearer abc", {}, "abc"),
        ("bearer  abc ", {"access_token": "other"}, "abc"),
        (None, {"access_token": "abc"}, "abc"),
        (None, {}, ""),
    ],
)
def test_the_token_comes_in_the_header_or_the_query(
    authorization: str | None, query: dict[str, str], token: str
) -> None:
    assert bearer_token(authorization, query) == token


@pytest.mark.parametrize("authorization", ["Basic abc", "abc", ""])
def test_another_kind_of_authorization_is_refused(authorization: str) -> None:
    with pytest.raises(JoinRefusedError) as caught:
        bearer_token(authorization, {"access_token": "abc"})
    assert caught.value.status == 401


@pytest.mark.parametrize(
    ("texts", "secrets", "open_app_ids"),
    [
        (["a:b"], {"a": "b"}, set[str]()),
        (["a:b", "c:d"], {"a": "b", "c": "d"}, set[str]()),
        (["a: b\n# comment\n\nc:  d \n"], {"a": "b", "c": "d"}, set[str]()),
        (["a:b c:d  e"], {"a": "b", "c": "d"}, {"e"}),
        (["a:"], {}, {"a"}),
        (["a:\nb:c:d"], {"b": "c:d"}, {"a"}),
        (["a:b", "a:b"], {"a": "b"}, set[str]()),
    ],
)
def test_keys_are_read_as_they_are_usually_written(
    texts: list[str], secrets: dict[str, str], open_app_ids: set[str]
) -> None:
    keys = Keys.parse(texts)
    assert (keys.secrets, keys.open) == (secrets, open_app_ids)


@pytest.mark.parametrize(
    ("texts", "told"),
    [([], "no API key"), ([" "], "no API key"), ([":hidden"], "KEY:SECRET"), (["a:hidden", "a:c"], "two secrets")],
)
def test_keys_that_make_no_sense_are_one_sentence_without_the_secret(texts: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        Keys.parse(texts)
    assert "hidden" not in str(caught.value)


def test_short_secrets_are_named_and_none_is_shown() -> None:
    keys = Keys({"a": "short", "b": SECRET, "c": None})
    assert keys.weak == ("a",)
    assert "short" not in repr(keys) and SECRET not in repr(keys)


@given(token=st.text(), query=st.dictionaries(st.sampled_from(["channel", "uid", "user_account", "name"]), st.text()))
@settings(deadline=None)
def test_any_token_and_query_are_let_in_or_refused(token: str, query: dict[str, str]) -> None:
    for given_token in (token, OPEN, classic("006")):
        try:
            joined = access().join(given_token, query)
        except JoinRefusedError as error:
            assert error.status in (400, 401)
        else:
            assert 1 <= len(joined.identity) <= 256 and 1 <= len(joined.room) <= 256
