"""Who may use the API, from where, and what other sites' pages may not."""

from __future__ import annotations

import logging

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.service.gate import BODY_MAX_BYTES, host_name
from channel_recorder.service.sessions import COOKIE, VALID_SECONDS, PageSessions, PasswordAttempts
from tests.service.conftest import CERTIFICATE, HERE, House

PASSWORD = "correct horse"
ELSEWHERE = "https://rec.example.com"


async def start(client: httpx.AsyncClient, channel: str = "c", **headers: str) -> httpx.Response:
    return await client.post("/api/recordings", json={"channel": channel}, headers=headers)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# On this machine only


async def test_on_loopback_everybody_may(client: httpx.AsyncClient) -> None:
    info = (await client.get("/api/service")).json()
    assert (info["needs_password"], info["is_signed_in"], info["is_page_closed"]) == (False, True, False)
    assert (await start(client)).status_code == 201


@pytest.mark.parametrize("host", ["localhost:7880", "127.0.0.1:7880", "[::1]:7880", "LOCALHOST", "localhost."])
async def test_loopback_has_many_names(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/api/recordings", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0:7880", "", "[", "a@localhost:x"],
)
async def test_a_foreign_name_that_points_here_is_refused(client: httpx.AsyncClient, host: str) -> None:
    answer = await client.get("/api/recordings", headers={"Host": host})
    assert (answer.status_code, answer.json()["reason"]) == (421, "foreign_host")


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost:3000", "http://localhost", "http://[", "localhost:7880"],
)
async def test_pages_of_other_sites_are_refused(house: House, client: httpx.AsyncClient, origin: str) -> None:
    answer = await start(client, Origin=origin)
    assert (answer.status_code, answer.json()["reason"]) == (403, "foreign_page")
    assert house.engines.made == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_other_sites_cannot_embed_what_was_recorded(client: httpx.AsyncClient, site: str) -> None:
    answer = await client.get("/api/recordings", headers={"Sec-Fetch-Site": site})
    assert answer.status_code == 403
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_our_own_page_is_let_in(client: httpx.AsyncClient) -> None:
    own = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
    assert (await start(client, **own)).status_code == 201


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_what_a_form_can_send_is_refused(house: House, client: httpx.AsyncClient, kind: str) -> None:
    answer = await client.post("/api/recordings", content=b'{"channel": "c"}', headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert house.engines.made == []


async def test_long_bodies_are_refused_with_a_length_and_without(client: httpx.AsyncClient) -> None:
    body = b'{"channel": "' + b"c" * BODY_MAX_BYTES + b'"}'
    json = {"Content-Type": "application/json"}
    assert (await client.post("/api/recordings", content=body, headers=json)).status_code == 413

    async def parts():
        for at in range(0, len(body), 1000):
            yield body[at : at + 1000]

    assert (await client.post("/api/recordings", content=parts(), headers=json)).status_code == 413


async def test_no_other_site_is_invited(client: httpx.AsyncClient) -> None:
    answer = await client.options("/api/recordings", headers={"Origin": "https://evil.example"})
    assert not any(name.startswith("access-control-") for name in answer.headers)


# With a token


async def test_programs_come_with_a_token_that_may_record(house: House) -> None:
    client = house.browser(house.service(is_loopback=False), ELSEWHERE)
    token = house.token(room_record=True)
    assert (await start(client, **bearer(token))).status_code == 201
    page = await client.get("/api/recordings", headers=bearer(token))
    assert len(page.json()["recordings"]) == 1
    stop = f"/api/recordings/{page.json()['recordings'][0]['id']}/stop"
    # A program need not send a body, and so no type of it either.
    assert (await client.post(stop, headers=bearer(token))).status_code == 200


async def test_the_admin_of_a_channel_sees_that_channel_only(house: House) -> None:
    client = house.browser(house.service(is_loopback=False), ELSEWHERE)
    everything, mine = house.token(room_record=True), house.token(room="mine", room_admin=True)
    other = (await start(client, "other", **bearer(everything))).json()
    assert (await start(client, "mine", **bearer(mine))).status_code == 201
    assert (await start(client, "other too", **bearer(mine))).status_code == 403
    page = (await client.get("/api/recordings", headers=bearer(mine))).json()
    assert [one["channel"] for one in page["recordings"]] == ["mine"]
    for path in ("", "/files"):
        assert (await client.get(f"/api/recordings/{other['id']}{path}", headers=bearer(mine))).status_code == 404
    assert (await client.post(f"/api/recordings/{other['id']}/stop", headers=bearer(mine))).status_code == 404


async def test_tokens_that_do_not_do(house: House) -> None:
    client = house.browser(house.service(is_loopback=False), ELSEWHERE)
    wanted = {
        house.token(room="c", room_join=True): 403,
        house.token(room_admin=True): 403,
        house.token(room_record=True, valid_for_seconds=-100): 401,
        house.token(room_record=True, secret="another-certificate-of-32-characters"): 401,
        "nonsense": 401,
    }
    for token, status in wanted.items():
        answer = await client.get("/api/recordings", headers=bearer(token))
        assert answer.status_code == status
        assert token not in answer.text
    for header in ("Basic abc", "Bearer", ""):
        assert (await client.get("/api/recordings", headers={"Authorization": header})).status_code == 401


async def test_without_a_certificate_no_token_can_be_checked(house: House) -> None:
    client = house.browser(house.service(app_certificate=None))
    answer = await client.get("/api/recordings", headers=bearer(house.token(room_record=True, secret="devkey")))
    assert answer.status_code == 401


# With the page's password


async def login(client: httpx.AsyncClient, password: str = PASSWORD) -> httpx.Response:
    return await client.post("/api/login", json={"password": password})


async def test_reachable_from_elsewhere_and_without_a_password_the_page_is_closed(house: House) -> None:
    client = house.browser(house.service(is_loopback=False), ELSEWHERE)
    assert (await client.get("/api/service")).json()["is_page_closed"] is True
    for answer in (
        await client.post("/api/session", json={"name": "Anna", "channel": "c"}),
        await client.get("/api/recordings"),
    ):
        assert (answer.status_code, answer.json()["reason"]) == (403, "page_closed")
    assert (await login(client, "")).status_code == 422
    assert (await login(client)).status_code == 403


async def test_the_password_opens_the_page_for_this_browser(house: House) -> None:
    service = house.service(is_loopback=False, page_password=PASSWORD)
    client = house.browser(service, ELSEWHERE)
    assert (await start(client)).json()["reason"] == "password_needed"
    answer = await login(client)
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" in cookie
    assert (await client.get("/api/service")).json()["is_signed_in"] is True
    assert (await start(client)).status_code == 201
    assert (await start(house.browser(service, ELSEWHERE), "d")).status_code == 401


async def test_a_restart_asks_nobody_again_but_another_password_does(house: House) -> None:
    def service(**settings: object):
        return house.service(is_loopback=False, **settings)

    client = house.browser(service(page_password=PASSWORD), ELSEWHERE)
    await login(client)
    cookie = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    again = house.browser(service(page_password=PASSWORD), ELSEWHERE, **cookie)
    assert (await again.get("/api/recordings")).status_code == 200
    for settings in ({"page_password": "another"}, {"page_password": PASSWORD, "app_certificate": "x" * 40}):
        other = house.browser(service(**settings), ELSEWHERE, **cookie)
        assert (await other.get("/api/recordings")).status_code == 401


async def test_a_cookie_ends_after_hours_and_at_logout(house: House) -> None:
    client = house.browser(house.service(page_password=PASSWORD))
    await login(client)
    assert (await client.get("/api/recordings")).status_code == 200
    house.clocks.unix += VALID_SECONDS + 1
    assert (await client.get("/api/recordings")).status_code == 401
    await login(client)
    await client.post("/api/logout", json={})
    assert COOKIE not in client.cookies


async def test_passwords_cannot_be_tried_forever(house: House) -> None:
    client = house.browser(house.service(page_password=PASSWORD))
    for _ in range(PasswordAttempts.LIMIT):
        assert (await login(client, "wrong")).json()["reason"] == "wrong_password"
    refused = await login(client)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    house.clocks.now += PasswordAttempts.WINDOW_SECONDS + 1
    assert (await login(client)).status_code == 204


async def test_a_password_never_comes_back_in_an_answer(house: House) -> None:
    client = house.browser(house.service(page_password=PASSWORD))
    for body in ({"password": "hunter2" * 200}, {"password": ["hunter2"]}, {"password": "x", "hunter2": 1}):
        answer = await client.post("/api/login", json=body)
        assert answer.status_code == 422
        assert "hunter2hunter2" not in answer.text
        assert "['hunter2']" not in answer.text


async def test_no_secret_reaches_the_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    service = house.service(page_password=PASSWORD)
    client = house.browser(service)
    await login(client)
    await login(client, "a wrong password")
    seat = (await client.post("/api/session", json={"name": "Anna", "channel": "c"})).json()
    token = house.token(room_record=True)
    await client.get("/api/recordings", headers=bearer(token))
    await client.get("/api/recordings", headers=bearer("not-a-token"))
    await start(client)
    await service.close()
    logged = caplog.text + repr(service.settings)
    for secret in (PASSWORD, "a wrong password", seat["token"], token, CERTIFICATE, client.cookies[COOKIE]):
        assert secret not in logged


# The parts


@given(text=st.text(max_size=100))
def test_no_text_is_a_cookie_unless_it_was_signed(text: str) -> None:
    sessions = PageSessions(PASSWORD, CERTIFICATE)
    assert not sessions.is_cookie(text, 0.0)
    good = sessions.make_cookie(0.0)
    assert sessions.is_cookie(good, 1.0)
    assert text in ("", good[-1:]) or not sessions.is_cookie(good[:-1] + text, 1.0)


@given(text=st.text(max_size=60))
def test_any_host_header_has_a_name_or_none(text: str) -> None:
    assert isinstance(host_name(text), str)


def test_attempts_are_remembered_for_a_bounded_number_of_addresses() -> None:
    attempts = PasswordAttempts()
    for number in range(PasswordAttempts.MAX_ADDRESSES + 50):
        attempts.failed(str(number), 0.0)
    assert len(attempts._failures) == PasswordAttempts.MAX_ADDRESSES
