"""Recordings over HTTP: started, told, stopped, and found again after a restart."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from channel_recorder.errors import (
    ErrorCode,
    JoinError,
    RecorderError,
    ServerUnreachableError,
    StatusCode,
    StorageError,
    TokenError,
    UidInUseError,
)
from channel_recorder.handler import LeavePath
from channel_recorder.model import User
from channel_recorder.service.app import Service
from tests.service.conftest import House

ANNA = User(uid=7, account="7")
BO = User(uid=3_000_000_001, account="Bo")


async def start(client: httpx.AsyncClient, channel: str = "lesson-7", **settings: object) -> dict[str, object]:
    answer = await client.post("/api/recordings", json={"channel": channel, **settings})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def settle() -> None:
    """Ended recordings leave the pool in one of the loop's next rounds."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_started_recording_is_told_and_has_an_address(house: House, client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/recordings", json={"channel": "lesson-7"})
    assert answer.status_code == 201
    recording = answer.json()
    assert recording["channel"] == "lesson-7"
    assert recording["state"] == "recording"
    assert recording["mode"] == "individual"
    assert recording["started_at"] == "2026-11-24T12:00:00Z"
    assert recording["can_stop"] is True
    assert recording["users"] == []
    assert answer.headers["location"] == f"/api/recordings/{recording['id']}"
    assert (await client.get(answer.headers["location"])).json() == recording
    assert house.engines.last.calls == ["join lesson-7"]


async def test_its_length_grows_and_its_users_and_files_appear(house: House, client: httpx.AsyncClient) -> None:
    recording = await start(client)
    house.engines.last.begin_file(ANNA, b"x" * 100)
    house.engines.last.begin_file(BO, b"y" * 50)
    house.clocks.now += 61
    now = (await client.get(f"/api/recordings/{recording['id']}")).json()
    assert now["duration"] == 61
    assert now["users"] == [{"uid": 3_000_000_001, "account": "Bo"}, {"uid": 7, "account": "7"}]
    assert (now["file_count"], now["bytes"]) == (2, 150)


async def test_settings_reach_the_recorder(house: House, client: httpx.AsyncClient) -> None:
    await start(client, is_audio_only=True, audio_codec="aac", idle_limit_sec=30, stream_type=1)
    config = house.engines.last.config
    assert config is not None
    assert config.is_audio_only
    assert (config.audio_codec, config.idle_limit_sec, config.stream_type) == ("aac", 30, 1)
    assert config.record_file_root_dir == house.root


async def test_stop_answers_when_every_file_is_whole(house: House, client: httpx.AsyncClient) -> None:
    recording = await start(client)
    path = house.engines.last.begin_file(ANNA, b"media")
    house.engines.last.end_file(path, ANNA)
    stopped = (await client.post(f"/api/recordings/{recording['id']}/stop", json={})).json()
    assert stopped["state"] == "finished"
    assert stopped["reason"] == "left"
    assert stopped["duration"] == 12.5
    assert stopped["can_stop"] is False
    assert stopped["users"] == [{"uid": 7, "account": "7"}]
    assert (path.parent / "recording2-done.txt").exists()
    assert house.engines.last.calls == ["join lesson-7", "leave", "release"]


async def test_stopping_again_changes_nothing(client: httpx.AsyncClient) -> None:
    recording = await start(client)
    first = await client.post(f"/api/recordings/{recording['id']}/stop", json={})
    again = await client.post(f"/api/recordings/{recording['id']}/stop", json={})
    assert again.status_code == 200
    assert again.json() == first.json()


async def test_a_channel_is_recorded_once_at_a_time(house: House, client: httpx.AsyncClient) -> None:
    recording = await start(client)
    again = await client.post("/api/recordings", json={"channel": "lesson-7"})
    assert again.status_code == 409
    assert again.headers["content-type"] == "application/problem+json"
    assert again.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "the channel 'lesson-7' is being recorded already",
        "reason": "already_recording",
        "code": 1,
    }
    await client.post(f"/api/recordings/{recording['id']}/stop", json={})
    assert (await start(client))["id"] != recording["id"]


async def test_two_who_start_at_the_same_moment_get_one_recording(house: House, client: httpx.AsyncClient) -> None:
    house.engines.join_gate = asyncio.Event()
    asked = [asyncio.create_task(client.post("/api/recordings", json={"channel": "c"})) for _ in range(2)]
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    house.engines.join_gate.set()
    assert sorted([(await task).status_code for task in asked]) == [201, 409]


