"""What a server says of itself when it starts and stops, for people and for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import IO, Any, Protocol

from channel_recorder.sfu.access import SECRET_LENGTH
from channel_recorder.wiring.serve import ServingProcess


class Welcome(Protocol):
    """Called in order on one thread, never on the media loop."""

    def serving(self, process: ServingProcess) -> None: ...

    def stopping(self, cause: str, again: bool) -> None: ...

    def stopped(self) -> None: ...


class HumanWelcome:
    def __init__(self, stream: IO[str], *, shows_secret: bool) -> None:
        """`shows_secret`: it was made up for this run, so that nobody knows it yet."""
        self._stream = stream
        self._shows_secret = shows_secret

    def serving(self, process: ServingProcess) -> None:
        _warn(process)
        lines = [
            f"Serving channels at {process.url}, media on {media_ports(process)}.",
            "",
            f"  Hold a call    open {process.page_url} in a browser; Record is a button there",
            f"  Recordings     {process.settings.recordings.resolve()}",
            *self._recorder_lines(process),
            "",
            *self._closing_lines(process),
        ]
        self._say("\n".join(lines))

    def stopping(self, cause: str, again: bool) -> None:
        self._say(f"{cause}: {'still ' if again else ''}finishing recordings, telling clients")

    def stopped(self) -> None:
        self._say("Stopped.")

    def _recorder_lines(self, process: ServingProcess) -> Iterator[str]:
        keys = process.settings.keys
        key = next(iter(keys.secrets), None)
        yield f"  From a shell   export CHANNEL_RECORDER_SERVER_URL={process.url}"
        if key is None:
            yield f"                 export CHANNEL_RECORDER_APP_ID={min(keys.open)}"
        else:
            secret = keys.secrets[key] if self._shows_secret else "..."
            yield f"                 export CHANNEL_RECORDER_APP_ID={key}"
            yield f"                 export CHANNEL_RECORDER_APP_CERTIFICATE={secret}"
        yield "                 channel-recorder record CHANNEL"

    def _closing_lines(self, process: ServingProcess) -> Iterator[str]:
        if self._shows_secret:
            yield "The App Certificate was made up for this run: keep one of your own with --keys."
        if process.address.is_loopback:
            yield "Only this machine can connect: see --host. Ctrl+C ends it."
        else:
            yield "Ctrl+C ends it."

    def _say(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


class JsonWelcome:
    """Every object has `event` first and `time` (ISO 8601, UTC) last."""

    def __init__(self, stream: IO[str], utc_now: Callable[[], datetime]) -> None:
        self._stream = stream
        self._utc_now = utc_now

    def serving(self, process: ServingProcess) -> None:
        _warn(process)
        self._tell(
            "serving",
            url=process.url,
            page=process.page_url,
            rtc_port=udp_port(process),
            rtc_tcp_port=process.media.tcp_port,
            recordings=str(process.settings.recordings.resolve()),
        )

    def stopping(self, cause: str, again: bool) -> None:
        self._tell("stopping", signal=cause, again=again)

    def stopped(self) -> None:
        self._tell("stopped")

    def _tell(self, event: str, **fields: Any) -> None:
        now = self._utc_now().isoformat(timespec="milliseconds")
        self._stream.write(json.dumps({"event": event, **fields, "time": now}) + "\n")
        self._stream.flush()


def udp_port(process: ServingProcess) -> int | None:
    return None if process.settings.rtc_port == 0 else process.media.udp_port


def media_ports(process: ServingProcess) -> str:
    ports = (("UDP", udp_port(process)), ("TCP", process.media.tcp_port))
    return " and ".join(f"{kind} {number}" for kind, number in ports if number is not None)


def warnings_of(process: ServingProcess) -> Iterator[str]:
    """What is dangerous, or will not work, in how it is served. No secret is in it."""
    settings, weak = process.settings, process.settings.keys.weak
    if weak:
        yield (
            f"whoever has a token can guess the secret of {', '.join(weak)}: "
            f"give one of at least {SECRET_LENGTH} characters"
        )
    if process.address.is_loopback:
        return
    if settings.keys.open:
        yield f"whoever can reach this machine may join with the App ID {', '.join(sorted(settings.keys.open))}"
    if settings.tls_certificate is None:
        yield "without TLS browsers on other machines give the page no camera: give --tls-certificate and --tls-key"
    if not settings.page_password:
        yield "the page is closed, because others could use it: give it a --page-password"


def _warn(process: ServingProcess) -> None:
    for warning in warnings_of(process):
        sys.stderr.write(f"channel-recorder: warning: {warning}\n")
