"""The tables of the human output."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from channel_recorder.cli.board import Board, Presence, bytes_on_disk
from channel_recorder.cli.figures import clock, plural, rate, size
from channel_recorder.handler import RecordedFile, RecordingStats


def live_view(board: Board, elapsed_seconds: float) -> RenderableType:
    """Who is there with growing durations and sizes, and one line of figures below."""
    here = board.here()
    parts: list[RenderableType] = []
    if here:
        parts.append(_presence_table(board, here, elapsed_seconds))
    elif not board.connection:
        parts.append(Text("Nobody is there.", style="dim"))
    if board.connection:
        parts.append(Text(board.connection, style="bold yellow"))
    parts.append(Text(status_line(board, elapsed_seconds), style="bold"))
    return Group(*parts)


def status_line(board: Board, elapsed_seconds: float) -> str:
    """`0:32  2 users  2 files  12.3 MB  1.2 Mbit/s`, and what was lost if anything was."""
    words = [clock(elapsed_seconds), plural(len(board.here()), "user")]
    words += _figures(board.stats) if board.stats else []
    return "  ".join(words)


def closing_table(files: Sequence[RecordedFile], board: Board) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("File", overflow="fold")
    table.add_column("User")
    table.add_column("Source")
    table.add_column("Duration", justify="right")
    table.add_column("Size", justify="right")
    table.add_column("Codecs")
    for file in sorted(files, key=lambda file: (file.user.uid, file.start_seconds, file.path.name)):
        table.add_row(
            Text(file.path.name),
            Text(board.label(file.user.uid)),
            file.source,
            clock(file.duration_seconds),
            size(file.bytes),
            " + ".join(file.codecs),
        )
    return table


def _presence_table(board: Board, here: list[tuple[int, Presence]], elapsed_seconds: float) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("User")
    table.add_column("There", justify="right")
    table.add_column("Sound")
    table.add_column("Picture")
    table.add_column("File")
    table.add_column("Size", justify="right")
    for uid, user in here:
        files = board.files_of(uid)
        table.add_row(
            Text(board.label(uid)),
            clock(elapsed_seconds - user.joined_seconds),
            "on" if user.sound else "-",
            (user.picture_size or "on") if user.picture else "-",
            Text("\n".join(file.path.name for file in files) or "-"),
            "\n".join(size(bytes_on_disk(file.path)) for file in files),
        )
    return table


def _figures(stats: RecordingStats) -> list[str]:
    words = [plural(stats.open_files, "open file"), size(stats.written_bytes), rate(stats.received_kbps)]
    if stats.lost_packets:
        words.append(plural(stats.lost_packets, "packet") + " lost")
    if stats.dropped_frames:
        words.append(plural(stats.dropped_frames, "frame") + " left out")
    return words
