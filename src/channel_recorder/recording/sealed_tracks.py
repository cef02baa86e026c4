"""All encrypted tracks of a recording: who opens them, and what is told of those that no key opens."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from channel_recorder.e2ee.frames import FrameOpener
from channel_recorder.e2ee.store import GivenKey, KeyStore
from channel_recorder.errors import ErrorCode, StatusCode, WarningCode
from channel_recorder.recording.contract import RecordedTrack, Recorder
from channel_recorder.recording.notices import Notices
from channel_recorder.recording.sealed_books import TRACK_FACT
from channel_recorder.recording.sealed_track import OpenFile, SealedTrack, SealedTrackPipe
from channel_recorder.recording.track_pipe import TrackPipe
from channel_recorder.recording.tracks import MakePipe


class Note(Protocol):
    """Writes to the journal."""

    def __call__(self, fact: str, at_seconds: float, **fields: Any) -> None: ...


class SealedTracks:
    """Knows which tracks are encrypted, and whose keys are there."""

    def __init__(self, store: KeyStore, *, keeps: bool, recorder: Recorder, notices: Notices, note: Note) -> None:
        """`keeps`: frames that no key opens go to files of their own."""
        self.server_trailer = b""
        """What frames end with that the server made up; known with the join."""
        self._store = store
        self._keeps = keeps
        self._recorder = recorder
        self._notices = notices
        self._note = note
        self._tracks: dict[str, SealedTrack] = {}
        """By sid."""
        self._clear: set[str] = set()
        """Tracks whose media began before they were known as encrypted: nothing of them is recorded."""
        self._failed_uids: set[int] = set()

    def add_key(self, key: GivenKey) -> None:
        self._store.add(key)

    def add(self, track: RecordedTrack) -> None:
        """An encrypted track was announced."""
        what = f"{track.source} of user {track.user.uid} is encrypted"
        if not self._store:
            done = "kept sealed" if self._keeps else "left out"
            self._notices.warn(WarningCode.ENCRYPTED_TRACK, f"{what} and no key is given: {done}")
        opener = FrameOpener(self._store, track.user.account, self.server_trailer)
        self._tracks[track.sid] = SealedTrack(track, opener, self._on_failing)

    def can_record(self, sid: str) -> bool:
        """Of an encrypted track."""
        return sid not in self._clear and (self._keeps or bool(self._store))

    def pipe_of(self, sid: str) -> MakePipe:
        """How the pipe of a track is made whose media begins."""
        sealed = self._tracks.get(sid)
        if sealed is None:
            self._clear.add(sid)
            return TrackPipe
        return partial(SealedTrackPipe, sealed=sealed, open_file=self._file_opener(sealed) if self._keeps else None)

    def media_ended(self, sid: str) -> None:
        self._clear.discard(sid)

    def remove(self, sid: str, at_seconds: float) -> None:
        """The track is gone: what stayed sealed of it is noted."""
        sealed = self._tracks.pop(sid, None)
        self._clear.discard(sid)
        if sealed is not None and sealed.unopened_frames:
            self._note(TRACK_FACT, at_seconds, **_fields(sealed))

    def remove_all(self, at_seconds: float) -> None:
        for sid in tuple(self._tracks):
            self.remove(sid, at_seconds)
        self._clear.clear()

    def _file_opener(self, sealed: SealedTrack) -> OpenFile:
        return lambda at_seconds: self._recorder.add_track(replace(sealed.track, sealed=True), at_seconds)

    def _on_failing(self, sealed: SealedTrack) -> None:
        user = sealed.track.user
        who = {"uid": user.uid, "account": user.account, "sid": sealed.track.sid}
        self._note("decryption_failed", sealed.end_seconds, **who, key_index=sealed.opener.key_index)
        if user.uid in self._failed_uids or not self._store:
            return
        self._failed_uids.add(user.uid)
        index = sealed.opener.key_index
        reason = "the key given is another one" if sealed.opener.has_key else f"no key with index {index} is given"
        message = f"{sealed.track.source} of user {user.uid} can't be decrypted: {reason}"
        self._notices.error(ErrorCode.DECRYPTION_FAILED, StatusCode.FROM_ENGINE, message)


def _fields(sealed: SealedTrack) -> dict[str, Any]:
    track = sealed.track
    return {
        "uid": track.user.uid,
        "account": track.user.account,
        "sid": track.sid,
        "kind": track.kind,
        "source": track.source,
        "codec": sealed.codec,
        "frames": sealed.unopened_frames,
        "key_indexes": sorted(sealed.key_indexes),
        "start": round(sealed.start_seconds, 6),
        "end": round(sealed.end_seconds, 6),
    }
