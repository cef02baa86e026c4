"""One server from its start to its end, steered by signals."""

from __future__ import annotations

import asyncio
import os
import resource
import secrets
import signal
from collections.abc import Generator
from contextlib import contextmanager

import uvloop

from channel_recorder.callbacks import CallbackThread
from channel_recorder.cli.output import Output, log_through, standard_output
from channel_recorder.cli.record import FINISH_OUTPUT_SECONDS
from channel_recorder.cli.serve import ServeFlags
from channel_recorder.cli.welcome import HumanWelcome, JsonWelcome, Welcome
from channel_recorder.clock import utc_now
from channel_recorder.log_levels import set_log_level
from channel_recorder.sfu.access import SECRET_LENGTH, Keys
from channel_recorder.sfu.limits import Limits
from channel_recorder.sfu.settings import ServerSettings
from channel_recorder.wiring.serve import ServeSettings, ServingProcess

MADE_UP_KEY = "devkey"
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)


def run_server(flags: ServeFlags) -> int:
    """Serves until a signal comes. Raises ConfigError, and RecorderError for what failed."""
    set_log_level(flags.log_level)
    _allow_many_files()
    settings, welcome = settings_of(flags), welcome_of(flags)
    output = Output(CallbackThread("channel-recorder-output"))
    try:
        with log_through(output):
            uvloop.run(ServingRun(settings, welcome, output).run())
    finally:
        written = output.finish(FINISH_OUTPUT_SECONDS)
    if not written:
        # Whoever should read our output does not, and Python would wait for it at exit.
        os._exit(0)
    return 0


def settings_of(flags: ServeFlags) -> ServeSettings:
    """Raises ConfigError."""
    return ServeSettings(
        keys=Keys.parse(flags.keys) if flags.keys else Keys({MADE_UP_KEY: secrets.token_hex(SECRET_LENGTH)}),
        host=flags.host,
        port=flags.port,
        rtc_port=flags.rtc_port,
        rtc_tcp_port=flags.rtc_tcp_port,
        advertise=flags.advertise,
        tls_certificate=flags.tls_certificate,
        tls_key=flags.tls_key,
        webhook_urls=flags.webhook_urls,
        recordings=flags.recordings,
        max_recordings=flags.max_recordings,
        page_password=flags.page_password,
        anyone_may_join=flags.anyone_may_join,
        rooms=ServerSettings(limits=Limits(rooms=flags.max_rooms), max_participants=flags.max_participants),
    )


def welcome_of(flags: ServeFlags) -> Welcome:
    stream = standard_output()
    return JsonWelcome(stream, utc_now) if flags.json else HumanWelcome(stream, shows_secret=not flags.keys)


def _allow_many_files() -> None:
    """Each WebSocket is an open file; the usual limit of 1024 is for programs that still use `select`."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class ServingRun:
    """Serves until a signal, and tells `welcome` on the way."""

    def __init__(self, settings: ServeSettings, welcome: Welcome, output: Output) -> None:
        self._settings = settings
        self._welcome = welcome
        self._output = output
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        with self._steered():
            process = await ServingProcess.open(self._settings)
            try:
                self._output.begin(self._welcome.serving, process)
                await self._stopping.wait()
            finally:
                await process.close()
            self._output.call(self._welcome.stopped)

    @contextmanager
    def _steered(self) -> Generator[None, None, None]:
        """Signals mean what they mean here as long as the block runs."""
        loop = asyncio.get_running_loop()
        # nohup ignores hang-ups; a shell's `&` ignores SIGINT and SIGQUIT too, but here they are asked for by name.
        nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        handled = [number for number in STOP_SIGNALS if not (nohup and number is signal.SIGHUP)]
        for number in handled:
            loop.add_signal_handler(number, self._stop, number)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)

    def _stop(self, number: signal.Signals) -> None:
        self._output.call(self._welcome.stopping, number.name, self._stopping.is_set())
        self._stopping.set()
