"""What the recorded files hold, as measured by decoding them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from testbed.readback import Playback, read_back
from testbed.recorder import Recording

MAX_OFFSET_SECONDS = 0.040
"""Sound and picture further apart than this are seen to be."""
CAPTION = """missing: pictures that were sent and are not in the file
offset: how much later than the picture the sound comes, median and worst"""


@dataclass(frozen=True, slots=True)
class Finding:
    path: Path
    entry: dict[str, Any]
    """The file's entry of the manifest."""
    playback: Playback

    @property
    def is_good(self) -> bool:
        """Nothing missing, nothing broken, sound and picture in step."""
        sync = self.playback.sync
        is_whole = not (self.playback.missing_counters or self.playback.decode_errors or self.playback.sound_breaks)
        return is_whole and sync is not None and abs(sync.worst_seconds) <= MAX_OFFSET_SECONDS

    @property
    def pictures(self) -> str:
        shown, missing = len(self.playback.counters), len(self.playback.missing_counters)
        return f"[{'red' if missing else 'green'}]{missing} of {shown + missing}[/]"

    @property
    def offset(self) -> str:
        sync = self.playback.sync
        if sync is None:
            return "[red]not found[/]"
        colour = "green" if abs(sync.worst_seconds) <= MAX_OFFSET_SECONDS else "red"
        median, worst = sync.median_seconds * 1000, sync.worst_seconds * 1000
        return f"[{colour}]{median:+.0f}, {worst:+.0f} ms[/]"


def findings_of(recording: Recording) -> list[Finding]:
    return [
        Finding(recording.directory / entry["name"], entry, read_back(recording.directory / entry["name"]))
        for entry in sorted(recording.files, key=lambda entry: entry["name"])
    ]


def table_of(findings: list[Finding]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False, caption=CAPTION, caption_justify="left")
    for heading in ("file", "length", "codecs", "size", "missing", "offset"):
        table.add_column(heading, justify="left" if heading in ("file", "codecs") else "right", no_wrap=True)
    for finding in findings:
        table.add_row(
            finding.path.name,
            f"{finding.playback.duration_seconds:.2f} s",
            " + ".join(stream["codec"] for stream in finding.entry["streams"]),
            f"{finding.entry['bytes'] / 1000:,.0f} kB",
            finding.pictures,
            finding.offset,
        )
    return table
