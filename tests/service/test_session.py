"""A seat in a channel for the page: a token of the right name, channel and rights."""

from __future__ import annotations

import httpx
import pytest

from channel_recorder.protocol.tokens import verify_access_token
from tests.service.conftest import APP_ID, CERTIFICATE, House


async def seat(client: httpx.AsyncClient, name: str = "Anna", channel: str = "c", **more: object) -> httpx.Response:
    return await client.post("/api/session", json={"name": name, "channel": channel, **more})


async def test_a_seat_has_address_token_and_identity(house: House, client: httpx.AsyncClient) -> None:
    given = (await seat(client, "  Anna   Berg ", "lesson 7")).json()
    assert given["identity"] == "Anna Berg"
    assert given["url"] == "ws://localhost:7880"
    token = verify_access_token(given["token"], {APP_ID: CERTIFICATE}, now_seconds=house.clocks.unix)
    assert (token.identity, token.name, token.room) == ("Anna Berg", "Anna Berg", "lesson 7")
    assert token.grants.room_join
    assert token.grants.can_publish
    assert not token.grants.room_admin
    assert not token.grants.room_record
    assert not token.grants.recorder


async def test_the_address_is_the_one_the_browser_used(house: House) -> None:
    secure = house.browser(house.service(is_loopback=False, page_password="p"), "https://rec.example.com")
    await secure.post("/api/login", json={"password": "p"})
    assert (await seat(secure)).json()["url"] == "wss://rec.example.com"


async def test_another_channel_server_can_be_named(house: House) -> None:
    client = house.browser(house.service(client_url="wss://livekit.example.com"))
    assert (await seat(client)).json()["url"] == "wss://livekit.example.com"


async def test_a_name_that_is_taken(house: House, client: httpx.AsyncClient) -> None:
    house.taken.add(("c", "Anna"))
    refused = await seat(client)
    assert (refused.status_code, refused.json()["reason"]) == (409, "name_taken")
    assert (await seat(client, channel="d")).status_code == 200
    assert (await seat(client, take_over=True)).status_code == 200


@pytest.mark.parametrize(
    ("name", "channel"),
    [("", "c"), ("   ", "c"), ("a\u0000b", "c"), ("a\u202eb", "c"), ("x" * 65, "c"), ("Anna", ""), ("Anna", "a/b")],
)
async def test_names_that_cannot_be(client: httpx.AsyncClient, name: str, channel: str) -> None:
    refused = await seat(client, name, channel)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"


async def test_without_a_certificate_the_token_names_the_app_id(house: House) -> None:
    client = house.browser(house.service(app_certificate=None))
    given = (await seat(client)).json()
    token = verify_access_token(given["token"], {APP_ID: APP_ID}, now_seconds=house.clocks.unix)
    assert (token.api_key, token.identity) == (APP_ID, "Anna")
