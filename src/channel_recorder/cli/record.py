"""`channel-recorder record`: joins a channel and records it until it is over."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import uvloop
from cyclopts import Parameter

from channel_recorder import arguments
from channel_recorder.callbacks import CallbackThread
from channel_recorder.channel.join_request import server_name
from channel_recorder.cli.config_flags import SECRET_VARIABLES, config_flags, config_of
from channel_recorder.cli.connection import (
    APP_CERTIFICATE_VARIABLE,
    APP_ID_VARIABLE,
    CONNECTION,
    SERVER_URL_VARIABLE,
    TOKEN_VARIABLE,
    AppCertificate,
    AppId,
    ServerUrl,
    Token,
    required,
    secret_of,
)
from channel_recorder.cli.exits import UsageError
from channel_recorder.cli.help_groups import OUTPUT
from channel_recorder.cli.json_lines import JsonLines
from channel_recorder.cli.output import Output, log_through, standard_output
from channel_recorder.cli.report import Outcome, Report
from channel_recorder.cli.run import Engine, Plan, RecordingRun
from channel_recorder.clock import monotonic_seconds, utc_now
from channel_recorder.config import RecordingConfig
from channel_recorder.errors import JoinError, RecorderError, TokenError
from channel_recorder.model import FIRST_ASSIGNED_UID
from channel_recorder.protocol.classic_tokens import account_of, is_classic_token
from channel_recorder.protocol.tokens import read_unverified
from channel_recorder.recording.users import is_uid, user_of

EXAMPLES = """Examples:
  The secret stays in the environment, the files go to ./recordings:
    export CHANNEL_RECORDER_SERVER_URL=ws://127.0.0.1:7880
    export CHANNEL_RECORDER_APP_ID=devkey CHANNEL_RECORDER_APP_CERTIFICATE=...
    channel-recorder record lesson-7 --record-file-root-dir recordings

  Sound only, gone 10 seconds after the last one left, events for a program:
    channel-recorder record lesson-7 --is-audio-only --idle-limit-sec 10 --json

  Only the pictures of 7 and 9, the secret from a file:
    channel-recorder record lesson-7 --app-certificate @/run/secrets/livekit \\
      --no-auto-subscribe --subscribe-video-uids 7,9

It stays until nobody was there for --idle-limit-sec, the channel ends, or a
signal comes: SIGINT, SIGTERM, SIGQUIT and SIGHUP leave and finish the files.
With --trigger-mode 1 SIGUSR1 starts and SIGUSR2 pauses.

