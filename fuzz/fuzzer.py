"""Atheris (libFuzzer for Python): loads the targets with counters in our code, and runs one of them."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzz.target import Target

INPUT_SECONDS = 10
"""Longer for one input is a failure. Entrances take milliseconds; machines may be busy."""
MEMORY_MB = 1024
MAX_INPUT_BYTES = 8192
SLOW_SECONDS = 1
INSTRUMENTED = ("channel_recorder", "aiortc.rtcsctptransport", "aiortc.rtcdatachannel")
"""Where new ways through the code are looked for."""


def load_targets() -> Mapping[str, Target]:
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        sys.exit("the fuzzer (atheris) is not installed: it has wheels for x86_64 and CPython 3.11 to 3.13 only")
    # It names every module that it changes.
    said = contextlib.redirect_stderr(io.StringIO())
    with said, atheris.instrument_imports(include=[*INSTRUMENTED]):
        from fuzz.targets import TARGETS
    return TARGETS


def run(target: Target, found: Path, corpus: Path, artifacts: Path, log: Path, *, seconds: float, seed: int) -> None:
    """In a process of its own, which it ends. What it says goes into `log`, inputs that fail into `artifacts`."""
    atheris: Any = importlib.import_module("atheris")
    # What targets write lies with all else that is thrown away, however this process ends.
    tempfile.tempdir = str(artifacts.parent)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    arguments = {
        # It looks at whole seconds, and stops when one more is over.
        "max_total_time": max(1, int(seconds) - 1),
        "seed": seed,
        "timeout": INPUT_SECONDS,
        "report_slow_units": SLOW_SECONDS,
        "rss_limit_mb": MEMORY_MB,
        "max_len": MAX_INPUT_BYTES,
        "use_value_profile": 1,
        "print_final_stats": 1,
        "artifact_prefix": f"{artifacts}/",
    }
    words = ["fuzz", *(f"-{key}={value}" for key, value in arguments.items()), str(found), str(corpus)]
    atheris.Setup(words, _keeping(target, artifacts))
    atheris.Fuzz()


def _keeping(target: Target, artifacts: Path) -> Target:
    """libFuzzer keeps what is slow or too much, but not always what raises."""

    def run_and_keep(data: bytes) -> None:
        try:
            target(data)
        except BaseException:
            (artifacts / f"crash-{hashlib.sha1(data).hexdigest()}").write_bytes(data)
            raise

    return run_and_keep
