"""The page's files as the service gives them out."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.service.conftest import House

SCRIPT = "export const answer = 42;\n" * 100
POLICY_PARTS = (
    "default-src 'none'",
    "script-src 'self'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
)


@pytest.fixture
def page(house: House, tmp_path: Path) -> httpx.AsyncClient:
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>page</title>")
    (folder / "docs.html").write_text("<!doctype html><title>docs</title>")
    (folder / "main.js").write_text(SCRIPT)
    (folder / "notes.md").write_text("not for the page")
    (tmp_path / "secret.js").write_text("secret")
    house.page_folder = folder
    return house.browser(house.service())


async def test_the_page_and_its_strict_policy(page: httpx.AsyncClient) -> None:
    answer = await page.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    for part in POLICY_PARTS:
        assert part in policy
    assert "connect-src 'self' ws://localhost:7880 wss://localhost:7880;" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_host_header_cannot_write_the_policy(house: House, page: httpx.AsyncClient) -> None:
    for host in ("evil; script-src *", "a,b", "x y"):
        answer = await page.get("/", headers={"Host": host})
        assert "connect-src 'self';" in answer.headers["content-security-policy"]


async def test_official_clients_find_the_server_at_its_root(page: httpx.AsyncClient) -> None:
    assert (await page.head("/")).status_code == 200


async def test_scripts_come_compressed_and_only_when_they_changed(page: httpx.AsyncClient) -> None:
    answer = await page.get("/page/main.js", headers={"Accept-Encoding": "gzip"})
    assert answer.text == SCRIPT
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < len(SCRIPT) / 4
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    again = await page.get(
        "/page/main.js", headers={"Accept-Encoding": "gzip", "If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304
    plain = await page.get("/page/main.js", headers={"Accept-Encoding": "identity"})
    assert plain.text == SCRIPT
    assert "content-encoding" not in plain.headers
    assert plain.headers["etag"] != answer.headers["etag"]


@pytest.mark.parametrize("name", ["notes.md", "..%2fsecret.js", "../secret.js", "other.js", ".", "main.js%00"])
async def test_nothing_else_is_given_out(page: httpx.AsyncClient, name: str) -> None:
    answer = await page.get(f"/page/{name}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


async def test_the_api_is_described_here(page: httpx.AsyncClient) -> None:
    assert "docs" in (await page.get("/docs")).text
    description = (await page.get("/api/openapi.json")).json()
    assert "/api/recordings/{id}/stop" in description["paths"]
    assert description["components"]["schemas"]["StartRecording"]["properties"]["channel"]["maxLength"] == 256


async def test_without_a_built_page_the_server_says_how_to_build_it(house: House) -> None:
    answer = await house.browser(house.service()).get("/")
    assert answer.status_code == 200
    assert "build_page.py" in answer.text


async def test_addresses_that_are_none(page: httpx.AsyncClient) -> None:
    for path in ("/api", "/api/nothing", "/nothing"):
        answer = await page.get(path)
        assert answer.status_code == 404
        assert answer.json()["detail"] == "there is nothing at this address"
    assert (await page.post("/api/service", json={})).status_code == 405
