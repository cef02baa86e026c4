"""The server dies without a word and comes back: clients and recorder are together again by themselves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from testbed.browser import browsers
from testbed.person import Captured, Person
from testbed.publisher import Publisher
from testbed.recorder import Recorder, Recording
from testbed.server_process import ServerProcess
from testbed.view import View
from tests.interop.checks import check_decodes, played
from tests.interop.conftest import CLIENT_SERVERS, make_server
from tests.interop.people import all_see, check_pictures_flow, check_tone, flows, seen, watch

CHANNEL = "server-restart"
FPS = 15
DOWN_SECONDS = 3.0
BACK_LIMIT_SECONDS = 40.0
"""Clients wait longer before each further try."""
WATCH_SECONDS = 3.0
BROWSERS = {"js-2.15": ("2.15.16", False), "js-2.18": ("2.18.10", True), "js-2.23": ("2.23.0", True)}
PEOPLE = {"js-2.15": 400, "js-2.18": 500, "js-2.23": 600, "py-v0": 700, "py-v1": 800}


@dataclass
class Story:
    before: dict[str, View] = field(default_factory=dict[str, View])
    after: dict[str, View] = field(default_factory=dict[str, View])
    captured: dict[str, dict[str, Captured]] = field(default_factory=dict[str, dict[str, Captured]])
    recording: Recording | None = None


async def hold_call(server: ServerProcess, root: Path) -> Story:
    story = Story()
    async with browsers() as pages:
        recorder = await Recorder.start(server, CHANNEL, root)
        people: dict[str, Person] = {
            who: pages.person(server, CHANNEL, who, version, single_peer=single_peer)
            for who, (version, single_peer) in BROWSERS.items()
        }
        for who in ("py-v0", "py-v1"):
            people[who] = Publisher(server, CHANNEL, who, subscribes=True, single_peer=who == "py-v1")
        await asyncio.gather(*(person.join() for person in people.values()))
        for who, person in people.items():
            await person.publish_camera(width=240, height=180)
            await person.publish_microphone(PEOPLE[who])

        def everybody_flows(view: View) -> bool:
            return all(flows(view, who) for who in PEOPLE if who != view.identity)

        await all_see(people.values(), everybody_flows)
        story.before = await watch(people.values(), 1.0)
        server.kill()
        await asyncio.sleep(DOWN_SECONDS)
        server.revive()
        sids = {who: view.sid for who, view in story.before.items()}

        def everybody_is_back(view: View) -> bool:
            others = [who for who in PEOPLE if who != view.identity]
            is_new = all(who in view.people and view.people[who].sid != sids[who] for who in others)
            return view.is_connected and is_new and everybody_flows(view)

        await asyncio.gather(
            *(person.sees(everybody_is_back, within_seconds=BACK_LIMIT_SECONDS) for person in people.values())
        )
        story.after = await watch(people.values(), WATCH_SECONDS)
        for who, person in people.items():
            story.captured[who] = await person.leave()
        story.recording = await recorder.stop()
    return story


@pytest.fixture(scope="module", params=CLIENT_SERVERS)
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Story:
    with make_server(request.param) as server:
        return asyncio.run(hold_call(server, tmp_path_factory.mktemp("server-restart")))


@pytest.mark.parametrize("who", PEOPLE)
def test_everybody_is_back_and_sees_and_hears_all_others(story: Story, who: str) -> None:
    view = story.after[who]
    assert set(view.people) == set(PEOPLE) - {who}
    for other, hz in PEOPLE.items():
        if other != who:
            check_pictures_flow(seen(view, other), FPS, WATCH_SECONDS)
            check_tone(seen(view, other, "microphone"), hz)


@pytest.mark.parametrize("who", PEOPLE)
def test_the_application_is_told_of_both(story: Story, who: str) -> None:
    events = story.after[who].events
    assert "reconnecting" in events
    assert "reconnected" in events
    assert not any(event.startswith("disconnected") for event in events)


@pytest.mark.parametrize("who", PEOPLE)
def test_the_recorder_has_what_came_before_and_after(story: Story, who: str) -> None:
    assert story.recording is not None
    assert story.recording.exit_code == 0
    playbacks = [played(path) for path in story.recording.paths_of(who)]
    for playback in playbacks:
        check_decodes(playback)
    counters = [counter for playback in playbacks for counter in playback.counters]
    heard = sum(end - start for playback in playbacks for start, end in playback.tone_spans(PEOPLE[who]))
    assert min(counters) <= 2 * FPS
    assert story.captured[who]["camera"].captured - max(counters) <= 3
    assert heard > WATCH_SECONDS + 1
