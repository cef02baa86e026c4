"""The page in a real browser: two people join, talk, write, record, stop, and play back what was recorded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Browser, Page

from testbed import sound
from testbed.browser import PAGE as SYNTHETIC_DEVICES
from testbed.chromium import chromium
from testbed.readback import Playback, read_back
from testbed.server_process import ServerProcess
from tests.interop.checks import check_decodes

CHANNEL = "page lesson"
TONES = {"Anna Berg": 440, "Bo": 660}
RECORDED_SECONDS = 6
MESSAGE = "Can you hear me? <b>& yes</b>"
MAX_OFFSET_SECONDS = 0.08
"""A page that encodes three layers on a busy machine is late by itself."""
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}
LIMIT_MS = 20_000
FLAGS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--auto-select-desktop-capture-source=Entire screen",
)
DEVICES = """
navigator.mediaDevices.getUserMedia = async ({ audio, video }) => {
  const context = (globalThis.testbedAudio ??= new AudioContext());
  const tracks = [];
  if (video) tracks.push(new Camera(context, 640, 360, 15).track);
  if (audio) tracks.push(new Microphone(context, HZ).track);
  return new MediaStream(tracks);
};
globalThis.readCounter = (video) => new Reader().read(video);
"""
"""Instead of the browser's own fakes: a counter in every picture, a tone for everybody."""


def devices_script(hz: int) -> str:
    sources = [(SYNTHETIC_DEVICES / name).read_text() for name in ("marks.js", "devices.js")]
    plain = [re.sub(r"^import .*$|^export ", "", source, flags=re.MULTILINE) for source in sources]
    return f"(() => {{ const HZ = {hz};\n" + "\n".join(plain) + DEVICES + "})();"


