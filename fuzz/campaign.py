"""Shares the time among the targets, each in a forked process, and gathers what came of it."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzz import fuzzer
from fuzz.target import Target

CORPUS = Path(__file__).parent / "corpus"
_STATISTIC = re.compile(r"^stat::(\w+):\s+(\d+)", re.MULTILINE)
_COVERAGE = re.compile(r"cov: (\d+)")
TRACE_LINES = 30
SLOW_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    name: str
    failed: bool
    runs: int
    coverage: int
    """Places in our code that were reached."""
    slow_seconds: float
    """What the slowest input that took long takes when it is tried again; the machine may have been busy."""
    peak_mb: int
    kept: tuple[Path, ...]
    trace: str

    def line(self) -> str:
        slow = f"slow: {self.slow_seconds:.1f} s" if self.slow_seconds >= SLOW_SECONDS else ""
        verdict = "FAILED" if self.failed else slow
        return f"{self.name:24} {self.runs:9} inputs {self.coverage:6} places {self.peak_mb:5} MB  {verdict}".rstrip()


class Campaign:
    def __init__(self, targets: Mapping[str, Target], scratch: Path, found: Path, *, seed: int, jobs: int) -> None:
        """`found`: where inputs that reach something new are kept, a folder per target."""
        self._targets = targets
        self._scratch = scratch
        self._found = found
        self._seed = seed
        self._jobs = max(1, jobs)
        self._running: dict[int, str] = {}
        """Name by process id."""

    def run(self, names: Sequence[str], seconds: float) -> Iterator[Outcome]:
        each_seconds = seconds * min(self._jobs, len(names)) / len(names)
        for name in names:
            if len(self._running) == self._jobs:
                yield self._wait()
            self._start(name, each_seconds)
        while self._running:
            yield self._wait()

    def _start(self, name: str, seconds: float) -> None:
        for folder in (self._found / name, CORPUS / name, self._artifacts(name)):
            folder.mkdir(parents=True, exist_ok=True)
        pid = os.fork()
        if pid:
            self._running[pid] = name
            return
        folders = (self._found / name, CORPUS / name, self._artifacts(name), self._log(name))
        try:
            fuzzer.run(self._targets[name], *folders, seconds=seconds, seed=self._seed)
        finally:
            os._exit(1)

    def _wait(self) -> Outcome:
        pid, status = os.wait()
        name = self._running.pop(pid)
        log = self._log(name).read_text(errors="replace")
        artifacts = sorted(self._artifacts(name).iterdir())
        slow = [path for path in artifacts if path.name.startswith("slow-unit")]
        statistics = {key: int(value) for key, value in _STATISTIC.findall(log)}
        return Outcome(
            name=name,
            failed=status != 0,
            runs=statistics.get("number_of_executed_units", 0),
            coverage=max(map(int, _COVERAGE.findall(log)), default=0),
            slow_seconds=max((self._cpu_seconds(name, path) for path in slow), default=0.0),
            peak_mb=statistics.get("peak_rss_mb", 0),
            kept=tuple(self._keep(name, path) for path in artifacts if path not in slow),
            trace="\n".join(_what_happened(log)) if status else "",
        )

    def _cpu_seconds(self, name: str, path: Path) -> float:
        began = time.process_time()
        self._targets[name](path.read_bytes())
        return time.process_time() - began

    def _keep(self, name: str, artifact: Path) -> Path:
        """In the corpus, where tests/fuzz fails for it until it is mended."""
        return Path(shutil.copy(artifact, CORPUS / name / artifact.name[:30]))

    def _artifacts(self, name: str) -> Path:
        return self._scratch / "artifacts" / name

    def _log(self, name: str) -> Path:
        return self._scratch / f"{name}.log"


def _what_happened(log: str) -> list[str]:
    """From the exception on, without the fuzzer's progress."""
    lines = [line for line in log.splitlines() if line and not line.startswith(("#", "INFO", "WARNING", "stat::"))]
    start = next((index for index, line in enumerate(lines) if "Uncaught" in line or "ERROR" in line), 0)
    return lines[start : start + TRACE_LINES]