async def test_no_more_recordings_than_allowed(house: House) -> None:
    client = house.browser(house.service(max_recordings=2))
    await start(client, "a")
    await start(client, "b")
    refused = await client.post("/api/recordings", json={"channel": "c"})
    assert refused.status_code == 503
    assert refused.json()["reason"] == "too_many_recordings"


async def test_composite_is_not_there_yet_and_says_so(house: House, client: httpx.AsyncClient) -> None:
    refused = await client.post("/api/recordings", json={"channel": "c", "mode": "composite"})
    assert refused.status_code == 501
    assert refused.json()["reason"] == "mode_not_there"
    assert (await client.get("/api/service")).json()["modes"] == ["individual"]
    assert house.engines.made == []


@pytest.mark.parametrize(
    ("error", "status", "reason", "code"),
    [
        (ServerUnreachableError("nothing answers"), 502, "server_unreachable", 1),
        (TokenError("no"), 502, "server_refused", 110),
        (JoinError("no"), 502, "server_refused", 1),
        (UidInUseError("taken"), 409, "uid_in_use", 123),
        (StorageError("the disk is full"), 507, "storage", 1),
        (RecorderError("odd", code=ErrorCode.INTERNAL), 500, "failed", 3),
    ],
)
async def test_a_join_that_fails_is_told_with_the_classic_code(
    house: House, client: httpx.AsyncClient, error: RecorderError, status: int, reason: str, code: int
) -> None:
    house.engines.join_error = error
    refused = await client.post("/api/recordings", json={"channel": "c"})
    assert refused.status_code == status
    assert (refused.json()["reason"], refused.json()["code"]) == (reason, code)
    assert refused.json()["detail"] == str(error)
    assert house.engines.last.calls[-1] == "release"
    house.engines.join_error = None
    await start(client, "c")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "channel"),
        ({"channel": ""}, "channel"),
        ({"channel": "a/b"}, "channel name"),
        ({"channel": "../../etc"}, "channel name"),
        ({"channel": "c" * 65}, "65 bytes"),
        ({"channel": "c", "record_file_root_dir": "/etc"}, "record_file_root_dir is not known here"),
        ({"channel": "c", "idle_limit_sec": 0}, "idle_limit_sec"),
        ({"channel": "c", "is_audio_only": True, "is_video_only": True}, "records nothing"),
        ({"channel": "c", "subscribe_video_uids": [7]}, "auto_subscribe"),
    ],
)
async def test_bad_wishes_are_refused_before_anything_happens(
    house: House, client: httpx.AsyncClient, body: dict[str, object], said: str
) -> None:
    refused = await client.post("/api/recordings", json=body)
    assert refused.status_code == 422
    assert said in refused.json()["detail"]
    assert house.engines.made == []


async def test_what_goes_wrong_while_it_runs_is_told(house: House, client: httpx.AsyncClient) -> None:
    recording = await start(client)
    house.engines.last.handler.on_error(ErrorCode.GENERIC, StatusCode.FROM_ENGINE, "the disk is full")
    now = (await client.get(f"/api/recordings/{recording['id']}")).json()
    assert now["problems"] == ["the disk is full"]


async def test_a_recording_that_ends_by_itself_is_finished(house: House, client: httpx.AsyncClient) -> None:
    recording = await start(client)
    house.engines.last.end(LeavePath.NOBODY_LEFT, reason="idle")
    await settle()
    now = (await client.get(f"/api/recordings/{recording['id']}")).json()
    assert (now["state"], now["reason"]) == ("finished", "idle")
    assert house.engines.last.calls[-1] == "release"
    await start(client)


async def test_a_restart_forgets_nothing(house: House, service: Service, client: httpx.AsyncClient) -> None:
    first = await start(client, "a")
    house.engines.last.begin_file(ANNA, b"x")
    await client.post(f"/api/recordings/{first['id']}/stop", json={})
    second = await start(client, "b")
    await service.close()
    after = house.browser(house.service())
    page = (await after.get("/api/recordings")).json()
    assert [(one["id"], one["state"]) for one in page["recordings"]] == [
        (second["id"], "finished"),
        (first["id"], "finished"),
    ]


