"""Figures with their goals, as one table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

console = Console(width=None if os.isatty(1) else 140, highlight=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    what: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def goal(self) -> str:
        if self.at_most is not None:
            return f"<= {self.at_most:g} {self.unit}"
        return f">= {self.at_least:g} {self.unit}" if self.at_least is not None else ""

    @property
    def verdict(self) -> str:
        if self.at_most is None and self.at_least is None:
            return ""
        missed = (self.at_most is not None and self.value > self.at_most) or (
            self.at_least is not None and self.value < self.at_least
        )
        return "missed" if missed else "met"


def machine() -> str:
    """What the figures depend on."""
    usable = len(os.sched_getaffinity(0))
    return f"{_processor()}, {usable} cores, Linux {platform.release()}, Python {platform.python_version()}"


def show(title: str, figures: Iterable[Figure]) -> None:
    table = Table(title=title, title_justify="left", caption=machine(), caption_justify="left")
    table.add_column("figure", no_wrap=True)
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("goal", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("note")
    for figure in figures:
        measured = f"{figure.value:.{_decimals(figure.value)}f} {figure.unit}"
        table.add_row(figure.what, measured, figure.goal, figure.verdict, figure.note)
    console.print(table)


def run(title: str, measure: Callable[[], Sequence[Figure]]) -> None:
    """The main function of a bench. `--figures FILE` writes them as JSON for `python -m bench`."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--figures", type=Path, metavar="FILE")
    path: Path | None = parser.parse_args().figures
    figures = measure()
    if path is None:
        show(title, figures)
    else:
        path.write_text(json.dumps([asdict(figure) for figure in figures]))


def read(path: Path) -> list[Figure]:
    return [Figure(**entry) for entry in json.loads(path.read_text())]


def median(values: Iterable[float]) -> float:
    return statistics.median(list(values))


def _decimals(value: float) -> int:
    return 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
