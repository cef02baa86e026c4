"""Python's collector of reference cycles, kept from looking at everything every second."""

from __future__ import annotations

import gc

_DEFAULT_THRESHOLDS = (700, 2000)
"""Of Python 3.11 and 3.12, and of later versions."""
_THRESHOLD = 50_000


def collect_less_often() -> None:
    """For a process that records. A program that has chosen a threshold of its own keeps it.

    A frame waits some 100 ms for the writer's batch. By the default threshold so many frames wait that the collector
    takes them for objects which stay, and ever again goes through everything there is: with 150 recordings that was
    a sixth of the processor time, and held the media loop up for half a second.
    """
    new, survivors, old = gc.get_threshold()
    if new in _DEFAULT_THRESHOLDS:
        gc.set_threshold(_THRESHOLD, survivors, old)
