"""Asking a server whether an identity is taken: a clear yes, or no."""

from __future__ import annotations

import pytest

from channel_recorder.channel.room_service import is_identity_taken
from tests.channel.fake_server import raw_server


async def taken(url: str) -> bool:
    return await is_identity_taken(url, "devkey", "s" * 32, room="r", identity="1001")


def answer(status: str, *headers: str, body: str = "{}") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


async def test_a_member_that_is_there_is_found() -> None:
    async with raw_server(answer("200 OK")) as address:
        assert await taken(f"ws://{address}")


@pytest.mark.parametrize(
    "said",
    [answer("404 Not Found"), answer("401 Unauthorized"), answer("500 Oops"), b"SSH-2.0-OpenSSH_9\r\n", b""],
)
async def test_anything_but_a_clear_yes_is_no(said: bytes) -> None:
    async with raw_server(said) as address:
        assert not await taken(f"http://{address}/")


async def test_a_closed_port_is_no(unused_tcp_port: int) -> None:
    assert not await taken(f"ws://127.0.0.1:{unused_tcp_port}")


async def test_a_redirect_gets_no_token() -> None:
    async with raw_server(answer("200 OK")) as elsewhere:
        for status in ("301 Moved", "302 Found", "307 Temporary Redirect"):
            async with raw_server(answer(status, f"Location: http://{elsewhere}/")) as address:
                assert not await taken(f"ws://{address}")
