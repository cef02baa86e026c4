from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.errors import MalformedError
from channel_recorder.model import IceServer
from channel_recorder.rtc.peer.servers import ServerAddress, parse_server_url, usable_servers


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("stun:stun.example.org", ServerAddress(False, "stun.example.org", 3478)),
        ("turn:192.0.2.1:80?transport=udp", ServerAddress(True, "192.0.2.1", 80)),
        ("turn:[2001:db8::1]:443?transport=tcp", ServerAddress(True, "2001:db8::1", 443, "tcp")),
        ("turns:turn.example.org?transport=tcp", ServerAddress(True, "turn.example.org", 5349, "tcp", True)),
        ("turns:turn.example.org:443", ServerAddress(True, "turn.example.org", 443, "tcp", True)),
    ],
)
def test_urls_are_read(url: str, address: ServerAddress):
    assert parse_server_url(url) == address


@pytest.mark.parametrize(
    "url", ["", "http://x", "turn:", "turn:a:99999", "turn:a?transport=sctp", "turn:a b", "stun:a/b"]
)
def test_what_is_no_url_is_malformed(url: str):
    with pytest.raises(MalformedError):
        parse_server_url(url)


def test_servers_that_cannot_be_used_are_passed_over():
    server = IceServer(
        ("stun:a", "stun:b?transport=tcp", "turn:c", "turns:d?transport=udp", "turns:e", "rubbish"), "u", "p"
    )
    assert [address.host for address, _ in usable_servers([server])] == ["a", "c", "e"]


def test_a_credential_is_not_shown():
    assert "secret" not in repr(IceServer(("turn:a",), "user", "secret"))


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_url_parses_or_is_malformed(text: str):
    for url in (text, "turn:" + text):
        try:
            parse_server_url(url)
        except MalformedError:
            continue
