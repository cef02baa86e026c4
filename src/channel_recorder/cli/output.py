"""Where the command line writes to, so that a slow or closed reader never holds up a recording."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import IO, TextIO, TypeVarTuple, cast

from channel_recorder.callbacks import CallbackRunner

Arguments = TypeVarTuple("Arguments")


class SteadyStream(io.TextIOBase):
    """A text stream whose reader may go away: what nobody reads any more is thrown away."""

    def __init__(self, stream: TextIO | None) -> None:
        # None: the process was started with the stream closed.
        self._stream = stream or io.StringIO()

    def write(self, text: str, /) -> int:
        try:
            self._stream.write(self._writable(text))
        except OSError:
            self._abandon()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._abandon()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stream, "encoding", None) or "utf-8"

    def _writable(self, text: str) -> str:
        # A terminal that is not UTF-8 must not fail on a user's name.
        return text.encode(self.encoding, "replace").decode(self.encoding)

    def _abandon(self) -> None:
        # Python flushes its streams again at exit, and would fail there.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)


def standard_output() -> IO[str]:
    return cast("IO[str]", SteadyStream(sys.stdout))


class Output:
    """Runs callbacks in order on `runner`, after the first words are said.

    A program that reads the output relies on what comes first; what the engine tells before is held back.
    """

    def __init__(self, runner: CallbackRunner) -> None:
        self._runner = runner
        self._held: list[Callable[[], None]] | None = []

    def call(self, callback: Callable[[*Arguments], None], *arguments: *Arguments) -> None:
        if self._held is None:
            self._runner.call(callback, *arguments)
        else:
            self._held.append(lambda: callback(*arguments))

    def begin(self, callback: Callable[[*Arguments], None], *arguments: *Arguments) -> None:
        """Says the first words, then all that was held back."""
        held, self._held = self._held or [], None
        self._runner.call(callback, *arguments)
        for call in held:
            self._runner.call(call)

    def discard(self) -> None:
        """Forgets what was held back."""
        self._held = None

    def close(self) -> None:
        """The engine says no more; the command line still does, so `finish` closes."""

    def finish(self, timeout_seconds: float) -> bool:
        """Waits until everything is written. False: nobody reads it."""
        written = threading.Event()
        self.discard()
        self._runner.call(written.set)
        self._runner.close()
        return written.wait(timeout_seconds)


class LogToOutput(logging.Handler):
    """Log records go the way of all output: writing them here would block the loop they come from."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._output.call(_write_error_line, self.format(record))


@contextmanager
def log_through(output: Output) -> Generator[None, None, None]:
    """The process's log goes to `output` while the block runs."""
    handler = LogToOutput(output)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def _write_error_line(line: str) -> None:
    # Looked up now: a live table replaces the stream while it is shown.
    stream = SteadyStream(sys.stderr)
    stream.write(f"{line}\n")
    stream.flush()
