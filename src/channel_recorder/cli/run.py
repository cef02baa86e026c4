"""One recording from join to leave, steered by signals."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from channel_recorder.cli.output import Output
from channel_recorder.cli.report import JoinedFacts, Outcome, Report, outcome_of_error, outcome_of_leave
from channel_recorder.config import RecordingConfig, TriggerMode
from channel_recorder.errors import RecorderError, StateError
from channel_recorder.handler import LeavePath
from channel_recorder.model import User

LEAVE_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)


class Properties(Protocol):
    @property
    def storage_dir(self) -> Path: ...


class Engine(Protocol):
    """What of `channel_recorder.aio.RecordingEngine` is used here."""

    async def join_channel(
        self, channel_key: str | None, channel_id: str, uid: int, config: RecordingConfig | None = None
    ) -> None: ...

    async def join_channel_with_user_account(
        self, channel_key: str | None, channel_id: str, user_account: str, config: RecordingConfig | None = None
    ) -> None: ...

    async def start_service(self) -> None: ...
    async def stop_service(self) -> None: ...
    def get_properties(self) -> Properties: ...
    async def leave_channel(self, path: LeavePath = ...) -> None: ...
    async def wait_left(self) -> LeavePath: ...
    async def release(self) -> None: ...
    def set_log_level(self, level: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the command line asked for."""

    channel: str
    user: User
    by_account: bool
    chosen_uid: bool
    token: str | None
    config: RecordingConfig

    def facts(self, storage_dir: Path) -> JoinedFacts:
        return JoinedFacts(
            storage_dir=storage_dir,
            channel=self.channel,
            user=self.user,
            chosen_uid=self.chosen_uid,
            manual=self.config.trigger_mode is TriggerMode.MANUAL,
            idle_limit_seconds=self.config.idle_limit_sec,
        )


class RecordingRun:
    """Joins, waits until the engine left by whatever cause, and tells `report` on the way."""

    def __init__(self, plan: Plan, engine: Engine, report: Report, output: Output) -> None:
        self._plan = plan
        self._engine = engine
        self._report = report
        self._output = output
        self._joining: asyncio.Task[None] | None = None
        self._joined = False
        self._stopped = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> Outcome:
        with self._steered():
            try:
                outcome = await self._record()
            finally:
                await self._engine.release()
            self._output.call(self._report.left, outcome)
            return outcome

    async def _record(self) -> Outcome:
        self._joining = asyncio.create_task(self._join())
        try:
            await self._joining
        except RecorderError as error:
            self._output.discard()
            return outcome_of_error(error, "join_failed")
        except asyncio.CancelledError:
            if not self._stopped:
                raise
            self._output.discard()
            return outcome_of_leave(LeavePath.SIGNAL)
        return await self._wait_left()

    async def _join(self) -> None:
        plan = self._plan
        if plan.by_account:
            await self._engine.join_channel_with_user_account(plan.token, plan.channel, plan.user.account, plan.config)
        else:
            await self._engine.join_channel(plan.token, plan.channel, plan.user.uid, plan.config)

    async def _wait_left(self) -> Outcome:
        self._joined = True
        self._output.begin(self._report.joined, self._plan.facts(self._engine.get_properties().storage_dir))
        if self._stopped:
            self._start(self._engine.leave_channel(LeavePath.SIGNAL))
        try:
            path = await self._engine.wait_left()
            await asyncio.gather(*self._tasks)
        except RecorderError as error:
            return outcome_of_error(error, "failed")
        return outcome_of_leave(path)

    @contextmanager
    def _steered(self) -> Generator[None, None, None]:
        """Signals mean what they mean here as long as the block runs."""
        loop = asyncio.get_running_loop()
        # nohup ignores hang-ups. A shell's `&` ignores SIGINT and SIGQUIT too, but here they are asked for by name.
        nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        handled = [number for number in LEAVE_SIGNALS if not (nohup and number is signal.SIGHUP)]
        for number in handled:
            loop.add_signal_handler(number, self._leave, number)
        loop.add_signal_handler(signal.SIGUSR1, self._serve, True)
        loop.add_signal_handler(signal.SIGUSR2, self._serve, False)
        try:
            yield
        finally:
            for number in (*handled, signal.SIGUSR1, signal.SIGUSR2):
                loop.remove_signal_handler(number)

    def _leave(self, number: signal.Signals) -> None:
        self._output.call(self._report.leaving, number.name, self._stopped)
        if self._stopped:
            return
        self._stopped = True
        if self._joined:
            self._start(self._engine.leave_channel(LeavePath.SIGNAL))
        elif self._joining is not None:
            self._joining.cancel()

    def _serve(self, start: bool) -> None:
        self._start(self._change_service(start))

    async def _change_service(self, start: bool) -> None:
        try:
            await (self._engine.start_service() if start else self._engine.stop_service())
        except StateError as error:
            self._output.call(self._report.notice, f"signal {'SIGUSR1' if start else 'SIGUSR2'} ignored: {error}")
        else:
            self._output.call(self._report.notice, "recording" if start else "paused")

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
