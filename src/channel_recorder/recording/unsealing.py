"""Opens the sealed frames of a recording later, with the right key, into files of the same timeline.

The files are those that would have been made if the key had been known: the frames go through the same recorder.
They lie in a folder of their own, with books of their own: what was recorded is not touched.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from pathlib import Path

from channel_recorder.codecs.registry import FrameCompleter, frame_completer, inspect
from channel_recorder.codecs.vp9 import MAX_FRAMES_IN_SUPERFRAME, join_superframe
from channel_recorder.e2ee.frames import FrameOpener
from channel_recorder.e2ee.store import KeyStore
from channel_recorder.errors import MalformedError, StorageError
from channel_recorder.model import Codec, EncodedFrame
from channel_recorder.recording.contract import Recorder, TrackSink
from channel_recorder.recording.individual import IndividualOptions, IndividualRecorder
from channel_recorder.recording.journal import read_journal
from channel_recorder.recording.ledger import RecordingLedger
from channel_recorder.recording.manifest import Manifest
from channel_recorder.recording.remains import read_remains
from channel_recorder.recording.sealed_file import EXTENSION, SealedFrame, SealedHeader, read_sealed
from channel_recorder.storage.directory import RecordingDirectory, storage_error
from channel_recorder.storage.names import JOURNAL

FOLDER = "unsealed"
ADVANCE_SECONDS = 0.1
ANNOUNCED_SECONDS = 3.0
"""Tracks are known so long before their first frame, so that sound waits for the picture it belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """What came of it."""

    path: Path
    manifest: Manifest
    frames: int
    """Opened."""
    unopened_frames: int


def unseal(folder: Path, keys: KeyStore, options: IndividualOptions | None = None) -> Unsealed:
    """Opens all sealed files in a recording's folder. Keys are derived before this.

    Raises StorageError: there are none, the folder of the result is there already, or can't be written;
    MalformedError for a file that is damaged in the middle.
    """
    paths = sorted(folder.glob(f"*.{EXTENSION}"))
    if not paths:
        raise StorageError(f"{folder} holds no sealed frames: name the folder of a recording that kept its ciphertext")
    with ExitStack() as files:
        tracks = [_open_track(files, path, keys) for path in paths]
        return _unseal(tracks, _new_directory(folder, tracks[0].header.channel), options)


def _open_track(files: ExitStack, path: Path, keys: KeyStore) -> SealedReplay:
    try:
        header, frames = read_sealed(files.enter_context(path.open("rb")))
    except MalformedError as error:
        raise StorageError(f"{path}: {error}") from None
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror or error}") from error
    return SealedReplay(header, frames, FrameOpener(keys, header.track.user.account))


def _unseal(tracks: list[SealedReplay], directory: RecordingDirectory, options: IndividualOptions | None) -> Unsealed:
    ledger = RecordingLedger(directory)
    ledger.begin_recording(ledger.directory.started_at)
    ledger.begin_span(0.0)
    recorder = IndividualRecorder(
        name_file=ledger.name_file, on_event=ledger.event, key_frame_wanted=lambda _: None, options=options
    )
    end_seconds = _replay(tracks, recorder)
    recorder.close(end_seconds)
    ledger.end_span(end_seconds)
    manifest = ledger.finish("unsealed", end_seconds)
    return Unsealed(
        path=ledger.directory.path,
        manifest=manifest,
        frames=sum(track.frames for track in tracks),
        unopened_frames=sum(track.unopened_frames for track in tracks),
    )


class SealedReplay:
    """One file: its frames, opened, and only such pictures as can be decoded."""

    def __init__(self, header: SealedHeader, frames: Iterator[SealedFrame], opener: FrameOpener) -> None:
        self.header = header
        self.frames = 0
        self.unopened_frames = 0
        self.sink: TrackSink | None = None
        self._sealed = frames
        self._opener = opener
        self._codec: Codec | None = None
        self._completer: FrameCompleter | None = None
        self._needs_key_frame = True

    def __iter__(self) -> Iterator[EncodedFrame]:
        for sealed in self._sealed:
            frame = self._open(sealed)
            if frame is not None:
                frame.time_seconds = sealed.time_seconds
                yield frame

    def _open(self, sealed: SealedFrame) -> EncodedFrame | None:
        """None: no key opens it, or it can't be decoded."""
        opened = [self._opener.open(sealed.codec, unit) for unit in sealed.units]
        if not all(opened) or not 0 < len(opened) <= MAX_FRAMES_IN_SUPERFRAME:
            self.unopened_frames += 1
            self._needs_key_frame = True
            return None
        self.frames += 1
        if sealed.codec is Codec.OPUS:
            return _frame(sealed, opened[0])
        return self._picture(sealed, join_superframe(opened))

    def _picture(self, sealed: SealedFrame, data: bytes) -> EncodedFrame | None:
        if sealed.codec is not self._codec:
            self._codec, self._completer = sealed.codec, frame_completer(sealed.codec)
            self._needs_key_frame = True
        if self._completer is not None:
            data = self._completer.complete(data)
        info = inspect(sealed.codec, data)
        if sealed.lost_packets:
            self._needs_key_frame = True
        if not data or (self._needs_key_frame and not (info.key_frame and info.width)):
            return None
        self._needs_key_frame = False
        frame = _frame(sealed, data)
        frame.key_frame, frame.width, frame.height = info
        return frame


def _frame(sealed: SealedFrame, data: bytes) -> EncodedFrame:
    return EncodedFrame(
        sealed.codec,
        data,
        sealed.timestamp,
        sealed.time_seconds,
        rotation=sealed.rotation,
        lost_packets=sealed.lost_packets,
    )


def _new_directory(folder: Path, channel: str) -> RecordingDirectory:
    """On the timeline of the recording. Raises StorageError."""
    path = folder / FOLDER
    try:
        remains = read_remains(read_journal(folder / JOURNAL).entries)
        if remains.started_at is None:
            raise StorageError(f"{folder / JOURNAL} does not say when the recording began")
        path.mkdir()
    except FileExistsError:
        raise StorageError(f"{path} is there already: remove it to open the sealed frames again") from None
    except OSError as error:
        raise storage_error(path, error) from error
    return RecordingDirectory(path=path, channel=channel, started_at=remains.started_at)


def _replay(tracks: Iterable[SealedReplay], recorder: Recorder) -> float:
    """All frames in the order of the recording. Returns the time of the last."""
    now_seconds = due_seconds = 0.0
    for now_seconds, track, frame in heapq.merge(*(_timed(track) for track in tracks), key=itemgetter(0)):
        while due_seconds < now_seconds:
            recorder.advance(due_seconds)
            due_seconds += ADVANCE_SECONDS
        if track.sink is None:
            recorder.user_joined(track.header.track.user, now_seconds)
            track.sink = recorder.add_track(track.header.track, now_seconds)
        elif frame is None:
            track.sink.close(now_seconds)
        else:
            track.sink.write(frame)
    return now_seconds


def _timed(track: SealedReplay) -> Iterator[tuple[float, SealedReplay, EncodedFrame | None]]:
    """The announcement, frames with their times, and at last the end."""
    frames = iter(track)
    first = next(frames, None)
    if first is None:
        return
    end_seconds = first.time_seconds
    yield max(0.0, end_seconds - ANNOUNCED_SECONDS), track, None
    for frame in chain((first,), frames):
        end_seconds = max(end_seconds, frame.time_seconds)
        yield end_seconds, track, frame
    yield end_seconds, track, None
