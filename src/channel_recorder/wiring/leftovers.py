"""Where a recording lies: in a new directory, or where a recorder that died left it. And what others left."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from channel_recorder import clock
from channel_recorder.errors import StorageError, WarningCode
from channel_recorder.recording.continuation import Interrupted
from channel_recorder.recording.notices import Notices
from channel_recorder.recording.recovery import RecoveryState, find_unfinished, recover
from channel_recorder.storage.directory import RecordingDirectory, StorageRoot
from channel_recorder.wiring.join import JoinRequest, interrupted_before

logger = logging.getLogger(__name__)


def choose_directory(root: StorageRoot, request: JoinRequest) -> tuple[RecordingDirectory, Interrupted | None]:
    """May block. Raises StorageError."""
    interrupted = interrupted_before(root, request)
    if interrupted is not None:
        return interrupted.directory, interrupted
    return root.create(request.channel_id, clock.utc_now()), None


def seconds_at_join(continued: Interrupted, joined_seconds: float) -> float:
    """The recording time of the join, which was at `joined_seconds` of the monotonic clock."""
    return continued.seconds_at(clock.utc_now()) - (clock.monotonic_seconds() - joined_seconds)


async def adopt_leftovers(folder: Path, notices: Notices) -> None:
    """One after the other, on a thread. What can't be recovered is told and left."""
    try:
        for directory in await asyncio.to_thread(find_unfinished, folder):
            await _adopt(directory, notices)
    except StorageError as error:
        logger.warning("what dead recorders left can't be looked for: %s", error)


async def _adopt(directory: RecordingDirectory, notices: Notices) -> None:
    try:
        result = await asyncio.to_thread(recover, directory)
    except StorageError as error:
        notices.warn(WarningCode.RECOVERED_FROM_CRASH, f"a recording of a dead recorder can't be finished: {error}")
        return
    if result.state is RecoveryState.RECOVERED:
        notices.warn(WarningCode.RECOVERED_FROM_CRASH, f"finished what a dead recorder left in {directory.path}")
