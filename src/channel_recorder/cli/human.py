"""The output for people: a line for everything that happens, a live table on a terminal, a closing table."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from channel_recorder.cli.board import Board, OpenFile, Presence
from channel_recorder.cli.figures import clock, one_line, plural
from channel_recorder.cli.report import JoinedFacts, Outcome, Report
from channel_recorder.cli.tables import closing_table, live_view, status_line
from channel_recorder.errors import ErrorCode, StatusCode, WarningCode
from channel_recorder.handler import (
    ConnectionChangedReason,
    ConnectionState,
    OfflineReason,
    RecordedFile,
    RecordingStats,
    RemoteStreamState,
    RemoteStreamStateReason,
    UserJoinInfo,
)
from channel_recorder.model import User

LIVE_REFRESHES_PER_SECOND = 2
PLAIN_STATUS_INTERVAL_SECONDS = 60.0
"""Without a terminal there is no live table; a line now and then shows that it goes on."""

_OFFLINE = {
    OfflineReason.QUIT: "left",
    OfflineReason.DROPPED: "dropped out",
    OfflineReason.BECAME_AUDIENCE: "became audience",
}


class HumanReport(Report):
    """`monotonic_seconds` is a clock that never steps."""

    def __init__(self, console: Console, monotonic_seconds: Callable[[], float]) -> None:
        self._console = console
        self._now = monotonic_seconds
        self._board = Board()
        self._began_seconds: float | None = None
        self._said_status_seconds = 0.0
        self._live: Live | None = None

    def joined(self, facts: JoinedFacts) -> None:
        self._began_seconds = self._now()
        self._say(f"Joined {facts.channel} as {_who(facts)}.")
        self._say(f"Recording into {facts.storage_dir}")
        self._say(_how_it_ends(facts), style="dim")
        if self._console.is_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self.live_view,
                refresh_per_second=LIVE_REFRESHES_PER_SECOND,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=sys.stderr.isatty(),
            )
            self._live.start(refresh=True)

    def live_view(self) -> RenderableType:
        return live_view(self._board, self._elapsed())

    def leaving(self, cause: str, again: bool) -> None:
        if again:
            self._event(f"{cause}: still finishing the files, nothing will be lost", style="yellow")
        else:
            self._event(f"{cause}: leaving, finishing the files")

    def notice(self, message: str) -> None:
        self._event(message, style="yellow")

    def left(self, outcome: Outcome) -> None:
        if self._live is not None:
            self._live.stop()
        if self._began_seconds is None:
            if outcome.exit_code == 0:
                self._say(f"Left before the channel was joined: {outcome.sentence}.")
            return
        files = self._board.closed_files
        self._say(f"Left after {clock(self._elapsed())}: {outcome.sentence}.")
        if files:
            self._console.print(closing_table(files, self._board))
        else:
            self._say("Nothing was recorded: nobody sent anything.")

    def on_error(self, code: ErrorCode, status: StatusCode, message: str) -> None:
        self._event(f"error {int(code)}: {message}", style="bold red")

    def on_warning(self, code: WarningCode, message: str) -> None:
        self._event(f"warning {int(code)}: {message}", style="yellow")

    def on_user_joined(self, uid: int, info: UserJoinInfo) -> None:
        self._board.users[uid] = Presence(account=info.account, name=info.name, joined_seconds=self._elapsed())
        self._event(f"user {self._board.label(uid)} joined")

    def on_user_offline(self, uid: int, reason: OfflineReason) -> None:
        if uid in self._board.users:
            self._board.users[uid].here = False
        self._event(f"user {self._board.label(uid)} {_OFFLINE[reason]}")

    def on_remote_video_stream_state_changed(
        self, uid: int, state: RemoteStreamState, reason: RemoteStreamStateReason
    ) -> None:
        if uid in self._board.users:
            self._board.users[uid].picture = state is RemoteStreamState.RUNNING

    def on_remote_audio_stream_state_changed(
        self, uid: int, state: RemoteStreamState, reason: RemoteStreamStateReason
    ) -> None:
        if uid in self._board.users:
            self._board.users[uid].sound = state is RemoteStreamState.RUNNING

    def on_first_remote_video_frame(self, uid: int, width: int, height: int, elapsed_ms: int) -> None:
        if uid in self._board.users:
            self._board.users[uid].picture_size = f"{width}x{height}"

    def on_connection_state_changed(self, state: ConnectionState, reason: ConnectionChangedReason) -> None:
        if state is ConnectionState.RECONNECTING:
            self._disconnected("the connection broke, connecting again")

    def on_connection_interrupted(self) -> None:
        self._disconnected("no connection for 4 seconds, still trying")

    def on_connection_lost(self) -> None:
        self._disconnected("no connection for 10 seconds, still trying")

    def _disconnected(self, message: str) -> None:
        self._board.connection = f"{message[0].upper()}{message[1:]} ..."
        self._event(message, style="yellow")

    def on_rejoin_channel_success(self, channel_id: str, uid: int) -> None:
        self._board.connection = ""
        self._event("connected again")

    def on_recording_stats(self, stats: RecordingStats) -> None:
        self._board.stats = stats
        due_seconds = self._said_status_seconds + PLAIN_STATUS_INTERVAL_SECONDS
        if not self._console.is_terminal and self._elapsed() >= due_seconds:
            self._said_status_seconds = self._elapsed()
            self._say(status_line(self._board, self._elapsed()))

    def on_file_created(self, path: Path, user: User) -> None:
        self._board.open_files[path] = OpenFile(path=path, uid=user.uid, since_seconds=self._elapsed())
        self._event(f"file {path.name} begun")

    def on_file_closed(self, file: RecordedFile) -> None:
        self._board.open_files.pop(file.path, None)
        self._board.closed_files.append(file)
        self._event(f"file {file.path.name} whole, {clock(file.duration_seconds)} long")

    def _elapsed(self) -> float:
        return 0.0 if self._began_seconds is None else self._now() - self._began_seconds

    def _event(self, message: str, style: str = "") -> None:
        self._say(f"{clock(self._elapsed()):>7}  {message}", style)

    def _say(self, line: str, style: str = "") -> None:
        # Names come from outside: they are no markup, and are not wrapped.
        self._console.print(Text(one_line(line), style=style), soft_wrap=True)


def _who(facts: JoinedFacts) -> str:
    if facts.chosen_uid:
        return f"uid {facts.user.uid} (drawn at random: give --uid for one of your own)"
    if facts.user.account != str(facts.user.uid):
        return f"{facts.user.account} (uid {facts.user.uid})"
    return f"uid {facts.user.uid}"


def _how_it_ends(facts: JoinedFacts) -> str:
    ends = f"Ctrl-C ends it; so do {plural(facts.idle_limit_seconds, 'second')} without anybody."
    if facts.manual:
        return f"Starts with: kill -USR1 {os.getpid()}   pauses with: kill -USR2 {os.getpid()}   {ends}"
    return ends
