"""How long the official clients take to join the channel server, and to show the first picture of who is there.

One publisher (official Python SDK) is in the room; each client joins alone, several times, each time in a new process
or page. The time is the SDK's own `connect()`, on loopback.

python -m bench.client_joins
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bench import report
from testbed.browser import Browsers, browsers
from testbed.embedded import EmbeddedServer
from testbed.person import Person
from testbed.publisher import Publisher
from testbed.server_process import ServerProcess

CHANNEL = "bench"
JOINS = 7
SETTLE_SECONDS = 1.0
GOAL_MS = 500.0

Maker = Callable[[ServerProcess, Browsers], Person]


def python(single_peer: bool) -> Maker:
    return lambda server, pages: Publisher(server, CHANNEL, "joiner", subscribes=True, single_peer=single_peer)


def browser(version: str, single_peer: bool) -> Maker:
    return lambda server, pages: pages.person(server, CHANNEL, "joiner", version, single_peer=single_peer)


CLIENTS: dict[str, Maker] = {
    "Python SDK 1.2.1, v0": python(False),
    "Python SDK 1.2.1, v1": python(True),
    "livekit-client 2.15.16, v0": browser("2.15.16", False),
    "livekit-client 2.18.10, v1": browser("2.18.10", True),
    "livekit-client 2.23.0, v0": browser("2.23.0", False),
    "livekit-client 2.23.0, v1": browser("2.23.0", True),
}


async def join_once(make: Maker, server: ServerProcess, pages: Browsers) -> tuple[float, float]:
    """Milliseconds until joined, and until the first picture."""
    person = make(server, pages)
    await person.join()
    view = await person.sees(lambda view: view.first_picture_in_seconds is not None)
    await person.leave()
    return view.joined_in_seconds * 1e3, (view.first_picture_in_seconds or 0.0) * 1e3


async def join_often() -> list[report.Figure]:
    figures: list[report.Figure] = []
    async with browsers() as pages:
        with EmbeddedServer() as server:
            async with Publisher(server, CHANNEL, "there") as there:
                await there.publish_camera()
                await there.publish_microphone()
                await asyncio.sleep(SETTLE_SECONDS)
                for name, make in CLIENTS.items():
                    # The first loads scripts and modules.
                    joins = [await join_once(make, server, pages) for _ in range(JOINS + 1)][1:]
                    figures.append(_figure(name, joins))
    return figures


def _figure(name: str, joins: list[tuple[float, float]]) -> report.Figure:
    pictures = report.median(picture for _, picture in joins)
    slowest = max(joined for joined, _ in joins)
    return report.Figure(
        what=f"{name}: to join, median of {JOINS}",
        value=report.median(joined for joined, _ in joins),
        unit="ms",
        at_most=GOAL_MS,
        note=f"first picture after {pictures:.0f} ms; slowest join {slowest:.0f} ms",
    )


def measure() -> list[report.Figure]:
    return asyncio.run(join_often())


if __name__ == "__main__":
    report.run("Joins of official clients", measure)
