from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from channel_recorder.protocol.tokens import Grants, make_access_token
from channel_recorder.service.app import Service, make_service
from channel_recorder.service.settings import ServiceSettings
from tests.service.fake_engine import FIRST_JOIN, Engines

APP_ID = "devkey"
CERTIFICATE = "a-certificate-of-more-than-32-characters"
HERE = "http://localhost:7880"


@dataclass
class FakeClocks:
    now: float = 1000.0
    unix: float = FIRST_JOIN.timestamp() + 3600

    def monotonic_seconds(self) -> float:
        return self.now

    def unix_seconds(self) -> float:
        return self.unix


@dataclass
class House:
    """A service with a fake engine, and a browser on the same machine."""

    root: Path
    engines: Engines = field(default_factory=Engines)
    clocks: FakeClocks = field(default_factory=FakeClocks)
    taken: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    page_folder: Path = Path("/nonexistent")
    clients: list[httpx.AsyncClient] = field(default_factory=list[httpx.AsyncClient])

    def service(self, **settings: Any) -> Service:
        async def is_taken(channel: str, identity: str) -> bool:
            return (channel, identity) in self.taken

        given: dict[str, Any] = {
            "server_url": "ws://localhost:7880",
            "app_id": APP_ID,
            "app_certificate": CERTIFICATE,
            "recordings_root": self.root,
            **settings,
        }
        return make_service(
            ServiceSettings(**given),
            make_engine=self.engines.make,
            is_taken=is_taken,
            clocks=self.clocks,
            page_folder=self.page_folder,
        )

    def browser(self, service: Service, base_url: str = HERE, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers)
        self.clients.append(client)
        return client

    def token(self, room: str = "", valid_for_seconds: float = 600, secret: str = CERTIFICATE, **grants: Any) -> str:
        given: dict[str, Any] = {"room_join": False, **grants}
        return make_access_token(
            APP_ID,
            secret,
            identity="back office",
            room=room,
            now_seconds=self.clocks.unix,
            valid_for_seconds=valid_for_seconds,
            grants=Grants(**given),
        )


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    root = tmp_path / "recordings"
    root.mkdir()
    house = House(root)
    yield house
    for client in house.clients:
        await client.aclose()


@pytest.fixture
def service(house: House) -> Service:
    return house.service()


@pytest.fixture
def client(house: House, service: Service) -> httpx.AsyncClient:
    return house.browser(service)
