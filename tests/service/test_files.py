"""The files of a recording over HTTP: parts, conditions, growth, and nothing that is not theirs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channel_recorder.model import User
from channel_recorder.service.file_response import Span, UnsatisfiableRangeError, parse_range
from channel_recorder.service.library import Entry, Library, open_file
from tests.service.conftest import House

ANNA = User(uid=7, account="7")
BO = User(uid=3_000_000_001, account="Bo <b>")
CONTENT = bytes(range(256)) * 4
NAME = "7_20261124120000500.webm"


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
async def recording(client: httpx.AsyncClient, house: House) -> dict[str, Any]:
    """A running one with a file of 1024 bytes that grows."""
    answer = await client.post("/api/recordings", json={"channel": "lesson 7"})
    house.engines.last.begin_file(ANNA, CONTENT)
    return answer.json()


@pytest.fixture
def folder(house: House, recording: dict[str, Any]) -> Path:
    return house.engines.last.ledger.directory.path


@pytest.fixture
def url(recording: dict[str, Any]) -> str:
    return f"/api/recordings/{recording['id']}/files/{NAME}"


async def test_files_are_listed_with_who_and_what(
    house: House, client: httpx.AsyncClient, recording: dict[str, Any], url: str, folder: Path
) -> None:
    house.engines.last.end_file(folder / NAME, ANNA, duration=9.25)
    house.engines.last.begin_file(BO, b"screen", at=2.0)
    files = (await client.get(f"/api/recordings/{recording['id']}/files")).json()["files"]
    media = [file for file in files if file["kind"] == "media"]
    assert [file["account"] for file in media] == ["7", "Bo <b>"]
    assert [file["is_complete"] for file in media] == [True, False]
    closed = media[0]
    assert closed["name"] == NAME
    assert closed["url"] == url
    assert closed["content_type"] == "video/webm"
    assert closed["started_at"] == "2026-11-24T12:00:00.500000Z"
    assert (closed["bytes"], closed["duration"], closed["source"]) == (1024, 9.25, "camera")
    assert [(stream["kind"], stream["codec"]) for stream in closed["streams"]] == [("video", "vp8"), ("audio", "opus")]
    logs = [file["name"] for file in files if file["kind"] == "log"]
    assert "journal.jsonl" in logs
    assert not any(name.startswith(".") for name in logs)


async def test_a_finished_recording_tells_what_its_manifest_says(
    house: House, client: httpx.AsyncClient, recording: dict[str, Any], folder: Path
) -> None:
    house.engines.last.end_file(folder / NAME, ANNA)
    await client.post(f"/api/recordings/{recording['id']}/stop", json={})
    files = (await client.get(f"/api/recordings/{recording['id']}/files")).json()["files"]
    assert files[0]["is_complete"] is True
    assert len(files[0]["sha256"]) == 64
    assert files[0]["streams"][0] == {"kind": "video", "codec": "vp8", "width": 640, "height": 360}


async def test_the_whole_file(client: httpx.AsyncClient, url: str) -> None:
    answer = await client.get(url)
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["content-type"] == "video/webm"
    assert answer.headers["content-length"] == "1024"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"].startswith("inline")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_head_tells_the_size_without_the_content(client: httpx.AsyncClient, url: str) -> None:
    answer = await client.head(url)
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["content-length"] == "1024"
    assert answer.headers["etag"]


async def test_download_saves_it_under_its_name(client: httpx.AsyncClient, url: str) -> None:
    answer = await client.get(url, params={"download": "1"})
    assert answer.headers["content-disposition"] == f"attachment; filename*=utf-8''{NAME}"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-", 0, 1024), ("bytes=100-199", 100, 200), ("bytes=1000-5000", 1000, 1024), ("bytes=-24", 1000, 1024)],
)
async def test_a_part(client: httpx.AsyncClient, url: str, asked: str, start: int, end: int) -> None:
    answer = await client.get(url, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == CONTENT[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/1024"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=4000-5000", "bytes=-0"])
async def test_a_part_behind_the_end(client: httpx.AsyncClient, url: str, asked: str) -> None:
    answer = await client.get(url, headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */1024"


@pytest.mark.parametrize("asked", ["", "bytes", "bytes=-", "bytes=a-b", "bytes=9-3", "lines=1-2", "bytes=0-1,5-6"])
async def test_what_is_no_part_gets_the_whole(client: httpx.AsyncClient, url: str, asked: str) -> None:
    answer = await client.get(url, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, CONTENT)


async def test_a_file_that_grows_has_another_tag_and_more_to_read(
    client: httpx.AsyncClient, url: str, folder: Path
) -> None:
    first = await client.get(url)
    with (folder / NAME).open("ab") as file:
        file.write(b"more")
    rest = await client.get(url, headers={"Range": "bytes=1024-"})
    assert (rest.status_code, rest.content) == (206, b"more")
    assert rest.headers["content-range"] == "bytes 1024-1027/1028"
    assert rest.headers["etag"] != first.headers["etag"]


async def test_what_the_browser_has_is_not_sent_again(client: httpx.AsyncClient, url: str) -> None:
    tag = (await client.get(url)).headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        answer = await client.get(url, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")


async def test_a_part_of_what_has_changed_is_the_whole(client: httpx.AsyncClient, url: str, folder: Path) -> None:
    tag = (await client.get(url)).headers["etag"]
    same = await client.get(url, headers={"Range": "bytes=0-9", "If-Range": tag})
    assert same.status_code == 206
    with (folder / NAME).open("ab") as file:
        file.write(b"more")
    changed = await client.get(url, headers={"Range": "bytes=0-9", "If-Range": tag})
    assert (changed.status_code, changed.content) == (200, CONTENT + b"more")


async def test_files_leave_no_descriptor_open(client: httpx.AsyncClient, url: str) -> None:
    before = open_descriptors()
    for headers in ({}, {"Range": "bytes=5-6"}, {"Range": "bytes=9999-"}):
        await client.get(url, headers=headers)
        await client.head(url, headers=headers)
    tag = (await client.get(url)).headers["etag"]
    await client.get(url, headers={"If-None-Match": tag})
    assert open_descriptors() == before


@pytest.mark.parametrize(
    "name",
    [
        "../secret.txt",
        "..%2fsecret.txt",
        "%2e%2e%2fsecret.txt",
        "..%5csecret.txt",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        ".uid_7_20261124120000500.txt",
        "notes.txt",
        "7_20261124120000500.webm%00.txt",
        "7_20261124120000501.webm",
        "",
    ],
)
async def test_names_that_are_no_file_of_the_recording(
    client: httpx.AsyncClient, recording: dict[str, Any], folder: Path, name: str
) -> None:
    (folder / "notes.txt").write_text("not of the recorder")
    (folder.parent / "secret.txt").write_text("secret")
    raw = f"/api/recordings/{recording['id']}/files/{name}".encode()
    url = httpx.URL("http://localhost:7880/").copy_with(raw_path=raw)
    answer = await client.send(httpx.Request("GET", url, headers={"Host": "localhost:7880"}))
    assert answer.status_code in (307, 404)
    assert "secret" not in answer.text


async def test_links_out_of_the_folder_are_not_followed(
    client: httpx.AsyncClient, recording: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.webm"
    outside.write_bytes(b"secret")
    (folder / "8_20261124120000500.webm").symlink_to(outside)
    answer = await client.get(f"/api/recordings/{recording['id']}/files/8_20261124120000500.webm")
    assert answer.status_code == 404
    files = (await client.get(f"/api/recordings/{recording['id']}/files")).json()["files"]
    assert "8_20261124120000500.webm" not in [file["name"] for file in files]


async def test_folders_that_are_links_are_no_recordings(
    house: House, client: httpx.AsyncClient, folder: Path, tmp_path: Path
) -> None:
    foreign = tmp_path / "20260101" / "c_120000_000000000"
    foreign.mkdir(parents=True)
    (house.root / "20260101").symlink_to(foreign.parent)
    (folder.parent / "d_120000_000000000").symlink_to(foreign)
    assert len((await client.get("/api/recordings")).json()["recordings"]) == 1


async def test_pipes_and_folders_of_a_files_name_are_none(
    client: httpx.AsyncClient, recording: dict[str, Any], folder: Path
) -> None:
    os.mkfifo(folder / "8_20261124120000500.webm")
    (folder / "9_20261124120000500.webm").mkdir()
    for uid in (8, 9):
        answer = await client.get(f"/api/recordings/{recording['id']}/files/{uid}_20261124120000500.webm")
        assert answer.status_code == 404


async def test_files_of_another_recording_are_not_reached(
    house: House, client: httpx.AsyncClient, recording: dict[str, Any]
) -> None:
    other = (await client.post("/api/recordings", json={"channel": "other"})).json()
    answer = await client.get(f"/api/recordings/{other['id']}/files/{NAME}")
    assert answer.status_code == 404


async def test_a_journal_with_strange_facts_still_lists_the_files(
    house: House, client: httpx.AsyncClient, recording: dict[str, Any], folder: Path
) -> None:
    lines = [
        f'{{"at":0,"fact":"file_closed","name":"{NAME}","duration":"long","account":["x"],"streams":{{"a":1}}}}',
        '{"at":0,"fact":"file_created","name":5}',
        '{"at":0,"fact":"file_closed"}',
        "{cut",
    ]
    with (folder / "journal.jsonl").open("a") as journal:
        journal.write("\n".join(lines))
    after = house.browser(house.service())
    assert (await after.get(f"/api/recordings/{recording['id']}")).json()["users"] == [{"uid": 7, "account": ""}]
    files = (await after.get(f"/api/recordings/{recording['id']}/files")).json()["files"]
    assert (files[0]["name"], files[0]["is_complete"]) == (NAME, False)


# Foreign text


@given(name=st.text(max_size=60) | st.from_regex(r"(\.\./|/|%2e|\\|[0-9_.a-z]){1,20}", fullmatch=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_no_name_leaves_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "20261124" / "c_120000_000000000"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(b"mine")
    (tmp_path / "secret.txt").write_text("secret")
    descriptor = open_file(Entry.of(folder), name)
    if descriptor is not None:
        assert name == NAME
        assert os.pread(descriptor, 10, 0) == b"mine"
        os.close(descriptor)


@given(id=st.text(max_size=60) | st.from_regex(r"[0-9]{8}-[0-9]{6}-[0-9]{6}-[0-9a-f]{12}", fullmatch=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_id_finds_what_is_not_there(tmp_path: Path, id: str) -> None:
    (tmp_path / "20261124" / "c_120000_000000000").mkdir(parents=True, exist_ok=True)
    found = Library(tmp_path).find(id)
    assert found is None or found.id == id


@given(channel=st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40))
def test_every_directory_has_an_id_of_its_own(channel: str) -> None:
    entry = Entry.of(Path("/r/20261124") / f"{channel}_120000_000001000")
    assert entry.id.startswith("20261124-120000-000001-")
    assert entry.channel == channel
    assert quote(entry.id) == entry.id


@given(header=st.text(max_size=40) | st.from_regex(r"bytes=[0-9]{0,20}-[0-9]{0,20}", fullmatch=True))
@settings(max_examples=300)
def test_any_range_header_is_a_part_of_the_file_or_none(header: str) -> None:
    for size in (0, 1, 1000):
        try:
            span = parse_range(header, size)
        except UnsatisfiableRangeError:
            continue
        assert span is None or 0 <= span.start < span.end <= size


def test_ranges() -> None:
    assert parse_range(None, 10) is None
    assert parse_range("bytes=0-0", 10) == Span(0, 1)
    assert parse_range("Bytes=5-", 10) == Span(5, 10)
    assert parse_range("bytes=-100", 10) == Span(0, 10)
