"""`channel-recorder recover`: finishes what a dead process left unfinished."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from channel_recorder.cli.help_groups import OUTPUT, help_group

EXAMPLES = """Examples:
  One recording:
    channel-recorder recover recordings/20260301/lesson-7_101512_345678000

  All below a folder that no living process is writing:
    channel-recorder recover recordings

Run it at any time and as often as you like: what is whole is not touched,
nothing that was recorded is deleted, what is being recorded is left alone."""

_FOLDER = help_group("Where the files go")


def recover_folder(
    folder: Annotated[
        Path, Parameter(name="--folder", help="A recording's folder, or one with recordings in it.", group=_FOLDER)
    ],
    *,
    json: Annotated[
        bool, Parameter(help="One JSON object per line on stdout, for programs.", negative=(), group=OUTPUT)
    ] = False,
) -> int:
    """Finish recordings that a killed process, a full disk or a power failure left unfinished.

    Files get their index, logs their end, and manifest.json and recording2-done.txt are written, as at a clean end.
    """
    # Here, so that the help needs no FFmpeg.
    from channel_recorder.cli.recovering import run_recovery

    return run_recovery(folder, as_json=json)
