"""`channel-recorder serve`: runs a channel server, with a page to hold a call on and a Record button."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from channel_recorder.cli.connection import secret_of
from channel_recorder.cli.exits import UsageError
from channel_recorder.cli.help_groups import OUTPUT, help_group
from channel_recorder.cli.record import LogLevel, LogLevelFlag
from channel_recorder.errors import ConfigError

EXAMPLES = """Examples:
  On this machine, for this machine: open the address it prints in a browser.
    channel-recorder serve

  For others too, with keys of your own and TLS, which browsers ask for before
  they give a page the camera:
    export CHANNEL_RECORDER_KEYS="mykey: $(openssl rand -hex 32)"
    export CHANNEL_RECORDER_PAGE_PASSWORD=...
    channel-recorder serve --host 0.0.0.0 --tls-certificate cert.pem \\
      --tls-key key.pem --advertise-address 203.0.113.7

  Members who come with an App ID alone, as where there is no certificate:
    channel-recorder serve --keys 970ca35de60c44645bbae8a215061b33

LiveKit's client SDKs join it unchanged. It does a subset of what a LiveKit
server does, on one machine: for more, give the same clients and recorders the
URL of a LiveKit cluster. `channel-recorder token` makes tokens; AccessToken 006
and 007 are taken too, with ?channel=NAME&uid=NUMBER behind the server's URL
where the token does not tell.

