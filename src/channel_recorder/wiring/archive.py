"""The archive of a recording: directory, ledger and recorder, on the process's one writer thread."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

from channel_recorder.config import RecordingConfig
from channel_recorder.recording.archive import Archive, ArchiveListener, QueuedArchive
from channel_recorder.recording.continuation import Interrupted
from channel_recorder.recording.contract import FileEvent, Recorder
from channel_recorder.recording.individual import IndividualOptions, IndividualRecorder
from channel_recorder.recording.ledger import RecordingLedger
from channel_recorder.recording.sealed_recorder import SealedRecorder
from channel_recorder.recording.writer import WriterThread
from channel_recorder.shared import Shared
from channel_recorder.storage.directory import RecordingDirectory, storage_error
from channel_recorder.storage.guard import DiskGuard
from channel_recorder.storage.reserve import SpaceReserve

RESERVE_BYTES = 8 * 2**20
"""Kept free for the end of a recording: indexes (1 MB per hour and file), logs, manifest."""
SYNC_SECONDS = 1.0
"""How much of the journal a power failure may cost."""

shared_writer = Shared(WriterThread, WriterThread.stop)


def open_archive(
    writer: WriterThread,
    directory: RecordingDirectory,
    config: RecordingConfig,
    listener: ArchiveListener,
    continued: Interrupted | None = None,
) -> QueuedArchive:
    """The listener is called on the running loop, whatever thread things happen on. Raises StorageError."""
    loop = asyncio.get_running_loop()
    reserve = _keep_room(directory)
    ledger = RecordingLedger(
        directory,
        reserve=reserve,
        continued=continued,
        on_failure=lambda error: _on_loop(loop, listener.on_archive_failed, error),
        sync_interval_seconds=SYNC_SECONDS,
    )
    options = IndividualOptions(
        audio_codec=config.audio_codec,
        audio_only=config.is_audio_only,
        video_only=config.is_video_only,
        separate_tracks=config.separate_tracks,
    )

    def make_recorder(on_event: Callable[[FileEvent], None]) -> Recorder:
        individual = IndividualRecorder(
            name_file=ledger.name_file,
            on_event=on_event,
            key_frame_wanted=lambda sid: _on_loop(loop, listener.on_key_frame_wanted, sid),
            options=options,
        )
        if not config.keep_ciphertext:
            return individual
        return SealedRecorder(
            individual, channel=directory.channel, name_file=ledger.name_file, on_event=on_event, note=ledger.note
        )

    archive = Archive(
        ledger,
        make_recorder,
        lambda event: _on_loop(loop, listener.on_file_event, event),
        guard=DiskGuard(directory.path),
    )
    return QueuedArchive(
        writer,
        archive,
        on_error=lambda error: _on_loop(loop, listener.on_archive_failed, error),
        on_overload=listener.on_overload,
    )


def _keep_room(directory: RecordingDirectory) -> SpaceReserve | None:
    """None: the file system can't. Raises StorageError for a full disk."""
    try:
        return SpaceReserve(directory.reserve_path, RESERVE_BYTES)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
            return None
        raise storage_error(directory.path, error) from error


def _on_loop(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], argument: object) -> None:
    loop.call_soon_threadsafe(callback, argument)