async def test_a_killed_recording_is_interrupted_and_has_its_files(house: House, client: httpx.AsyncClient) -> None:
    recording = await start(client)
    path = house.engines.last.begin_file(BO, b"media")
    house.clocks.unix = path.stat().st_mtime + 60
    after = house.browser(house.service())
    now = (await after.get(f"/api/recordings/{recording['id']}")).json()
    assert now["state"] == "interrupted"
    assert now["duration"] is None
    assert now["users"] == [{"uid": 3_000_000_001, "account": "Bo"}]
    files = (await after.get(f"/api/recordings/{recording['id']}/files")).json()["files"]
    assert files[0]["account"] == "Bo"
    assert files[0]["is_complete"] is False


async def test_a_recording_of_another_process_is_seen_and_cannot_be_stopped(
    house: House, client: httpx.AsyncClient
) -> None:
    recording = await start(client)
    path = house.engines.last.begin_file(BO, b"media")
    house.clocks.unix = path.stat().st_mtime + 5
    other = house.browser(house.service())
    now = (await other.get(f"/api/recordings/{recording['id']}")).json()
    assert (now["state"], now["can_stop"]) == ("recording", False)
    refused = await other.post(f"/api/recordings/{recording['id']}/stop", json={})
    assert (refused.status_code, refused.json()["reason"]) == (409, "recorded_elsewhere")


async def test_lists_come_in_pages_newest_first(house: House, client: httpx.AsyncClient) -> None:
    ids = [(await start(client, f"channel {number}"))["id"] for number in range(5)]
    seen: list[object] = []
    before = ""
    while True:
        page = (await client.get("/api/recordings", params={"limit": 2, "before": before})).json()
        seen += [one["id"] for one in page["recordings"]]
        assert len(page["recordings"]) <= 2
        if page["next"] is None:
            break
        before = page["next"]
    assert seen == ids[::-1]


async def test_lists_can_be_of_one_channel(client: httpx.AsyncClient) -> None:
    await start(client, "a")
    wanted = await start(client, "b")
    page = (await client.get("/api/recordings", params={"channel": "b"})).json()
    assert [one["id"] for one in page["recordings"]] == [wanted["id"]]


async def test_closing_ends_every_recording_and_refuses_new_ones(
    house: House, service: Service, client: httpx.AsyncClient
) -> None:
    for channel in ("a", "b", "c"):
        await start(client, channel)
    await service.close()
    assert [engine.calls[1:] for engine in house.engines.made] == [["leave", "release"]] * 3
    page = (await client.get("/api/recordings")).json()
    assert {one["state"] for one in page["recordings"]} == {"finished"}
    refused = await client.post("/api/recordings", json={"channel": "d"})
    assert (refused.status_code, refused.json()["reason"]) == (503, "closing")


async def test_closing_gives_up_a_join_under_way(house: House, service: Service, client: httpx.AsyncClient) -> None:
    house.engines.join_gate = asyncio.Event()
    asked = asyncio.create_task(client.post("/api/recordings", json={"channel": "c"}))
    await house.engines.asked.wait()
    await service.close()
    assert (await asked).status_code == 409
    assert house.engines.last.calls == ["join c", "leave", "release"]


@pytest.mark.parametrize("id", ["nothing", "20261124-120000-000000-000000000000", "..", "20261124-120000-000000-zz"])
async def test_a_recording_that_is_not_there(client: httpx.AsyncClient, id: str) -> None:
    await start(client)
    for path in ("", "/files"):
        answer = await client.get(f"/api/recordings/{id}{path}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await client.post(f"/api/recordings/{id}/stop", json={})).status_code == 404


async def test_foreign_folders_below_the_root_are_left_out(house: House, client: httpx.AsyncClient) -> None:
    for name in ("20261124/notes", "20261124/lesson_99", "backup/c_120000_000000000", "99999999/c_120000_000000000"):
        (house.root / name).mkdir(parents=True)
    (house.root / "20261124" / "c_120000_000000000").write_text("a file of that name")
    recording = await start(client)
    page = (await client.get("/api/recordings")).json()
    assert [one["id"] for one in page["recordings"]] == [recording["id"]]


async def test_a_manifest_that_is_none_leaves_the_recording_listed(house: House, client: httpx.AsyncClient) -> None:
    recording = await start(client)
    path = house.engines.last.begin_file(ANNA, b"media")
    house.clocks.unix = path.stat().st_mtime + 60
    house.engines.last.ledger.directory.manifest_path.write_text('{"version": 1, "files": 5}')
    other = house.browser(house.service())
    now = (await other.get(f"/api/recordings/{recording['id']}")).json()
    assert (now["state"], now["file_count"]) == ("interrupted", 1)
