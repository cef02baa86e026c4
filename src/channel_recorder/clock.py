"""The only module that reads a clock.

Monotonic seconds order and measure; the wall clock names files and stamps journals, nothing else.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

monotonic_seconds = time.monotonic
"""Seconds of a clock that never steps; the same one asyncio's `loop.time()` reads."""


def utc_now() -> datetime:
    """The wall clock, time zone aware, in UTC."""
    return datetime.now(UTC)


def unix_seconds() -> float:
    """The wall clock as seconds since 1970, for token life times."""
    return time.time()


def process_cpu_seconds() -> float:
    """Processor time of this process, user and system, for the load figures."""
    return time.process_time()
