"""Real servers, kept for the whole run; everything in this folder is marked `interop`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from testbed.children import kill_those_left
from testbed.embedded import EmbeddedServer
from testbed.server import CURRENT_VERSION, OLD_VERSION, LiveKitServer
from testbed.server_process import ServerProcess

HERE = Path(__file__).parent
EMBEDDED = "embedded"
SERVERS = (EMBEDDED, CURRENT_VERSION)
"""What the recorder is held to: our own server and the real one alike."""
CLIENT_SERVERS = tuple(os.environ.get("CLIENT_SCENES", EMBEDDED).split(","))
"""Scenes of clients alone are about our server. CLIENT_SCENES=embedded,1.13.5 holds the real one to them too, which
tells a fault of the testbed from one of ours."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)


def pytest_runtest_teardown() -> None:
    """Scenes are over when they have been told: one that failed must not starve the next."""
    kill_those_left()


def make_server(which: str) -> ServerProcess:
    return EmbeddedServer() if which == EMBEDDED else LiveKitServer(which)


@pytest.fixture(scope="session")
def running() -> Iterator[Callable[[str], ServerProcess]]:
    """One of each, started when it is first asked for. Whatever was done to it, ours tells of no fault of its own."""
    started: dict[str, ServerProcess] = {}

    def start(which: str) -> ServerProcess:
        if which not in started:
            started[which] = stack.enter_context(make_server(which))
        return started[which]

    with ExitStack() as stack:
        yield start
        if EMBEDDED in started:
            log = started[EMBEDDED].log_path.read_text()
            assert "Traceback" not in log, log[-5000:]


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest, running: Callable[[str], ServerProcess]) -> ServerProcess:
    return running(request.param)


@pytest.fixture(scope="session", params=[*SERVERS, OLD_VERSION])
def any_server(request: pytest.FixtureRequest, running: Callable[[str], ServerProcess]) -> ServerProcess:
    """As `server`, and the oldest livekit-server that is supported."""
    return running(request.param)


@pytest.fixture(scope="session")
def embedded_server(running: Callable[[str], ServerProcess]) -> ServerProcess:
    return running(EMBEDDED)


@pytest.fixture(scope="session", params=CLIENT_SERVERS)
def client_server(request: pytest.FixtureRequest, running: Callable[[str], ServerProcess]) -> ServerProcess:
    return running(request.param)


@pytest.fixture(scope="session", params=SERVERS)
def new_server(request: pytest.FixtureRequest) -> Callable[[], ServerProcess]:
    """Makes a server of one's own, to be started, killed and revived."""
    return lambda: make_server(request.param)
