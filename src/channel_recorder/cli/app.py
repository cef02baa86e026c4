"""Puts the commands together, and turns what went wrong into one sentence and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from cyclopts import App, CycloptsError, UnusedCliTokensError

from channel_recorder import __version__
from channel_recorder.cli import record, recover, serve, token, unseal
from channel_recorder.cli.classic import modern_spelling
from channel_recorder.cli.config_flags import flag_spelling
from channel_recorder.cli.exits import FAILURE, INTERRUPTED, USAGE, UsageError
from channel_recorder.cli.figures import one_line
from channel_recorder.errors import ConfigError, RecorderError

_HELP = """Records WebRTC calls and live broadcasts on your own machine.

It joins a channel as a silent member, writes what everyone sends, and leaves when nobody is left.
With no channel server at hand, it is one: serve."""

_EPILOGUE = """Start here:
  channel-recorder serve
  channel-recorder serve --help
  channel-recorder record --help
  channel-recorder token --help
  channel-recorder recover --help
  channel-recorder unseal --help

Exit status: 0 clean end, 1 failure, 2 wrong usage."""

_COMMANDS: dict[str, tuple[Callable[..., int], str]] = {
    "record": (record.record, record.EXAMPLES),
    "recover": (recover.recover_folder, recover.EXAMPLES),
    "serve": (serve.serve, serve.EXAMPLES),
    "token": (token.token, token.EXAMPLES),
    "unseal": (unseal.unseal, unseal.EXAMPLES),
}


def make_app() -> App:
    app = App(
        name="channel-recorder",
        help=_HELP,
        help_format="plaintext",
        help_epilogue=_EPILOGUE,
        version=__version__,
        exit_on_error=False,
        print_error=False,
        result_action="return_value",
    )
    for name, (command, epilogue) in _COMMANDS.items():
        sub_app = App(name=name, help_epilogue=epilogue, version_flags=(), help_format="plaintext")
        sub_app.default(command)
        app.command(sub_app)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (default: the process's own). Returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = make_app()(modern_spelling(given))
    except CycloptsError as error:
        return _fail(f"{_sentence(error)} (see channel-recorder {_command_of(given)}--help)", USAGE)
    except (UsageError, ConfigError) as error:
        return _fail(flag_spelling(str(error)), USAGE)
    except RecorderError as error:
        return _fail(str(error), FAILURE)
    except KeyboardInterrupt:
        return INTERRUPTED
    return status if isinstance(status, int) else 0


def _fail(sentence: str, status: int) -> int:
    sys.stderr.write(f"channel-recorder: {one_line(' '.join(sentence.split()))}\n")
    return status


def _sentence(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        # Not repeated: it may be a secret whose flag was mistyped.
        return "there are more arguments than this command takes: is a flag missing before a value?"
    return str(error).rstrip(".")


def _command_of(given: Sequence[str]) -> str:
    return f"{given[0]} " if given and given[0] in _COMMANDS else ""
