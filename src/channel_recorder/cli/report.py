"""What a recording tells on the command line: the engine's callbacks, and what only the command knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from channel_recorder.cli.exits import FAILURE, USAGE
from channel_recorder.errors import ConfigError, RecorderError
from channel_recorder.handler import LeavePath, RecordingHandler
from channel_recorder.model import User


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedFacts:
    storage_dir: Path
    channel: str
    user: User
    chosen_uid: bool
    """The uid was drawn at random, because none was given."""
    manual: bool
    idle_limit_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    reason: str
    """A LeavePath in lower case, or `join_failed`."""
    sentence: str
    exit_code: int = 0
    error: RecorderError | None = None


class Report(RecordingHandler):
    """Called in order on one thread, never on the media loop."""

    def joined(self, facts: JoinedFacts) -> None:
        """The first thing told."""

    def leaving(self, cause: str, again: bool) -> None:
        """A signal asked to leave; `again`: not the first one."""

    def notice(self, message: str) -> None:
        """Something the user did has no effect, or has one worth telling."""

    def left(self, outcome: Outcome) -> None:
        """The last thing told: every file is whole, or the join failed."""


_SENTENCES = {
    LeavePath.FAILED_INIT: "the recording could not be started",
    LeavePath.SIGNAL: "stopped by a signal",
    LeavePath.NOBODY_LEFT: "nobody was there any more",
    LeavePath.TIMER: "nobody was there for too long",
    LeavePath.CLIENT_INITIATED: "stopped on request",
    LeavePath.CHANNEL_ENDED: "the channel ended for the recorder",
    LeavePath.CONNECTION_FAILED: "the connection was lost and could not be regained",
    LeavePath.STORAGE_FAILED: "the recordings folder is full or gone",
}
_FAILURES = (LeavePath.CONNECTION_FAILED, LeavePath.STORAGE_FAILED)


def outcome_of_leave(path: LeavePath) -> Outcome:
    failed = path is LeavePath.FAILED_INIT or any(failure in path for failure in _FAILURES)
    return Outcome(
        reason=(path.name or "left").lower(),
        sentence=" and ".join(_SENTENCES[part] for part in path) or _SENTENCES[LeavePath.FAILED_INIT],
        exit_code=FAILURE if failed else 0,
    )


def outcome_of_error(error: RecorderError, reason: str) -> Outcome:
    exit_code = USAGE if isinstance(error, ConfigError) else FAILURE
    return Outcome(reason=reason, sentence=str(error), exit_code=exit_code, error=error)