Exit status: 0 clean end, 1 failure, 2 wrong usage.
The classic spelling works too: --recordFileRootDir, --isAudioOnly 1, --idle 10.
Flags of the classic SDK that are not listed are known, but not supported yet."""

FINISH_OUTPUT_SECONDS = 3.0
PLAIN_WIDTH = 200
"""Columns where there is no terminal: file names stay in one piece."""
LogLevel = Literal[1, 2, 3, 4, 5, 6]

Channel = Annotated[str, Parameter(name="--channel", help="Name of the channel.", group=CONNECTION)]
Uid = Annotated[
    int | None,
    Parameter(
        help="Number of the recorder, 1 to 4294967295, nobody else's in the channel. "
        "Without it and without an account: the one in the token, else one at random.",
        metavar="UID",
        group=CONNECTION,
    ),
]
UserAccount = Annotated[
    str | None,
    Parameter(help="Name of the recorder, in channels whose members have names.", metavar="ACCOUNT", group=CONNECTION),
]
Json = Annotated[
    bool,
    Parameter(
        help="One JSON object per event per line on standard output. The first is "
        '{"event":"joined","storage_dir":...}, the last {"event":"left",...}.',
        negative=(),
        show_default=False,
        group=OUTPUT,
    ),
]
LogLevelFlag = Annotated[
    LogLevel,
    Parameter(
        help="What goes to the log on standard error: 1 fatal, 2 error, 3 warning, 4 notice, 5 info, 6 debug.",
        show_choices=False,
        metavar="1..6",
        group=OUTPUT,
    ),
]


@config_flags
def record(
    channel: Channel,
    *,
    server_url: ServerUrl = None,
    app_id: AppId = None,
    app_certificate: AppCertificate = None,
    token: Token = None,
    uid: Uid = None,
    user_account: UserAccount = None,
    json: Json = False,
    log_level: LogLevelFlag = 3,
    **settings: Any,
) -> int:
    """Record a channel: one playable file per user, sound and picture in step.

    The files lie in <folder>/<yyyymmdd>/<channel>_<time>/ and play from their first second on.
    """
    secrets = {
        name: secret_of(settings.get(name), f"--{name.replace('_', '-')}", variable)
        for name, variable in SECRET_VARIABLES.items()
    }
    config = config_of(settings | secrets)
    access = ServerAccess(
        url=required(server_url, "--server-url", SERVER_URL_VARIABLE),
        app_id=required(app_id, "--app-id", APP_ID_VARIABLE),
        app_certificate=secret_of(app_certificate, "--app-certificate", APP_CERTIFICATE_VARIABLE),
    )
    try:
        server_name(access.url)
        arguments.check_app_id(access.app_id)
        plan = _plan(channel, uid, user_account, secret_of(token, "--token", TOKEN_VARIABLE), config)
    except JoinError as error:
        # What the engine refuses before it touches anything is wrong usage here.
        raise UsageError(str(error)) from None
    return run_recording(plan, access, json, log_level)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAccess:
    url: str
    app_id: str
    app_certificate: str | None = field(repr=False)


def make_engine(access: ServerAccess, report: Report, output: Output) -> Engine:
    # Loaded now: the help needs no media stack.
    from channel_recorder.aio import RecordingEngine

    return RecordingEngine(
        access.app_id, report, server_url=access.url, app_certificate=access.app_certificate, callbacks=output
    )


def run_recording(plan: Plan, access: ServerAccess, json: bool, log_level: LogLevel) -> int:
    """Records to the end and returns the exit status. Raises `RecorderError` for what failed."""
    report = _report(json)
    output = Output(CallbackThread("channel-recorder-output"))
    with log_through(output):
        outcome = uvloop.run(_record(plan, access, report, output, log_level))
    written = output.finish(FINISH_OUTPUT_SECONDS)
    if not written:
        # Whoever should read our output does not, and Python would wait for it at exit.
        os._exit(outcome.exit_code)
    if outcome.exit_code:
        raise outcome.error or RecorderError(outcome.sentence)
    return 0


async def _record(plan: Plan, access: ServerAccess, report: Report, output: Output, log_level: LogLevel) -> Outcome:
    engine = make_engine(access, report, output)
    engine.set_log_level(log_level)
    return await RecordingRun(plan, engine, report, output).run()


def _plan(channel: str, uid: int | None, user_account: str | None, token: str | None, config: RecordingConfig) -> Plan:
    """Raises `UsageError`, `ConfigError`, `ChannelNameError`."""
    if uid is not None and user_account is not None:
        raise UsageError("--uid and --user-account both name the recorder: give only one of them")
    arguments.check_channel_id(channel)
    identity = str(uid) if uid is not None else user_account or _identity_in(token)
    if uid is not None:
        arguments.check_uid(uid)
    if user_account is not None:
        arguments.check_user_account(user_account)
    return Plan(
        channel=channel,
        user=user_of(identity or str(random.randrange(1, FIRST_ASSIGNED_UID))),
        by_account=user_account is not None or (identity is not None and not is_uid(identity)),
        chosen_uid=identity is None,
        token=token,
        config=config,
    )


def _identity_in(token: str | None) -> str | None:
    """Whom the token is for. None: it does not say, or is of a kind that only the server reads."""
    try:
        if not token:
            return None
        return (account_of(token) if is_classic_token(token) else read_unverified(token).identity) or None
    except TokenError:
        return None


def _report(json: bool) -> Report:
    if json:
        return JsonLines(standard_output(), utc_now)
    # Rich is slow to load, and a program needs none of it.
    from rich.console import Console

    from channel_recorder.cli.human import HumanReport

    output = standard_output()
    width = None if output.isatty() else PLAIN_WIDTH
    return HumanReport(Console(file=output, highlight=False, width=width), monotonic_seconds)
