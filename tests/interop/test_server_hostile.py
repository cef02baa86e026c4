"""People who mean harm are refused or closed; the call beside them goes on as if nothing were."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from testbed.browser import BrowserPerson, browsers
from testbed.embedded import EmbeddedServer
from testbed.hand_made import HandMadePublisher
from testbed.hostile import (
    ask_for_too_much,
    flood_port,
    flood_requests,
    join_in_masses,
    send_frame,
    send_garbage,
    send_garbage_frames,
    statuses_of,
)
from testbed.person import Captured, Person
from testbed.publisher import Publisher
from testbed.recorder import Recorder, Recording
from testbed.server_process import API_KEY, API_SECRET, ServerProcess
from testbed.view import View
from tests.interop.checks import check_decodes, played
from tests.interop.people import all_see, check_tone, flows, seen, watch

CHANNEL = "server-hostile"
FPS = 15
PEOPLE = {"js": 400, "py": 500}
MASSES = 2000
MAX_MEMORY_GROWTH_BYTES = 200 << 20
MAX_PAUSE_SECONDS = 1.5
"""Of a picture, while others do their worst and the two cores do everything."""


@dataclass
class Story:
    views: dict[str, dict[str, View]] = field(default_factory=dict[str, dict[str, View]])
    """Over each attack."""
    outcomes: dict[str, Any] = field(default_factory=dict[str, Any])
    captured: dict[str, dict[str, Captured]] = field(default_factory=dict[str, dict[str, Captured]])
    recording: Recording | None = None
    log: str = ""
    memory_bytes: list[int] = field(default_factory=list[int])
    """Of the server: before, and after."""


def bad_tokens(server: ServerProcess) -> list[str]:
    def token(key: str, secret: str, *, may_join: bool = True) -> str:
        grants = api.VideoGrants(room_join=may_join, room=CHANNEL)
        return api.AccessToken(key, secret).with_identity("someone").with_grants(grants).to_jwt()

    good = server.token(CHANNEL, "someone")
    header, _, rest = good.partition(".")
    body, _, signature = rest.partition(".")
    return [
        "nonsense",
        "a.b.c",
        "eyJhbGciOiJub25lIn0." + body + ".",
        f"{header}.{body}.{signature[::-1]}",
        f"{header}.{body}",
        token(API_KEY, "x" * 40),
        token("nobody", API_SECRET),
        token(API_KEY, API_SECRET, may_join=False),
        server.token(CHANNEL, "someone", valid_for=timedelta(minutes=-5)),
        server.token(CHANNEL, "x" * 300),
        server.token("x" * 300, "someone"),
        "x" * 7000,
    ]


def memory_of(server: ServerProcess) -> int:
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{server.process_id}/status").read_text().splitlines() if ":" in line
    )
    return int(fields["VmRSS"].split()[0]) * 1024


async def ssrcs_of(person: BrowserPerson) -> list[int]:
    """What the browser sends under."""
    return await person.evaluate(
        """async () => (await Promise.all(['camera', 'microphone'].map(
            async (source) => [...(await participant.publication(source).track.sender.getStats()).values()]
                .filter((one) => one.type === 'outbound-rtp').map((one) => one.ssrc)))).flat()"""
    )


async def send_garbage_media(server: ServerProcess, ssrcs: list[int]) -> None:
    async with HandMadePublisher(server, CHANNEL, "garbage-sender") as sender:
        await send_garbage(sender, 3000, ssrcs)


async def flood_with_data(server: ServerProcess) -> None:
    """It may be thrown out over it."""
    flooder = Publisher(server, CHANNEL, "flooder")
    await flooder.join()
    await flooder.flood_data(6000, 1000)
    await flooder.vanish()


async def flood_ports(server: EmbeddedServer) -> None:
    await asyncio.to_thread(flood_port, server.udp_port, 20_000)
    for port in (server.tcp_port, server.port):
        for _ in range(20):
            await asyncio.to_thread(flood_port, port, 100, socket.SOCK_STREAM)


def attacks(server: EmbeddedServer, ssrcs: list[int]) -> dict[str, Coroutine[Any, Any, Any]]:
    return {
        "bad tokens": statuses_of(server, bad_tokens(server)),
        "garbage frames": send_garbage_frames(server, CHANNEL, 20),
        "huge frame": send_frame(server, CHANNEL, "huge", b"\0" * (3 << 20)),
        "garbage text": send_frame(server, CHANNEL, "text", '{"offer": [[[['),
        "greed": ask_for_too_much(server),
        "request flood": flood_requests(server, CHANNEL, "request-flooder", 20_000),
        "data flood": flood_with_data(server),
        "garbage media": send_garbage_media(server, ssrcs),
        "ports": flood_ports(server),
        "masses elsewhere": join_in_masses(server, "elsewhere", MASSES, at_once=40),
        "masses": join_in_masses(server, CHANNEL, 200, at_once=20),
    }


ATTACKS = (
    "bad tokens",
    "garbage frames",
    "huge frame",
    "garbage text",
    "greed",
    "request flood",
    "data flood",
    "garbage media",
    "ports",
    "masses elsewhere",
    "masses",
)


async def hold_call(server: EmbeddedServer, root: Path) -> Story:
    story = Story()
    async with browsers() as pages:
        recorder = await Recorder.start(server, CHANNEL, root)
        js, py = pages.person(server, CHANNEL, "js"), Publisher(server, CHANNEL, "py", subscribes=True)
        people: list[Person] = [js, py]
        for person in people:
            await person.join()
            await person.publish_camera(fps=FPS)
            await person.publish_microphone(PEOPLE[person.identity])
        await all_see(people, lambda view: all(flows(view, who) for who in PEOPLE if who != view.identity))
        story.memory_bytes.append(memory_of(server))
        for name, attack in attacks(server, await ssrcs_of(js)).items():
            await asyncio.gather(*(person.forget() for person in people))
            story.outcomes[name] = await attack
            await asyncio.sleep(0.5)
            story.views[name] = {person.identity: await person.look() for person in people}
        story.views["afterwards"] = await watch(people, 3.0)
        story.memory_bytes.append(memory_of(server))
        for person in people:
            story.captured[person.identity] = await person.leave()
        story.recording = await recorder.stop()
    story.log = server.log_path.read_text()
    return story


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    with EmbeddedServer() as server:
        return asyncio.run(hold_call(server, tmp_path_factory.mktemp("server-hostile")))


@pytest.mark.parametrize("moment", [*ATTACKS, "afterwards"])
@pytest.mark.parametrize("who", PEOPLE)
def test_the_call_goes_on_unharmed(story: Story, who: str, moment: str) -> None:
    (other,) = set(PEOPLE) - {who}
    camera = seen(story.views[moment][who], other)
    assert camera.pictures > 0
    assert camera.unreadable == 0
    assert camera.repeated == 0
    assert camera.longest_pause_seconds < MAX_PAUSE_SECONDS, camera
    check_tone(seen(story.views[moment][who], other, "microphone"), PEOPLE[other])
    assert "reconnecting" not in story.views[moment][who].events


def test_bad_tokens_are_refused_with_a_status_that_says_so(story: Story) -> None:
    assert story.outcomes["bad tokens"] <= {400, 401, 403, 429, 431}
    assert 401 in story.outcomes["bad tokens"]


@pytest.mark.parametrize("frame", ["huge frame", "garbage text"])
def test_who_sends_what_cannot_be_read_is_closed(story: Story, frame: str) -> None:
    assert story.outcomes[frame]


def test_requests_that_are_too_big_or_strange_are_refused(story: Story) -> None:
    assert all(400 <= status < 500 for status in story.outcomes["greed"]), story.outcomes["greed"]


def test_the_memory_of_the_server_stays_bounded(story: Story) -> None:
    before, after = story.memory_bytes
    assert after - before < MAX_MEMORY_GROWTH_BYTES


def test_the_log_tells_of_no_fault_of_the_server_and_of_no_token(story: Story) -> None:
    assert "Traceback" not in story.log
    assert "eyJ" not in story.log
    assert "access_token" not in story.log


@pytest.mark.parametrize("who", PEOPLE)
def test_the_recorder_has_the_whole_call(story: Story, who: str) -> None:
    assert story.recording is not None
    playbacks = [played(path) for path in story.recording.paths_of(who)]
    for playback in playbacks:
        check_decodes(playback)
    counters = [counter for playback in playbacks for counter in playback.counters]
    camera = story.captured[who]["camera"]
    missing = set(range(counters[0], camera.captured)) - set(counters)
    assert len(missing) <= camera.dropped_by_encoder + FPS, sorted(missing)
