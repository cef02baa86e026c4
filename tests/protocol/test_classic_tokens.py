"""AccessToken 006 and 007: the tokens of public test suites, ours, tampered ones, and any bytes at all."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.errors import AppIdError, ConfigError, ErrorCode, MalformedError, RecorderError, TokenError
from channel_recorder.protocol.access_token_006 import make_access_token_006, read_access_token_006
from channel_recorder.protocol.access_token_007 import (
    MAX_CONTENT_BYTES,
    make_access_token_007,
    read_access_token_007,
)
from channel_recorder.protocol.classic_tokens import (
    Membership,
    app_id_of,
    is_classic_token,
    make_classic_token,
    verify_classic_token,
)
from channel_recorder.protocol.packing import pack_numbers, pack_octets, pack_text, pack_u16, pack_u32
from channel_recorder.protocol.privileges import PUBLISHER, SUBSCRIBER, Privilege, grants_of
from channel_recorder.protocol.tokens import LEEWAY_SECONDS, RECORDER_GRANTS, AccessToken, Grants, make_access_token

APP_ID = "970CA35de60c44645bbae8a215061b33"
CERTIFICATE = "5CFd2fd1755d40ecb72977518be15d3b"
CERTIFICATES = {APP_ID: CERTIFICATE}
CHANNEL = "7d72365eb983485397e3e3f9d460bdda"
UID = "2882341273"
ISSUED = 1_111_111
NOW = 1_800_000_000.0
HOUR = 3600
DAY = 24 * HOUR

# From the test suites of the public token builders.
VECTOR_006 = (
    "006970CA35de60c44645bbae8a215061b33"
    "IACV0fZUBw+72cVoL9eyGGh3Q6Poi8bgjwVLnyKSJyOXR7dIfRBXoFHlEAABAAAAR/QQAAEAAQCvKDdW"
)
VECTOR_007 = (
    "007eJxTYBBbsMMnKq7p9Hf/HcIX5kce9b518kCiQgSr5Zrp4X1Tu6UUGCzNDZwdjU1TUs0Mkk1MzExMk5ISUy0SjQxNDcwMk4yN3b8IMEQwMTAw"
    "MoAwBIL4CgzmKeZGxmamqUmWFsYmFqbGluapxqnGaZYpJmYGSSkpiVwMRhYWRsYmhkbmxgDCaiTj"
)
VECTOR_007_ANY_UID = (
    "007eJxTYLhzZP08Lxa1Pg57+TcXb/3cZ3wi4V6kbpbOog0G2dOYk20UGCzNDZwdjU1TUs0Mkk1MzExMk5ISUy0SjQxNDcwMk4yN3b8IMEQwMTAw"
    "MoAwBIL4CgzmKeZGxmamqUmWFsYmFqbGluapxqnGaZYpJmYGSSkpiQwMADacImo="
)
VECTOR_007_MANY_SERVICES = (
    "007eJxTYPhoYK+7SDk39KyyavaWJIvG958FqjUtWb631r8Sbb7U+FGBwdLcwNnR2DQl1cwg2cTEzMQ0KSkx1SLRyNDUwMwwydjY/YsAQwQTAwMj"
    "AwMDG5BkAWIQnwlMMoNJFjCpwGCeYm5kbGaammRpYWxiYWpsaZ5qnGqcZpliYmaQlJKSyMVgZGFhZGxiaGRuzAQ0B2ISsigzAxOK+aSZyQI3kxWr"
    "6exAMYi5qOL//wMAs006ww=="
)
VECTOR_007_CHAT = (
    "007eJxTYNAIsnbS3v/A5t2TC6feR15r+6cq8bqAvfaW+tk/Vzz+p6xTYLA0N3B2NDZNSTUzSDYxMTMxTUpKTLVINDI0NTAzTDI2dv8iwBDBxMDA"
    "yADCrEDMCOZzMRhZWBgZmxgamRsDAB+lHrg="
)

Make = Callable[..., str]


def token(version: str, *, account: str = UID, channel: str = CHANNEL, valid_for_seconds: int = HOUR) -> str:
    return make_classic_token(
        version,
        APP_ID,
        CERTIFICATE,
        channel=channel,
        account=account,
        privileges=PUBLISHER,
        now_seconds=NOW,
        valid_for_seconds=valid_for_seconds,
        salt=7,
    )


def verified(
    text: str, *, channel: str = CHANNEL, account: str = UID, recorder: bool = False, now: float = NOW
) -> AccessToken:
    return verify_classic_token(
        text, CERTIFICATES, Membership(channel=channel, account=account, recorder=recorder), now
    )


def refusal(text: str, **how: object) -> RecorderError:
    with pytest.raises((TokenError, AppIdError)) as caught:
        verified(text, **how)  # type: ignore[arg-type]
    assert len(text) < 10 or text not in str(caught.value)
    assert CERTIFICATE not in str(caught.value)
    return caught.value


def test_an_006_is_made_byte_for_byte_as_everybody_makes_it() -> None:
    made = make_access_token_006(
        APP_ID, CERTIFICATE, channel=CHANNEL, account=UID, privileges={1: 1_446_455_471}, expires_at=ISSUED, salt=1
    )
    assert made == VECTOR_006


def test_an_007_is_signed_byte_for_byte_as_everybody_signs_it() -> None:
    made = make_access_token_007(
        APP_ID,
        CERTIFICATE,
        channel=CHANNEL,
        account=UID,
        privileges={1: 600},
        issued_at=ISSUED,
        valid_for_seconds=600,
        salt=1,
    )
    assert read_access_token_007(made) == read_access_token_007(VECTOR_007)


@pytest.mark.parametrize(
    ("text", "account", "grants"),
    [
        (VECTOR_007, UID, grants_of(SUBSCRIBER)),
        (VECTOR_007_ANY_UID, "5", grants_of(SUBSCRIBER)),
        (VECTOR_007_MANY_SERVICES, UID, Grants()),
    ],
    ids=["one service", "any user", "six services"],
)
def test_public_007_tokens_let_in_whom_they_name(text: str, account: str, grants: Grants) -> None:
    read = verified(text, account=account, now=ISSUED)
    assert (read.api_key, read.room, read.identity, read.grants) == (APP_ID, CHANNEL, account, grants)
    assert read.expires_at == ISSUED + 600


def test_a_public_006_token_lets_in_whom_it_names() -> None:
    read = verified(VECTOR_006, now=ISSUED)
    assert (read.api_key, read.room, read.identity, read.expires_at) == (APP_ID, CHANNEL, UID, ISSUED)


def test_an_007_for_chat_alone_opens_no_channel() -> None:
    assert "does not allow to join" in str(refusal(VECTOR_007_CHAT, now=ISSUED))


@pytest.mark.parametrize("version", ["006", "007"])
@pytest.mark.parametrize(
    "how",
    [
        {"channel": "another"},
        {"account": "1"},
        {"account": "name"},
    ],
    ids=["channel", "number", "name"],
)
def test_a_token_of_another_channel_or_user_is_refused(version: str, how: dict[str, str]) -> None:
    assert refusal(token(version), **how).code is ErrorCode.TOKEN_INVALID


@pytest.mark.parametrize("version", ["006", "007"])
@pytest.mark.parametrize("account", ["5", "anna@example.org"])
def test_a_token_for_anybody_fits_every_user_but_not_every_channel(version: str, account: str) -> None:
    text = token(version, account="")
    assert verified(text, account=account).identity == account
    refusal(text, account=account, channel="another")


def test_an_006_needs_the_channel_from_the_join_and_an_007_knows_it() -> None:
    assert "does not tell its channel" in str(refusal(token("006"), channel="", account=""))
    read = verified(token("007"), channel="", account="")
    assert (read.room, read.identity) == (CHANNEL, UID)


@pytest.mark.parametrize("version", ["006", "007"])
@pytest.mark.parametrize("certificate", ["other", CERTIFICATE.lower()])
def test_another_certificate_is_refused(version: str, certificate: str) -> None:
    with pytest.raises(TokenError) as caught:
        verify_classic_token(token(version), {APP_ID: certificate}, Membership(channel=CHANNEL, account=UID), NOW)
    assert caught.value.code is ErrorCode.TOKEN_INVALID


@pytest.mark.parametrize("version", ["006", "007"])
@pytest.mark.parametrize("certificates", [{}, {"other": CERTIFICATE}, {APP_ID: ""}])
def test_an_unknown_app_id_is_told_as_such(version: str, certificates: dict[str, str]) -> None:
    with pytest.raises(AppIdError):
        verify_classic_token(token(version), certificates, Membership(channel=CHANNEL, account=UID), NOW)


@pytest.mark.parametrize("version", ["006", "007"])
def test_a_token_ends_when_it_says_after_the_leeway(version: str) -> None:
    text = token(version)
    assert verified(text, now=NOW + HOUR + LEEWAY_SECONDS - 1).expires_at == NOW + HOUR
    assert refusal(text, now=NOW + HOUR + LEEWAY_SECONDS).code is ErrorCode.TOKEN_EXPIRED


@pytest.mark.parametrize("valid_for", [0, 7 * DAY, 2**32 - 1])
def test_an_007_never_lives_longer_than_a_day(valid_for: int) -> None:
    text = raw_007(privileges={1: 0}, valid_for_seconds=valid_for)
    assert verified(text).expires_at == NOW + DAY
    assert refusal(text, now=NOW + DAY + LEEWAY_SECONDS).code is ErrorCode.TOKEN_EXPIRED


def test_an_007_from_the_future_is_refused() -> None:
    assert verified(token("007"), now=NOW - LEEWAY_SECONDS)
    assert "not valid yet" in str(refusal(token("007"), now=NOW - LEEWAY_SECONDS - 1))


def test_joining_may_end_before_the_token_does() -> None:
    early_006 = make_access_token_006(
        APP_ID,
        CERTIFICATE,
        channel=CHANNEL,
        account=UID,
        privileges={1: int(NOW) + 60},
        expires_at=int(NOW) + HOUR,
        salt=1,
    )
    for text in (early_006, raw_007(privileges={1: 60})):
        assert verified(text).expires_at == NOW + 60
        assert refusal(text, now=NOW + 60 + LEEWAY_SECONDS).code is ErrorCode.TOKEN_EXPIRED


def test_without_the_privilege_to_join_nobody_gets_in() -> None:
    assert "does not allow to join" in str(refusal(raw_007(privileges={2: 0, 3: 0, 4: 0})))


@pytest.mark.parametrize(
    ("privileges", "grants"),
    [
        (PUBLISHER, Grants()),
        (SUBSCRIBER, Grants(can_publish=False, can_publish_data=False)),
        ((1, 2), Grants(can_publish_data=False, can_publish_sources=("microphone", "screen_share_audio"))),
        ((1, 3, 4), Grants(can_publish_sources=("camera", "screen_share"))),
        ((1, 4), Grants(can_publish=False)),
        ((1, 2, 3), Grants(can_publish_data=False)),
        ((1, 101, 1000), Grants(can_publish=False, can_publish_data=False)),
    ],
)
def test_the_privileges_say_what_may_be_published(privileges: tuple[int, ...], grants: Grants) -> None:
    assert verified(raw_007(privileges=dict.fromkeys(privileges, 0))).grants == grants


def test_a_privilege_that_ended_is_none() -> None:
    text = raw_007(privileges={1: 0, 2: 60, 3: 0})
    assert verified(text).grants.can_publish_sources == ()
    assert verified(text, now=NOW + 120).grants.can_publish_sources == ("camera", "screen_share")


@pytest.mark.parametrize("version", ["006", "007"])
def test_a_recorder_joins_unseen_and_publishes_nothing_whatever_the_token_allows(version: str) -> None:
    read = verified(token(version), recorder=True)
    assert (read.grants, read.kind) == (RECORDER_GRANTS, "egress")


def test_a_plus_sign_that_a_query_turned_into_a_space_is_one() -> None:
    assert "+" in VECTOR_006
    assert verified(VECTOR_006.replace("+", " "), now=ISSUED).identity == UID


def test_tokens_are_told_apart_by_how_they_begin() -> None:
    jwt = make_access_token("k", "s", identity="1", room="r", now_seconds=NOW, valid_for_seconds=1)
    assert [is_classic_token(text) for text in (VECTOR_006, VECTOR_007, jwt, "", APP_ID)] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("version", ["006", "007"])
def test_the_app_id_can_be_read_without_the_certificate(version: str) -> None:
    assert app_id_of(token(version)) == APP_ID


def test_an_app_id_of_another_length_fits_into_007_only() -> None:
    with pytest.raises(ConfigError, match="32 characters"):
        make_access_token_006("devkey", "s", channel="c", account="1", privileges={1: 0}, expires_at=1, salt=1)
    made = make_access_token_007(
        "devkey", "s", channel="c", account="1", privileges={1: 0}, issued_at=1, valid_for_seconds=1, salt=1
    )
    assert read_access_token_007(made).app_id == "devkey"


def raw_007(
    *, privileges: dict[int, int], valid_for_seconds: int = HOUR, service: bytes | None = None, services: int = 1
) -> str:
    """Signed well, with any content."""
    body = service
    if body is None:
        body = pack_u16(1) + pack_numbers(privileges) + pack_text(CHANNEL) + pack_text(UID)
    issued, salt = pack_u32(int(NOW)), pack_u32(9)
    info = pack_text(APP_ID) + issued + pack_u32(valid_for_seconds) + salt + pack_u16(services) + body
    key = hmac.digest(salt, hmac.digest(issued, CERTIFICATE.encode(), hashlib.sha256), hashlib.sha256)
    content = pack_octets(hmac.digest(key, info, hashlib.sha256)) + info
    return "007" + base64.b64encode(zlib.compress(content)).decode()


def test_an_unknown_service_before_the_channels_ends_the_reading() -> None:
    unknown = pack_u16(99) + b"whatever"
    assert "does not allow to join" in str(refusal(raw_007(privileges={}, service=unknown, services=2)))


def test_an_inflation_bomb_is_refused_before_it_is_inflated() -> None:
    bomb = "007" + base64.b64encode(zlib.compress(bytes(10 * 1024 * 1024), 9)).decode()
    assert len(bomb) < MAX_CONTENT_BYTES
    assert "too long" in str(refusal(bomb))


@pytest.mark.parametrize("version", ["006", "007"])
def test_a_token_cut_or_changed_anywhere_is_refused(version: str) -> None:
    text = token(version)
    for position in range(len(text)):
        changed = text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]
        for broken in (text[:position], changed):
            if not is_classic_token(broken) or _same_content(broken, text):
                continue
            refusal(broken)


def _same_content(one: str, other: str) -> bool:
    """The checksums of an 006 are hints that nobody signs; base64 has bits at its end that mean nothing."""
    try:
        if one.startswith("006"):
            first, second = read_access_token_006(one), read_access_token_006(other)
            return (first.app_id, first.signature, first.message) == (second.app_id, second.signature, second.message)
        return read_access_token_007(one) == read_access_token_007(other)
    except MalformedError:
        return False


def test_an_endless_token_is_refused_unread() -> None:
    assert "too long" in str(refusal("007" + "A" * 100_000))


@given(version=st.sampled_from(["006", "007", ""]), rest=st.text())
@settings(deadline=None)
def test_any_text_is_a_token_or_refused(version: str, rest: str) -> None:
    refusal(version + rest)


@given(app_id=st.text(alphabet="0123456789abcdef", min_size=32, max_size=32), content=st.binary())
@settings(deadline=None)
def test_any_bytes_behind_006_are_refused(app_id: str, content: bytes) -> None:
    refusal("006" + app_id + base64.b64encode(content).decode())


@given(content=st.binary(), compressed=st.booleans())
@settings(deadline=None)
def test_any_bytes_behind_007_are_refused(content: bytes, compressed: bool) -> None:
    data = zlib.compress(content) if compressed else content
    refusal("007" + base64.b64encode(data).decode())


@given(service=st.binary(), services=st.integers(0, 0xFFFF))
@settings(deadline=None)
def test_any_bytes_that_the_certificate_signed_are_read_or_refused(service: bytes, services: int) -> None:
    text = raw_007(privileges={}, service=service, services=services)
    with contextlib.suppress(TokenError):
        assert verified(text).identity == UID


@given(
    channel=st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=64),
    account=st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=64),
    privileges=st.sets(st.sampled_from([Privilege.PUBLISH_AUDIO, Privilege.PUBLISH_VIDEO, Privilege.PUBLISH_DATA])),
    version=st.sampled_from(["006", "007"]),
    salt=st.integers(1, 99_999_999),
)
@settings(deadline=None)
def test_what_is_made_is_what_is_verified(
    channel: str, account: str, privileges: set[Privilege], version: str, salt: int
) -> None:
    text = make_classic_token(
        version,
        APP_ID,
        CERTIFICATE,
        channel=channel,
        account=account,
        privileges=(Privilege.JOIN, *privileges),
        now_seconds=NOW,
        valid_for_seconds=HOUR,
        salt=salt,
    )
    read = verified(text, channel=channel, account=account)
    assert (read.room, read.identity, read.expires_at) == (channel, account, NOW + HOUR)
    assert read.grants == grants_of((Privilege.JOIN, *privileges))
