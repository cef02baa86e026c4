"""An engine without a network: it says what a script tells it to say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from channel_recorder.cli.output import Output
from channel_recorder.cli.record import ServerAccess
from channel_recorder.cli.report import Report
from channel_recorder.config import RecordingConfig
from channel_recorder.errors import RecorderError
from channel_recorder.handler import LeavePath

Step = Callable[["FakeEngine"], None]


@dataclass(frozen=True)
class FakeProperties:
    storage_dir: Path


@dataclass
class FakeEngine:
    """`before_join` runs inside the join, `steps` one after the other once joined."""

    storage_dir: Path = Path("/recordings/20261124/room_120000_000000")
    before_join: list[Step] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    join_error: RecorderError | None = None
    join_hangs: bool = False
    leave_error: RecorderError | None = None
    service_error: RecorderError | None = None
    leave_path: LeavePath | None = None
    """The engine leaves by itself after the steps; None: only when told."""
    calls: list[tuple[object, ...]] = field(default_factory=list)
    access: ServerAccess | None = None
    _left: asyncio.Future[LeavePath] | None = None

    def plug(self, access: ServerAccess, report: Report, output: Output) -> FakeEngine:
        self.access, self.report, self.output = access, report, output
        return self

    def tell(self, name: str, *arguments: object) -> None:
        self.output.call(getattr(self.report, name), *arguments)

    @property
    def config(self) -> RecordingConfig:
        config = next(call for call in self.calls if call[0] in ("join", "join_account"))[-1]
        assert isinstance(config, RecordingConfig)
        return config

    async def join_channel(self, channel_key, channel_id, uid, config=None) -> None:
        self.calls.append(("join", channel_key, channel_id, uid, config))
        await self._join()

    async def join_channel_with_user_account(self, channel_key, channel_id, user_account, config=None) -> None:
        self.calls.append(("join_account", channel_key, channel_id, user_account, config))
        await self._join()

    async def _join(self) -> None:
        self._left = asyncio.get_running_loop().create_future()
        for step in self.before_join:
            step(self)
        if self.join_hangs:
            await asyncio.get_running_loop().create_future()
        if self.join_error is not None:
            raise self.join_error

    async def start_service(self) -> None:
        self.calls.append(("start_service",))
        if self.service_error is not None:
            raise self.service_error

    async def stop_service(self) -> None:
        self.calls.append(("stop_service",))
        if self.service_error is not None:
            raise self.service_error

    def get_properties(self) -> FakeProperties:
        return FakeProperties(self.storage_dir)

    async def leave_channel(self, path: LeavePath = LeavePath.CLIENT_INITIATED) -> None:
        self.calls.append(("leave", path))
        self.finish(path)
        if self.leave_error is not None:
            raise self.leave_error

    def finish(self, path: LeavePath) -> None:
        assert self._left is not None
        if not self._left.done():
            self._left.set_result(path)

    async def wait_left(self) -> LeavePath:
        for step in self.steps:
            step(self)
            await _some_rounds()
        if self.leave_path is not None:
            self.finish(self.leave_path)
        assert self._left is not None
        path = await asyncio.shield(self._left)
        self.tell("on_leave_channel", path)
        return path

    async def release(self) -> None:
        self.calls.append(("release",))
        self.output.close()

    def set_log_level(self, level: int) -> None:
        self.calls.append(("log_level", level))


async def _some_rounds() -> None:
    """A signal sent by a step arrives in one of the loop's next rounds, what it starts in those after."""
    for _ in range(20):
        await asyncio.sleep(0)
