"""Every recording, running or on the disk, as the API tells it. The disk is read on threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from channel_recorder import arguments
from channel_recorder.service import shelf
from channel_recorder.service.access import Visitor
from channel_recorder.service.library import Entry, Library, open_file
from channel_recorder.service.models import (
    MODES,
    Recording,
    RecordingFiles,
    RecordingPage,
    RecordingState,
    StartRecording,
)
from channel_recorder.service.problems import ProblemError
from channel_recorder.service.recorder import RecorderPool


class Recordings:
    """Methods raise ProblemError; a recording that the visitor may not see is not there."""

    def __init__(self, root: Path, pool: RecorderPool, unix_seconds: Callable[[], float]) -> None:
        self._root = root
        self._library = Library(root)
        self._pool = pool
        self._unix_seconds = unix_seconds

    async def start(self, wish: StartRecording, visitor: Visitor) -> Recording:
        """Raises RecorderError too."""
        arguments.check_channel_id(wish.channel)
        visitor.check(wish.channel)
        if wish.mode not in MODES:
            raise ProblemError(
                501,
                "composite recording is not there yet: record individually, the files can be composed later",
                reason="mode_not_there",
            )
        config = wish.config().model_copy(update={"record_file_root_dir": self._root})
        return await self._tell(await self._pool.start(wish.channel, config))

    async def get(self, id: str, visitor: Visitor) -> Recording:
        return await self._tell(await self._entry(id, visitor))

    async def stop(self, id: str, visitor: Visitor) -> Recording:
        """When it returns every file is whole. One that has ended is told as it is."""
        entry = await self._entry(id, visitor)
        await self._pool.stop(entry.id)
        recording = await self._tell(entry)
        if recording.state is RecordingState.RECORDING:
            raise ProblemError(409, "another process records this: stop it there", reason="recorded_elsewhere")
        return recording

    async def page(self, visitor: Visitor, *, channel: str | None, before: str, limit: int) -> RecordingPage:
        def wanted(entry: Entry) -> bool:
            return visitor.may(entry.channel) and channel in (None, entry.channel)

        def read() -> list[Entry]:
            return list(islice(filter(wanted, self._library.newest_first(before)), limit + 1))

        found = await asyncio.to_thread(read)
        recordings = [await self._tell(entry) for entry in found[:limit]]
        return RecordingPage(recordings=recordings, next=found[limit - 1].id if len(found) > limit else None)

    async def files(self, id: str, visitor: Visitor) -> RecordingFiles:
        entry = await self._entry(id, visitor)
        live = self._pool.live(entry.id)
        return RecordingFiles(id=id, files=await asyncio.to_thread(shelf.list_files, entry, live))

    async def open_file(self, id: str, name: str, visitor: Visitor) -> int:
        """A descriptor, which the caller closes."""
        entry = await self._entry(id, visitor)
        descriptor = await asyncio.to_thread(open_file, entry, name)
        if descriptor is None:
            raise ProblemError(404, "the recording has no such file", reason="no_such_file")
        return descriptor

    async def _entry(self, id: str, visitor: Visitor) -> Entry:
        entry = await asyncio.to_thread(self._library.find, id)
        if entry is None or not visitor.may(entry.channel):
            raise ProblemError(404, "there is no such recording", reason="no_such_recording")
        return entry

    async def _tell(self, entry: Entry) -> Recording:
        live = self._pool.live(entry.id)
        told = await asyncio.to_thread(shelf.describe, entry, live, self._unix_seconds)
        if live is not None and self._pool.live(entry.id) is None:
            # It ended while the disk was read.
            told = await asyncio.to_thread(shelf.describe, entry, None, self._unix_seconds)
        return told
