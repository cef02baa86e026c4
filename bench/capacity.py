"""How many channels one core records: two users each, 320x240 at 15 pictures/s (VP8, 200 kbit/s) and Opus.

The recorder's process is held to one core, a light sender (bench.sender) runs on another; what is real and what is
not is told in bench.channels. For each number of channels: processor time of all its threads, packets that did not
arrive or were given up, files in which a frame is missing, and how late media loop and sender were at worst (on a
shared machine mostly others' doing; sound that is sent more than 0.3 s late is given up). Channels per core: where that
processor time would fill the core, by the largest run that lost nothing. Not in it: DTLS, and the WebSocket with its
ping every 10 s or so.

python -m bench.capacity
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import report
from bench.channels import Outcome

CHANNELS = (50, 100, 200, 300, 350, 400, 450)
GOAL_CHANNELS = 300
WARM_UP_SECONDS = 2.0
SECONDS = 8.0
FULL = 0.97
ROOT = Path(__file__).resolve().parent.parent


class _Process:
    """A child that is talked to in lines."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError("a process of the bench ended early")
        return line

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def run(channels: int) -> tuple[Outcome, dict[str, Any]]:
    """What the recorder measured, and what the sender says."""
    cores = sorted(os.sched_getaffinity(0))
    sender = _Process("bench.sender", str(cores[-1]))
    try:
        with tempfile.TemporaryDirectory() as folder:
            recorder = _Process("bench.channels", str(cores[0]), sender.hear(), str(channels), folder)
            try:
                recorder.hear()
                sender.say(f"send {WARM_UP_SECONDS + SECONDS}")
                recorder.say(f"measure {WARM_UP_SECONDS} {SECONDS}")
                sent = json.loads(sender.hear())
                recorder.say("finish")
                outcome = Outcome(**json.loads(recorder.hear()))
            finally:
                recorder.end()
    finally:
        sender.end()
    return outcome, sent


def measure() -> list[report.Figure]:
    figures: list[report.Figure] = []
    best = None
    for channels in CHANNELS:
        outcome, sent = run(channels)
        missing = sent["packets_each"] * channels - outcome.packets
        load = outcome.cpu_seconds / outcome.seconds
        figures.append(_figure(outcome, missing, load, sent["late_seconds"]))
        if not (missing or outcome.lost_packets or outcome.broken_files) and outcome.files == 2 * channels:
            best = outcome
        if load > FULL:
            break
    if best is not None:
        per_core = best.channels / (best.cpu_seconds / best.seconds)
        note = f"measured with {best.channels} channels, which lost nothing"
        figures.append(
            report.Figure(
                what="channels of two users per core", value=per_core, unit="", at_least=GOAL_CHANNELS, note=note
            )
        )
    return figures


def _figure(outcome: Outcome, missing: int, load: float, sender_late: float) -> report.Figure:
    note = (
        f"{load:.0%} of a core; packets missing {missing + outcome.lost_packets}; files {outcome.files}, with frames "
        f"missing {outcome.broken_files}; late at worst: loop {outcome.lag_seconds * 1e3:.0f} ms, sender "
        f"{sender_late * 1e3:.0f} ms; "
        f"all stopped in {outcome.stop_seconds:.1f} s"
    )
    what = f"processor time per channel and second, {outcome.channels} channels"
    return report.Figure(what=what, value=load / outcome.channels * 1e3, unit="ms", note=note)


if __name__ == "__main__":
    report.run("Channels per core", measure)
