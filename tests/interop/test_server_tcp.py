"""A server behind a firewall that lets no UDP through: media goes over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from testbed.browser import browsers
from testbed.embedded import EmbeddedServer
from testbed.person import Person
from testbed.publisher import Publisher
from testbed.server import CURRENT_VERSION, LiveKitServer
from testbed.server_process import ServerProcess
from testbed.view import View
from tests.interop.conftest import CLIENT_SERVERS, EMBEDDED
from tests.interop.people import all_see, check_pictures_flow, check_tone, flows, seen, watch

CHANNEL = "server-tcp"
WATCH_SECONDS = 2.5
PEOPLE = {"js-v0": 400, "js-v1": 500, "py-v0": 600, "py-v1": 700}


async def hold_call(server: ServerProcess) -> dict[str, View]:
    async with browsers() as pages:
        people: list[Person] = []
        for who in PEOPLE:
            single_peer = who.endswith("v1")
            if who.startswith("py"):
                people.append(Publisher(server, CHANNEL, who, subscribes=True, single_peer=single_peer))
            else:
                people.append(pages.person(server, CHANNEL, who, single_peer=single_peer))
        await asyncio.gather(*(person.join() for person in people))
        for person in people:
            await person.publish_camera()
            await person.publish_microphone(PEOPLE[person.identity])
        await all_see(people, lambda view: all(flows(view, who) for who in PEOPLE if who != view.identity))
        views = await watch(people, WATCH_SECONDS)
        for person in people:
            await person.leave()
    return views


SERVERS: dict[str, Callable[[], ServerProcess]] = {
    EMBEDDED: lambda: EmbeddedServer(tcp_only=True),
    CURRENT_VERSION: lambda: LiveKitServer(tcp_only=True),
}


@pytest.fixture(scope="module", params=CLIENT_SERVERS)
def views(request: pytest.FixtureRequest) -> dict[str, View]:
    with SERVERS[request.param]() as server:
        return asyncio.run(hold_call(server))


@pytest.mark.parametrize("who", PEOPLE)
def test_each_sees_and_hears_all_others_over_tcp(views: dict[str, View], who: str) -> None:
    for other, hz in PEOPLE.items():
        if other != who:
            check_pictures_flow(seen(views[who], other), 15, WATCH_SECONDS)
            check_tone(seen(views[who], other, "microphone"), hz)
