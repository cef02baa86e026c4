"""The archive of a recording: directory, ledger and recorder, on the process's one writer thread."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

from channel_recorder.config import RecordingConfig
from channel_recorder.errors import StorageError
from channel_recorder.recording.archive import Archive, ArchiveListener, QueuedArchive
from channel_recorder.recording.continuation import Interrupted
from channel_recorder.recording.contract import FileEvent, Recorder, StorageFailed
from channel_recorder.recording.individual import IndividualOptions, IndividualRecorder
from channel_recorder.recording.ledger import RecordingLedger
from channel_recorder.recording.sealed_recorder import SealedRecorder
from channel_recorder.recording.writer import BATCH_SECONDS, WriterThread
from channel_recorder.shared import Shared
from channel_recorder.storage.directory import RecordingDirectory, storage_error
from channel_recorder.storage.guard import DiskGuard, is_final
from channel_recorder.storage.reserve import SpaceReserve
from channel_recorder.storage.syncing import SyncedFiles, Syncer

SYNC_SECONDS = {"second": 1.0, "always": BATCH_SECONDS}
"""How much a power failure may cost beside what waits for a whole cluster, page or fragment: a quarter of a second."""

shared_syncer = Shared(Syncer, Syncer.stop)
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
    reserve = _keep_room(directory, config.space_reserve_mb * 2**20)

    def on_sync_failed(error: StorageError) -> None:
        event = StorageFailed(at_seconds=0.0, name="", message=str(error), final=is_final(error))
        _on_loop(loop, listener.on_file_event, event)

    synced = _keep_synced(directory, config, on_sync_failed)
    ledger = RecordingLedger(
        directory,
        synced=synced,
        reserve=reserve,
        continued=continued,
        on_failure=lambda error: _on_loop(loop, listener.on_archive_failed, error),
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


def _keep_synced(
    directory: RecordingDirectory, config: RecordingConfig, on_error: Callable[[StorageError], None]
) -> SyncedFiles | None:
    interval_seconds = SYNC_SECONDS.get(config.fsync)
    if interval_seconds is None:
        return None
    return shared_syncer.acquire().open(directory.path, interval_seconds, on_error, shared_syncer.release)


def _keep_room(directory: RecordingDirectory, size_bytes: int) -> SpaceReserve | None:
    """None: not wanted, or the file system can't. Raises StorageError for a full disk."""
    if not size_bytes:
        return None
    try:
        return SpaceReserve(directory.reserve_path, size_bytes)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
            return None
        raise storage_error(directory.path, error) from error


def _on_loop(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], argument: object) -> None:
    loop.call_soon_threadsafe(callback, argument)
