"""Writes what stays sealed beside the media that another recorder makes of the rest."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from channel_recorder.errors import StorageError
from channel_recorder.model import EncodedFrame, Source, User
from channel_recorder.recording.contract import (
    FileEvent,
    RecordedTrack,
    Recorder,
    StorageFailed,
    TrackSink,
)
from channel_recorder.recording.sealed_books import FILE_FACT
from channel_recorder.recording.sealed_file import EXTENSION, SealedHeader, pack_frame

NameFile = Callable[[User, Source, str, float], Path]


class Note(Protocol):
    """Writes to the journal."""

    def __call__(self, fact: str, at_seconds: float, **fields: Any) -> None: ...


class SealedRecorder:
    """A `Recorder`: sealed tracks become files of sealed frames, all others go to `inner`."""

    def __init__(
        self,
        inner: Recorder,
        *,
        channel: str,
        name_file: NameFile,
        on_event: Callable[[FileEvent], None],
        note: Note,
    ) -> None:
        self._inner = inner
        self._channel = channel
        self._name_file = name_file
        self._on_event = on_event
        self._note = note
        self._files: list[_SealedSink] = []

    def add_track(self, track: RecordedTrack, at_seconds: float) -> TrackSink:
        if not track.sealed:
            return self._inner.add_track(track, at_seconds)
        self._files = [file for file in self._files if file.is_open]
        header = SealedHeader(channel=self._channel, track=track)
        name = partial(self._name_file, track.user, track.source, EXTENSION, at_seconds)
        sink = _SealedSink(header, name, self._on_event, self._note)
        self._files.append(sink)
        return sink

    def mute_track(self, sid: str, muted: bool, at_seconds: float) -> None:
        self._inner.mute_track(sid, muted, at_seconds)

    def user_joined(self, user: User, at_seconds: float) -> None:
        self._inner.user_joined(user, at_seconds)

    def user_left(self, user: User, at_seconds: float) -> None:
        self._inner.user_left(user, at_seconds)

    def advance(self, now_seconds: float) -> None:
        self._inner.advance(now_seconds)
        for file in self._files:
            file.flush(now_seconds)

    def close(self, at_seconds: float) -> None:
        for file in self._files:
            file.close(at_seconds)
        self._files.clear()
        self._inner.close(at_seconds)


class _SealedSink:
    """One file. A disk that refuses it ends the file, not the recording."""

    def __init__(
        self, header: SealedHeader, name: Callable[[], Path], on_event: Callable[[FileEvent], None], note: Note
    ) -> None:
        self.is_open = True
        self._header = header
        self._name = name
        self._on_event = on_event
        self._note = note
        self._path = Path()
        self._file: BinaryIO | None = None
        self._frames = 0
        self._bytes = 0

    def write(self, frame: EncodedFrame) -> None:
        if not self.is_open:
            return
        try:
            if self._file is None:
                self._path = self._name()
                self._file = self._path.open("xb")
                self._put(self._file, self._header.to_bytes())
                self._note(FILE_FACT, frame.time_seconds, **self._names())
            self._put(self._file, pack_frame(frame))
        except (OSError, StorageError) as error:
            self._fail(frame.time_seconds, error)
        else:
            self._frames += 1

    def flush(self, now_seconds: float) -> None:
        if self._file is not None and self.is_open:
            try:
                self._file.flush()
            except OSError as error:
                self._fail(now_seconds, error)

    def close(self, at_seconds: float) -> None:
        if not self.is_open:
            return
        self.is_open = False
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as error:
            self._on_event(StorageFailed(at_seconds=at_seconds, name=self._path.name, message=str(error)))
        self._note("sealed_file_closed", at_seconds, **self._names(), frames=self._frames, bytes=self._bytes)

    def _put(self, file: BinaryIO, data: bytes) -> None:
        file.write(data)
        self._bytes += len(data)

    def _fail(self, at_seconds: float, error: OSError | StorageError) -> None:
        self._on_event(StorageFailed(at_seconds=at_seconds, name=self._path.name, message=str(error)))
        self.close(at_seconds)

    def _names(self) -> dict[str, Any]:
        track = self._header.track
        return {"name": self._path.name, "uid": track.user.uid, "account": track.user.account, "sid": track.sid}
