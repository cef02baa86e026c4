"""Processes of scenes that failed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from testbed import children


async def abandoned() -> int:
    """How a process ended that nobody ended."""
    process = await children.start(sys.executable, "-c", "import sys; sys.stdin.read()")
    children.kill_those_left()
    return await process.wait()


def test_who_is_left_of_a_scene_is_killed() -> None:
    assert asyncio.run(abandoned()) == -signal.SIGKILL


def test_processes_of_others_are_left_alone() -> None:
    assert not children._is_child(os.getppid())
    assert not children._is_child(os.getpid())