@dataclass
class Visit:
    """A page, and what its browser had to say of it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    """Whom it asked for anything."""

    @classmethod
    async def begin(cls, browser: Browser, server: ServerProcess, size: dict[str, int], **options: Any) -> Visit:
        context = await browser.new_context(
            base_url=f"http://127.0.0.1:{server.port}",
            viewport={"width": size["width"], "height": size["height"]},
            permissions=["camera", "microphone", "clipboard-read", "clipboard-write"],
            **options,
        )
        page = await context.new_page()
        page.set_default_timeout(LIMIT_MS)
        visit = cls(page)
        page.on("console", lambda message: visit.note(message.type, message.text))
        page.on("pageerror", lambda error: visit.note("error", f"uncaught: {error}"))
        page.on("request", lambda request: visit.hosts.add(urlsplit(request.url).netloc))
        page.on("websocket", lambda socket: visit.hosts.add(urlsplit(socket.url).netloc))
        return visit

    def note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"{kind}: {text}")

    async def arrive(self, name: str, channel: str = CHANNEL) -> None:
        """To the call, by the keyboard alone."""
        await self.page.add_init_script(devices_script(TONES.get(name, 880)))
        await self.page.goto(f"/?channel={channel}")
        await self.until("!document.querySelector('#preview-video').hidden")
        await self.page.locator("#name:focus").wait_for()
        await self.page.keyboard.type(name)
        await self.page.keyboard.press("Enter")
        await self.page.locator("#call").wait_for()

    async def picture_of(self, name: str) -> tuple[int, int]:
        """Two counters that its tile shows, half a second apart."""
        tile = f'.tile[data-identity="{name}"] video'
        await self.until(f"readCounter(document.querySelector('{tile}')) !== null")
        first = await self.page.evaluate(f"readCounter(document.querySelector('{tile}'))")
        await self.until(f"readCounter(document.querySelector('{tile}')) > {first} + 5")
        return first, await self.page.evaluate(f"readCounter(document.querySelector('{tile}'))")

    async def until(self, expression: str) -> None:
        """Until it is true. Playwright's own way is forbidden by the page's Content-Security-Policy."""
        async with asyncio.timeout(LIMIT_MS / 1000):
            while not await self.page.evaluate(expression):  # noqa: ASYNC110 - a page tells nothing unasked
                await asyncio.sleep(0.05)

    async def text(self, selector: str) -> str:
        return (await self.page.locator(selector).first.inner_text()).strip()


@dataclass
class Lesson:
    """What was seen of the call."""

    pictures: dict[str, tuple[int, int]] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    """The text of the recording mark, by who sees it."""
    facts: dict[str, Any] = field(default_factory=dict)
    complaints: dict[str, list[str]] = field(default_factory=dict)
    hosts: set[str] = field(default_factory=set)
    recording: dict[str, Any] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    playbacks: dict[str, Playback] = field(default_factory=dict)
    """By account."""
    log: str = ""


@asynccontextmanager
async def two_people(server: ServerProcess) -> AsyncGenerator[tuple[Visit, Visit]]:
    async with chromium(*FLAGS) as browser:
        anna = await Visit.begin(browser, server, DESKTOP)
        bo = await Visit.begin(browser, server, PHONE, has_touch=True, color_scheme="dark")
        yield anna, bo


async def hold_lesson(server: ServerProcess) -> Lesson:
    lesson = Lesson()
    async with two_people(server) as (anna, bo):
        await anna.arrive("Anna Berg")
        lesson.facts["alone"] = await anna.text("#alone")
        await bo.arrive("Bo")
        lesson.pictures = {
            "Bo at Anna's": await anna.picture_of("Bo"),
            "Anna at Bo's": await bo.picture_of("Anna Berg"),
        }
        await record(anna, bo, lesson)
        await look_at_what_was_recorded(anna, lesson)
        await leave(anna, bo, lesson)
        lesson.complaints = {"Anna": anna.complaints, "Bo": bo.complaints}
        lesson.hosts = anna.hosts | bo.hosts
    await fetch_recording(server, lesson)
    lesson.log = server.log_path.read_text()
    return lesson


async def record(anna: Visit, bo: Visit, lesson: Lesson) -> None:
    await anna.page.keyboard.press("r")
    for name, visit in (("Anna", anna), ("Bo", bo)):
        await visit.page.locator("#rec-mark").wait_for()
        await visit.until("/[0-9]:[0-9]/.test(document.querySelector('#rec-mark').innerText)")
        lesson.marks[name] = await visit.text("#rec-mark")
    await write(bo, anna, lesson)
    await asyncio.sleep(RECORDED_SECONDS)
    lesson.facts["Bo can stop"] = await bo.page.get_by_role("button", name="Stop recording").is_enabled()
    await bo.page.get_by_role("button", name="Turn microphone off").click()
    await anna.page.locator('.tile[data-identity="Bo"] .muted').wait_for()
    await anna.page.keyboard.press("r")
    await anna.page.get_by_text("The recording is saved.").wait_for()
    await bo.page.locator("#rec-mark").wait_for(state="hidden")


async def write(sender: Visit, receiver: Visit, lesson: Lesson) -> None:
    await sender.page.get_by_role("button", name="Chat").click()
    await sender.page.locator("#chat-text").fill(MESSAGE)
    await sender.page.keyboard.press("Enter")
    await receiver.page.locator(".badge").wait_for()
    await receiver.page.keyboard.press("c")
    lesson.facts["message"] = await receiver.text(".message p")
    lesson.facts["sender"] = await receiver.text(".message strong")
    await receiver.page.keyboard.press("Escape")
    await sender.page.keyboard.press("Escape")


async def look_at_what_was_recorded(anna: Visit, lesson: Lesson) -> None:
    page = anna.page
    await page.get_by_role("button", name="Watch").click()
    await page.locator(".file").nth(1).wait_for()
    lesson.facts["listed"] = await page.locator(".file-who").all_inner_texts()
    await page.get_by_role("button", name="Play Bo").click()
    await anna.until("document.querySelector('.file-player video')?.currentTime > 1")
    lesson.facts["played counter"] = await page.evaluate("readCounter(document.querySelector('.file-player video'))")
    await page.evaluate("document.querySelector('.file-player video').currentTime = 4")
    await anna.until("document.querySelector('.file-player video').currentTime > 4.2")
    await page.get_by_role("button", name="Play Bo").click()
    await page.get_by_role("button", name="together").click()
    await anna.until("[...document.querySelectorAll('.together video')].every((video) => video.currentTime > 1.5)")
    places = "[...document.querySelectorAll('.together video')].map((video) => [video.currentTime, readCounter(video)])"
    lesson.facts["together"] = await page.evaluate(places)


async def leave(anna: Visit, bo: Visit, lesson: Lesson) -> None:
    await anna.page.get_by_role("button", name="Leave the call").click()
    await anna.page.locator("#join-form").wait_for()
    await bo.page.locator('.tile[data-identity="Anna Berg"]').wait_for(state="detached")
    lesson.facts["left"] = await bo.text("#call-count")
    await anna.page.goto("/#recordings")
    await anna.page.locator(".recording-head").first.wait_for()
    lesson.facts["in the lobby"] = await anna.text(".recording-head")


async def fetch_recording(server: ServerProcess, lesson: Lesson) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        page = (await client.get("/api/recordings", params={"channel": CHANNEL})).json()
        lesson.recording = page["recordings"][0]
        files = (await client.get(f"/api/recordings/{lesson.recording['id']}/files")).json()["files"]
        lesson.files = [file for file in files if file["kind"] == "media"]
        for file in lesson.files:
            content = (await client.get(file["url"])).content
            path = server.folder / file["name"]
            path.write_bytes(content)
            lesson.playbacks[file["account"]] = await asyncio.to_thread(read_back, path)


@pytest.fixture(scope="module")
def lesson(embedded_server: ServerProcess) -> Lesson:
    return asyncio.run(hold_lesson(embedded_server))


def test_both_see_each_other(lesson: Lesson) -> None:
    assert set(lesson.pictures) == {"Bo at Anna's", "Anna at Bo's"}
    for first, later in lesson.pictures.values():
        assert first < later


def test_who_is_alone_gets_a_link_for_others(lesson: Lesson) -> None:
    assert "only one here" in lesson.facts["alone"]


def test_everybody_sees_that_the_call_is_recorded_and_for_how_long(lesson: Lesson) -> None:
    for mark in lesson.marks.values():
        assert re.fullmatch(r"Recording\s+0:0[0-9]", mark)
    assert lesson.facts["Bo can stop"] is True


def test_messages_arrive_as_they_were_typed(lesson: Lesson) -> None:
    assert lesson.facts["message"] == MESSAGE
    assert lesson.facts["sender"] == "Bo"


def test_the_recording_has_a_file_of_each(lesson: Lesson) -> None:
    assert lesson.recording["state"] == "finished"
    assert lesson.recording["duration"] >= RECORDED_SECONDS
    assert sorted(user["account"] for user in lesson.recording["users"]) == ["Anna Berg", "Bo"]
    assert sorted(lesson.facts["listed"]) == ["Anna Berg", "Bo"]
    assert "page lesson" in lesson.facts["in the lobby"]


@pytest.mark.parametrize("name", TONES)
def test_the_files_hold_what_each_showed_and_said(lesson: Lesson, name: str) -> None:
    playback = lesson.playbacks[name]
    check_decodes(playback)
    assert len(playback.counters) > 10 * RECORDED_SECONDS
    assert playback.repeated_counters == []
    assert abs(sound.loudest_hz(playback.samples) - TONES[name]) < 5
    sync = playback.sync
    assert sync is not None
    assert sync.pairs >= 3
    assert abs(sync.median_seconds) < MAX_OFFSET_SECONDS


def test_a_file_plays_and_seeks_in_the_page(lesson: Lesson) -> None:
    assert lesson.facts["played counter"] in lesson.playbacks["Bo"].counters


def test_all_files_play_together_in_step(lesson: Lesson) -> None:
    (one, _), (other, _) = lesson.facts["together"]
    assert abs(one - other) < 0.5
    assert all(counter is not None for _, counter in lesson.facts["together"])


def test_who_leaves_is_gone(lesson: Lesson) -> None:
    assert lesson.facts["left"] == "1 person"


def test_nothing_is_fetched_from_elsewhere_and_nothing_is_wrong(lesson: Lesson, embedded_server: ServerProcess) -> None:
    assert lesson.hosts == {f"127.0.0.1:{embedded_server.port}"}
    assert lesson.complaints == {"Anna": [], "Bo": []}


def test_no_token_reaches_the_servers_log(lesson: Lesson) -> None:
    assert "eyJ" not in lesson.log
    assert "access_token" not in lesson.log


# What needs no call


@asynccontextmanager
async def visitor(server: ServerProcess, size: dict[str, int], **options: Any) -> AsyncGenerator[Visit]:
    async with chromium(*FLAGS) as browser:
        yield await Visit.begin(browser, server, size, **options)


async def test_a_name_that_is_taken_can_be_taken_over(embedded_server: ServerProcess) -> None:
    async with two_people(embedded_server) as (first, second):
        await first.arrive("Cleo", "taken")
        await second.page.add_init_script(devices_script(550))
        await second.page.goto("/?channel=taken")
        await second.page.locator("#name").fill("Cleo")
        await second.page.keyboard.press("Enter")
        await second.page.locator("#take-over").wait_for()
        assert "Somebody named Cleo" in await second.text("#join-trouble")
        await second.page.locator("#take-over").click()
        await second.page.locator("#call").wait_for()
        await first.page.locator("#join-form").wait_for()
        assert "same name" in await first.text("#join-trouble")


async def test_without_devices_the_page_says_what_to_do(embedded_server: ServerProcess) -> None:
    async with chromium() as browser:
        visit = await Visit.begin(browser, embedded_server, DESKTOP)
        await visit.page.goto("/?channel=quiet")
        await visit.page.locator("#device-trouble").wait_for()
        assert "No camera and no microphone were found" in await visit.text("#device-trouble")
        await visit.page.locator("#name").fill("Listener")
        await visit.page.keyboard.press("Enter")
        await visit.page.locator('.tile[data-identity="Listener"] .muted').wait_for()


async def test_a_shared_screen_is_shown_large(embedded_server: ServerProcess) -> None:
    async with two_people(embedded_server) as (anna, bo):
        await anna.arrive("Anna Berg", "screens")
        await bo.arrive("Bo", "screens")
        await anna.page.keyboard.press("s")
        await bo.until("document.querySelector('.screen video')?.videoWidth > 0")
        shown = await bo.page.locator(".screen").bounding_box()
        tile = await bo.page.locator(".tile").first.bounding_box()
        assert shown is not None
        assert tile is not None
        assert shown["width"] * shown["height"] > 4 * tile["width"] * tile["height"]
        await anna.page.get_by_role("button", name="Stop sharing", exact=True).click()
        await bo.page.locator(".screen").wait_for(state="detached")


@pytest.mark.parametrize("size", [PHONE, DESKTOP, {"width": 320, "height": 568}])
async def test_everything_fits_the_window(embedded_server: ServerProcess, size: dict[str, int]) -> None:
    async with visitor(embedded_server, size) as visit:
        await visit.arrive("Dana", "sizes")
        overflow = "document.scrollingElement.scrollWidth - innerWidth"
        assert await visit.page.evaluate(overflow) <= 0
        boxes = [await button.bounding_box() for button in await visit.page.locator("#controls button:visible").all()]
        for box in boxes:
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= size["width"]
            assert min(box["width"], box["height"]) >= 44
        await visit.page.goto("/#recordings")
        assert await visit.page.evaluate(overflow) <= 0


async def test_tiles_fill_the_stage_and_never_leave_it(embedded_server: ServerProcess) -> None:
    async with visitor(embedded_server, DESKTOP) as visit:
        await visit.page.goto("/")
        tried = await visit.page.evaluate("""async () => {
            const { fit } = await import('/page/layout.js');
            const sizes = [[1240, 630], [366, 700], [844, 300], [2500, 1300]];
            return sizes.flatMap(([width, height]) => Array.from({ length: 40 }, (_, n) =>
                ({ count: n + 1, width, height, ...{ tile: fit(n + 1, width, height, 12) } })));
        }""")
    for one in tried:
        tile = one["tile"]
        assert tile["columns"] * tile["rows"] >= one["count"]
        assert tile["columns"] * (tile["width"] + 12) - 12 <= one["width"]
        assert 0.7 < tile["width"] / tile["height"] < 1.8
        if one["count"] <= 17 and one["width"] > 1000:
            assert tile["rows"] * (tile["height"] + 12) - 12 <= one["height"]


async def test_figures_are_told_in_words(embedded_server: ServerProcess) -> None:
    async with visitor(embedded_server, DESKTOP) as visit:
        await visit.page.goto("/")
        told = await visit.page.evaluate("""async () => {
            const words = await import('/page/words.js');
            return [
                [0, 59, 61, 3661].map(words.clockText), [0.4, 59.4, 59.6, 3661, null].map(words.lengthText),
                [0, 999, 1000, 1500000, 25e9].map(words.sizeText), [[], ['a'], ['a', 'b', 'c']].map(words.listText),
                ['Anna Berg', 'émile', '  ', '李 伟'].map(words.initials),
            ];
        }""")
    assert told == [
        ["0:00", "0:59", "1:01", "1:01:01"],
        ["0 s", "59 s", "1:00", "1:01:01", "length unknown"],
        ["0 B", "999 B", "1.0 kB", "1.5 MB", "25 GB"],
        ["nobody", "a", "a, b and c"],
        ["AB", "É", "?", "李伟"],
    ]


async def test_the_api_is_described_on_a_page_of_its_own(embedded_server: ServerProcess) -> None:
    async with visitor(embedded_server, DESKTOP) as visit:
        await visit.page.goto("/docs")
        await visit.page.get_by_text("/api/recordings/{id}/stop").wait_for()
        await visit.page.goto("/docs#StartRecording")
        await visit.page.locator("#StartRecording[open]").get_by_text("idle_limit_sec").wait_for()
        assert visit.complaints == []
        assert visit.hosts == {f"127.0.0.1:{embedded_server.port}"}


def test_the_page_was_built_from_the_source() -> None:
    root = Path(__file__).resolve().parents[2]
    built = root / "src" / "channel_recorder" / "service" / "page"
    for source in (root / "web").iterdir():
        assert (built / source.name).read_bytes() == source.read_bytes(), "run scripts/build_page.py"
    assert (built / "livekit-client.js").stat().st_size > 100_000
