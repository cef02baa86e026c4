"""The service put together: an ASGI app that `wiring` mounts beside the channel server's doors.

service = make_service(settings)
await service.start()
app.mount("/", service.app)     # after the doors: it answers `/`, /docs, /page and /api
...
await service.close()           # while the channel server still runs: every recorder leaves it cleanly
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

import channel_recorder
from channel_recorder import aio, clock
from channel_recorder.channel.room_service import is_identity_taken
from channel_recorder.handler import RecordingHandler
from channel_recorder.service import page_api, recording_api
from channel_recorder.service.access import Access
from channel_recorder.service.gate import Gate
from channel_recorder.service.page import FOLDER, install_page
from channel_recorder.service.page_api import Clocks, FrontDesk, IdentityCheck
from channel_recorder.service.problems import install_problem_handlers
from channel_recorder.service.recorder import Engine, EngineFactory, RecorderPool
from channel_recorder.service.recordings import Recordings
from channel_recorder.service.sessions import PageSessions
from channel_recorder.service.settings import ServiceSettings
from channel_recorder.storage.directory import StorageRoot


@dataclass(frozen=True, slots=True)
class Service:
    settings: ServiceSettings
    app: FastAPI
    pool: RecorderPool

    async def start(self) -> None:
        """Raises StorageError if nothing can be recorded below the root."""
        await asyncio.to_thread(StorageRoot(path=self.settings.recordings_root).check)

    async def close(self) -> None:
        """Every recording leaves and is whole; new ones are refused."""
        await self.pool.close()


def make_service(
    settings: ServiceSettings,
    *,
    make_engine: EngineFactory | None = None,
    is_taken: IdentityCheck | None = None,
    clocks: Clocks = clock,
    page_folder: Path = FOLDER,
) -> Service:
    """The keywords after the settings are for tests."""
    sessions = PageSessions(settings.page_password, settings.app_certificate)
    access = Access(settings, sessions, clocks.unix_seconds)
    pool = RecorderPool(
        make_engine or _engines(settings), max_recordings=settings.max_recordings, now=clocks.monotonic_seconds
    )
    # FastAPI's own pages load their scripts from elsewhere: ours is at /docs.
    app = FastAPI(
        title="channel-recorder",
        version=channel_recorder.__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.access = access
    app.state.recordings = Recordings(settings.recordings_root, pool, clocks.unix_seconds)
    app.state.front_desk = FrontDesk(settings, access, sessions, clocks, is_taken or _identity_check(settings))
    app.include_router(page_api.router)
    app.include_router(recording_api.router)
    install_page(app, page_folder, settings.client_url)
    install_problem_handlers(app)
    app.add_middleware(Gate, is_loopback=settings.is_loopback)
    return Service(settings, app, pool)


def _engines(settings: ServiceSettings) -> EngineFactory:
    def make(handler: RecordingHandler) -> Engine:
        return aio.RecordingEngine(
            settings.app_id, handler, server_url=settings.server_url, app_certificate=settings.app_certificate
        )

    return make


def _identity_check(settings: ServiceSettings) -> IdentityCheck:
    async def is_taken(channel: str, identity: str) -> bool:
        if not settings.app_certificate:
            return False
        return await is_identity_taken(
            settings.server_url, settings.app_id, settings.app_certificate, room=channel, identity=identity
        )

    return is_taken
