"""What a join's query says: plain parameters, the packed request of every client, and bombs."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from channel_recorder.protocol.tokens import Grants
from channel_recorder.sfu.contract import ClientInfo, Credentials, JoinRefusedError, JoinRequest
from channel_recorder.sfu.join_request import MAX_JOIN_REQUEST_BYTES, read_join_request

CREDENTIALS = Credentials(
    api_key="k", identity="7", room="r", grants=Grants(), metadata="of the token", attributes={"a": "token"}
)
FREE = replace(CREDENTIALS, grants=Grants(can_update_own_metadata=True))
MESSAGE = rtc.JoinRequest(
    client_info=models.ClientInfo(
        sdk=models.ClientInfo.JS,
        version="2.23.0",
        protocol=17,
        os="linux",
        browser="chrome",
        device_model="pixel",
        address="forged",
    ),
    connection_settings=rtc.ConnectionSettings(auto_subscribe=True, adaptive_stream=True),
    metadata="mine",
    participant_attributes={"b": "mine"},
    add_track_requests=[rtc.AddTrackRequest(cid="c1", name="camera")],
    publisher_offer=rtc.SessionDescription(type="offer", sdp="v=0\r\n" * 3000, id=1),
    reconnect=True,
    participant_sid="PA_1",
)


def read(query: dict[str, str], credentials: Credentials = CREDENTIALS, *, packed: bool = False) -> JoinRequest:
    return read_join_request(query, credentials, packed=packed, address="192.0.2.1")


def packed(message: rtc.JoinRequest | bytes = MESSAGE, *, zipped: bool = True, **change: bytes) -> str:
    data = message if isinstance(message, bytes) else message.SerializeToString()
    wrapped = rtc.WrappedJoinRequest(
        compression=rtc.WrappedJoinRequest.GZIP if zipped else rtc.WrappedJoinRequest.NONE,
        join_request=change.get("raw", gzip.compress(data) if zipped else data),
    )
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


def refusal(query: dict[str, str], credentials: Credentials = FREE, *, packed: bool = True) -> str:
    with pytest.raises(JoinRefusedError) as caught:
        read(query, credentials, packed=packed)
    assert caught.value.status == 400
    return str(caught.value)


def test_a_plain_query_says_all() -> None:
    query = {
        "access_token": "t",
        "auto_subscribe": "0",
        "reconnect": "1",
        "sid": "PA_1",
        "sdk": "android",
        "version": "2.1",
        "protocol": "16",
        "os": "android",
        "browser": "",
        "device_model": "pixel",
    }
    assert read(query) == JoinRequest(
        credentials=CREDENTIALS,
        client=ClientInfo(
            sdk="android", version="2.1", protocol=16, os="android", device_model="pixel", address="192.0.2.1"
        ),
        single_peer=False,
        auto_subscribe=False,
        reconnect=True,
        participant_sid="PA_1",
    )


@pytest.mark.parametrize(
    ("text", "subscribed"), [(None, True), ("", True), ("1", True), ("true", True), ("0", False), ("false", False)]
)
def test_everything_is_subscribed_to_unless_told_otherwise(text: str | None, subscribed: bool) -> None:
    assert read({} if text is None else {"auto_subscribe": text}).auto_subscribe is subscribed


@pytest.mark.parametrize(
    ("text", "protocol"), [("", 0), ("17", 17), ("9999", 9999), ("x", 0), ("-1", 0), ("9" * 99, 0)]
)
def test_any_protocol_number_is_welcome(text: str, protocol: int) -> None:
    assert read({"protocol": text}).client.protocol == protocol


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("alphabet", ["url", "standard", "standard, plus signs as spaces"])
@pytest.mark.parametrize("padded", [True, False])
def test_a_packed_request_is_read_however_it_is_written(zipped: bool, alphabet: str, padded: bool) -> None:
    text = packed(zipped=zipped)
    if alphabet != "url":
        text = text.replace("-", "+" if alphabet == "standard" else " ").replace("_", "/")
    request = read({"join_request": text if padded else text.rstrip("=")}, packed=True)
    assert request == JoinRequest(
        credentials=CREDENTIALS,
        client=ClientInfo(
            sdk="js",
            version="2.23.0",
            protocol=17,
            os="linux",
            browser="chrome",
            device_model="pixel",
            address="192.0.2.1",
        ),
        single_peer=True,
        auto_subscribe=True,
        reconnect=True,
        participant_sid="PA_1",
        add_tracks=tuple(MESSAGE.add_track_requests),
        publisher_offer=MESSAGE.publisher_offer,
    )


def test_a_packed_request_without_an_offer_has_none() -> None:
    assert read({"join_request": packed(rtc.JoinRequest(reconnect=True))}, packed=True).publisher_offer is None


def test_what_a_client_says_of_its_user_counts_where_the_token_allows_it() -> None:
    assert read({"join_request": packed()}, packed=True).credentials == CREDENTIALS
    free = read({"join_request": packed()}, FREE, packed=True).credentials
    assert (free.metadata, free.attributes) == ("mine", {"a": "token", "b": "mine"})
    attributes = base64.urlsafe_b64encode(json.dumps({"a": "mine"}).encode()).decode()
    assert read({"attributes": attributes}).credentials == CREDENTIALS
    free = read({"attributes": attributes}, FREE).credentials
    assert (free.metadata, free.attributes) == ("of the token", {"a": "mine"})


def text_of(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({}, "join_request is required"),
        ({"join_request": "%%%"}, "not base64"),
        ({"join_request": "A"}, "not base64"),
        ({"join_request": "ä"}, "not base64"),
        ({"join_request": "AAAA"}, "malformed"),
        ({"join_request": packed(b"\xff\xff", zipped=False)}, "malformed"),
        ({"join_request": packed(b"\xff\xff")}, "malformed"),
        ({"join_request": packed(raw=b"no gzip")}, "not compressed with gzip"),
        ({"join_request": packed(raw=gzip.compress(MESSAGE.SerializeToString())[:-20])}, "ends too early"),
        ({"join_request": packed(bytes(MAX_JOIN_REQUEST_BYTES + 1))}, "too large"),
        ({"join_request": packed(bytes(64 * MAX_JOIN_REQUEST_BYTES))}, "too large"),
        ({"join_request": packed(bytes(MAX_JOIN_REQUEST_BYTES + 1), zipped=False)}, "too large"),
        ({"join_request": "CAc="}, "in a way that is not known"),
        ({"join_request": packed(rtc.JoinRequest(metadata="x" * 65537))}, "metadata is too long"),
        ({"join_request": packed(rtc.JoinRequest(participant_attributes={"a": "x" * 65537}))}, "attributes are too"),
    ],
)
def test_a_packed_request_that_is_none_is_refused_with_400(query: dict[str, str], told: str) -> None:
    assert told in refusal(query)


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ("%%%", "not base64"),
        (base64.b64encode(b"[").decode(), "no JSON"),
        (base64.b64encode(b"[" * 100_000).decode(), "no JSON"),
        (base64.b64encode(b"\xff").decode(), "no JSON"),
        (text_of(["a"]), "no JSON object"),
        (text_of({"a": 1}), "not all text"),
        (text_of({"a": "\ud800"}), "not all text"),
        (text_of({"\udfff": "a"}), "not all text"),
        (text_of({"a": "x" * 65537}), "too long"),
    ],
)
def test_attributes_that_are_none_are_refused_with_400(attributes: str, told: str) -> None:
    assert told in refusal({"attributes": attributes}, packed=False)


@given(
    query=st.dictionaries(
        st.sampled_from(["join_request", "attributes", "protocol", "sid", "reconnect", "auto_subscribe", "sdk"]),
        st.text(),
    ),
    is_packed=st.booleans(),
)
@settings(deadline=None)
def test_any_query_is_a_request_or_refused(query: dict[str, str], is_packed: bool) -> None:
    try:
        assert read(query, FREE, packed=is_packed).credentials.identity == "7"
    except JoinRefusedError as error:
        assert error.status == 400


@given(data=st.binary(), zipped=st.booleans(), wrapped=st.booleans())
@settings(deadline=None)
def test_any_bytes_are_a_request_or_refused(data: bytes, zipped: bool, wrapped: bool) -> None:
    text = packed(data, zipped=zipped) if wrapped else base64.urlsafe_b64encode(data).decode()
    try:
        assert read({"join_request": text}, FREE, packed=True).credentials.identity == "7"
    except JoinRefusedError as error:
        assert error.status == 400
