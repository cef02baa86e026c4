"""The URL of a join, made from what a user typed."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.channel.join_request import join_url, server_name
from channel_recorder.errors import ConfigError


@pytest.mark.parametrize(
    ("server_url", "expected"),
    [
        ("ws://127.0.0.1:7880", "ws://127.0.0.1:7880/rtc"),
        ("wss://example.com", "wss://example.com/rtc"),
        ("http://localhost:7880/", "ws://localhost:7880/rtc"),
        ("https://example.com/livekit/", "wss://example.com/livekit/rtc"),
        ("WSS://Example.com:443//", "wss://Example.com:443/rtc"),
        (" ws://[::1]:7880 ", "ws://[::1]:7880/rtc"),
    ],
)
def test_the_path_is_rtc_below_whatever_the_url_has(server_url: str, expected: str) -> None:
    assert join_url(server_url, auto_subscribe=True, version="1.0").partition("?")[0] == expected


@pytest.mark.parametrize(("auto_subscribe", "said"), [(True, "1"), (False, "0")])
def test_the_query_asks_for_everything_at_full_quality(auto_subscribe: bool, said: str) -> None:
    query = parse_qs(urlsplit(join_url("ws://h", auto_subscribe=auto_subscribe, version="2.3.4")).query)
    assert query == {
        "protocol": ["16"],
        "auto_subscribe": [said],
        "adaptive_stream": ["0"],
        "subscriber_allow_pause": ["0"],
        "sdk": ["unknown"],
        "version": ["2.3.4"],
        "os": ["linux"],
    }


def test_what_the_token_does_not_tell_is_in_the_query() -> None:
    more = {"channel": "a b&c", "uid": "9"}
    query = parse_qs(urlsplit(join_url("ws://h", auto_subscribe=True, version="1", more=more)).query)
    assert (query["channel"], query["uid"], query["protocol"]) == (["a b&c"], ["9"], ["16"])


@pytest.mark.parametrize(
    ("server_url", "told"),
    [
        ("", "no scheme"),
        ("example.com", "no scheme"),
        ("localhost:7880", "scheme is 'localhost'"),
        ("ftp://example.com", "scheme is 'ftp'"),
        ("ws://", "no host"),
        ("ws://:7880", "no host"),
        ("ws://h:99999", "host or port cannot be read"),
        ("ws://h:port", "host or port cannot be read"),
        ("ws://h:0", "port is 0"),
        ("ws://[::1", "host or port cannot be read"),
        ("ws://a b", "host cannot be read"),
        ("ws://user:hush@h", "holds a user name"),
        ("ws://h/?access_token=hush", "holds a query"),
        ("ws://h/#hush", "holds a query"),
    ],
)
def test_what_is_wrong_with_a_url_is_told_without_its_secrets(server_url: str, told: str) -> None:
    for call in (lambda: join_url(server_url, auto_subscribe=True, version=""), lambda: server_name(server_url)):
        with pytest.raises(ConfigError, match=told) as caught:
            call()
        assert "hush" not in str(caught.value)


def test_a_server_is_named_by_scheme_host_and_port() -> None:
    assert server_name("https://example.com:8443/a/b") == "wss://example.com:8443"


@given(st.text() | st.text().map(lambda text: "ws://" + text))
@settings(deadline=None)
def test_any_text_is_a_url_or_a_config_error(text: str) -> None:
    try:
        url = join_url(text, auto_subscribe=False, version="1")
    except ConfigError:
        return
    assert url.startswith(("ws://", "wss://"))
    assert url.count("?") == 1
