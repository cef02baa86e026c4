"""Real servers, kept for the whole run; everything in this folder is marked `interop`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.server import CURRENT_VERSION, OLD_VERSION, LiveKitServer

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)


@pytest.fixture(scope="session")
def server() -> Iterator[LiveKitServer]:
    with LiveKitServer(CURRENT_VERSION) as running:
        yield running


@pytest.fixture(scope="session")
def old_server() -> Iterator[LiveKitServer]:
    with LiveKitServer(OLD_VERSION) as running:
        yield running


@pytest.fixture(scope="session", params=[CURRENT_VERSION, OLD_VERSION])
def any_server(request: pytest.FixtureRequest, server: LiveKitServer, old_server: LiveKitServer) -> LiveKitServer:
    """Each supported version in turn."""
    return server if request.param == CURRENT_VERSION else old_server