SIGINT and SIGTERM finish all recordings, tell the clients, and end it.
Exit status: 0 clean end, 1 failure, 2 wrong usage."""

KEYS_VARIABLE = "CHANNEL_RECORDER_KEYS"
PAGE_PASSWORD_VARIABLE = "CHANNEL_RECORDER_PAGE_PASSWORD"
_SERVER, _MEDIA = help_group("Server"), help_group("Media")
_PAGE, _LIMITS = help_group("Page and recordings"), help_group("Limits")
_FIELDS = re.compile(r"\b(anyone_may_join|rtc_tcp_port|rtc_port)\b")


def serve(
    *,
    host: Annotated[
        str,
        Parameter(
            help="Address to serve at. 127.0.0.1: for this machine only; 0.0.0.0: for all that reach it.",
            metavar="ADDRESS",
            group=_SERVER,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, Parameter(help="For WebSockets, RoomService and the page.", metavar="PORT", group=_SERVER)
    ] = 7880,
    keys: Annotated[
        tuple[str, ...],
        Parameter(
            help="KEY:SECRET that tokens are made with; KEY alone lets in whoever names it; @FILE holds one a line. "
            "May be given again. Better from the environment: what is on the command line, everybody on the machine "
            "can see in the process list. Without: devkey and a secret made up for this run. "
            f"[env var: {KEYS_VARIABLE}]",
            metavar="KEY:SECRET",
            negative=(),
            show_default=False,
            group=_SERVER,
        ),
    ] = (),
    anyone_may_join: Annotated[
        bool,
        Parameter(
            help="Serve a KEY without a secret to other machines too.", negative=(), show_default=False, group=_SERVER
        ),
    ] = False,
    tls_certificate: Annotated[
        Path | None,
        Parameter(help="PEM file with the certificate and its chain: https and wss.", metavar="FILE", group=_SERVER),
    ] = None,
    tls_key: Annotated[
        Path | None, Parameter(help="PEM file with its private key.", metavar="FILE", group=_SERVER)
    ] = None,
    webhook_url: Annotated[
        tuple[str, ...],
        Parameter(
            help="Is told what happens in the rooms, as LiveKit's webhooks. May be given again.",
            metavar="URL",
            negative=(),
            show_default=False,
            group=_SERVER,
        ),
    ] = (),
    rtc_port: Annotated[
        int | None,
        Parameter(help="UDP port of all media. Default: two above --port. 0: no UDP.", metavar="PORT", group=_MEDIA),
    ] = None,
    rtc_tcp_port: Annotated[
        int | None,
        Parameter(
            help="TCP port of media, for networks that let no UDP through. Default: one above --port. 0: none.",
            metavar="PORT",
            group=_MEDIA,
        ),
    ] = None,
    advertise_address: Annotated[
        tuple[str, ...],
        Parameter(
            help="An address under which clients reach this machine beside its own, as behind NAT. May be given again.",
            metavar="ADDRESS",
            negative=(),
            show_default=False,
            group=_MEDIA,
        ),
    ] = (),
    recordings: Annotated[
        Path, Parameter(help="What is recorded from the page or over HTTP lies here.", metavar="FOLDER", group=_PAGE)
    ] = Path("recordings"),
    page_password: Annotated[
        str | None,
        Parameter(
            help="Of the page, or @FILE that holds it. On this machine the page needs none; for others it is closed "
            "without. Better from the environment.",
            env_var=PAGE_PASSWORD_VARIABLE,
            metavar="PASSWORD",
            group=_PAGE,
        ),
    ] = None,
    max_recordings: Annotated[int, Parameter(help="At one time.", metavar="N", group=_LIMITS)] = 64,
    max_rooms: Annotated[int, Parameter(help="At one time.", metavar="N", group=_LIMITS)] = 1000,
    max_participants: Annotated[
        int,
        Parameter(help="People in one room; recorders are not counted. 0: a thousand.", metavar="N", group=_LIMITS),
    ] = 0,
    json: Annotated[
        bool,
        Parameter(
            help="One JSON object per line on standard output. The first is "
            '{"event":"serving","url":...}, the last {"event":"stopped"}.',
            negative=(),
            show_default=False,
            group=OUTPUT,
        ),
    ] = False,
    log_level: LogLevelFlag = 3,
) -> int:
    """Serve channels, with a page to hold a call on and a Record button. One process is all it takes."""
    _check_numbers(
        port=port,
        rtc_port=rtc_port,
        rtc_tcp_port=rtc_tcp_port,
        max_recordings=max_recordings,
        max_rooms=max_rooms,
        max_participants=max_participants,
    )
    if (tls_certificate is None) != (tls_key is None):
        raise UsageError("--tls-certificate and --tls-key belong together: give both")
    return serve_until_signal(
        ServeFlags(
            keys=_key_texts(keys),
            host=host,
            port=port,
            rtc_port=rtc_port,
            rtc_tcp_port=rtc_tcp_port,
            advertise=advertise_address,
            tls_certificate=tls_certificate,
            tls_key=tls_key,
            webhook_urls=webhook_url,
            recordings=recordings,
            max_recordings=max_recordings,
            page_password=secret_of(page_password, "--page-password", PAGE_PASSWORD_VARIABLE),
            anyone_may_join=anyone_may_join,
            max_rooms=max_rooms,
            max_participants=max_participants,
            json=json,
            log_level=log_level,
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeFlags:
    """The command line, before anything is loaded that serves."""

    host: str
    port: int
    keys: tuple[str, ...] = field(repr=False)
    """Empty: make one up."""
    anyone_may_join: bool
    tls_certificate: Path | None
    tls_key: Path | None
    webhook_urls: tuple[str, ...] = field(repr=False)
    rtc_port: int | None
    rtc_tcp_port: int | None
    advertise: tuple[str, ...]
    recordings: Path
    page_password: str | None = field(repr=False)
    max_recordings: int
    max_rooms: int
    max_participants: int
    json: bool
    log_level: LogLevel


def serve_until_signal(flags: ServeFlags) -> int:
    # Loaded now: the help needs neither web server nor media stack.
    from channel_recorder.cli.serving import run_server

    try:
        return run_server(flags)
    except ConfigError as error:
        raise UsageError(_FIELDS.sub(lambda name: f"--{name[0].replace('_', '-')}", str(error))) from None


def _key_texts(given: tuple[str, ...]) -> tuple[str, ...]:
    """Raises UsageError."""
    from_environment = os.environ.get(KEYS_VARIABLE)
    texts = given or ((from_environment,) if from_environment else ())
    return tuple(_key_text(text) for text in texts)


def _key_text(text: str) -> str:
    """A key without a secret is none that must be hidden."""
    if ":" not in text and not text.startswith("@"):
        return text
    return secret_of(text, "--keys", KEYS_VARIABLE) or ""


def _check_numbers(**numbers: int | None) -> None:
    for name, number in numbers.items():
        flag, is_port = f"--{name.replace('_', '-')}", name.endswith("port")
        least, most = 0 if is_port or name == "max_participants" else 1, 65_535 if is_port else 1_000_000
        if number is not None and not least <= number <= most:
            raise UsageError(f"{flag}={number} is not acceptable: give a number from {least} to {most}")
