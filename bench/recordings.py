"""Recordings on temporary folders, with the product's own parts from the connection's receiver to the disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.media import Stream
from channel_recorder.callbacks import InlineCallbacks
from channel_recorder.clock import utc_now
from channel_recorder.config import RecordingConfig
from channel_recorder.events import ParticipantJoined, TrackPublished
from channel_recorder.garbage import collect_less_often
from channel_recorder.handler import RecordingHandler
from channel_recorder.model import MediaKind, Participant, Source, Track
from channel_recorder.recording.manifest import read_manifest
from channel_recorder.recording.notices import Notices
from channel_recorder.recording.recording import Recording
from channel_recorder.recording.tracks import NoUplink
from channel_recorder.recording.writer import WriterThread
from channel_recorder.storage.directory import StorageRoot
from channel_recorder.wiring.archive import open_archive


def open_recording(root: Path, writer: WriterThread, now: float, channel: str = "bench") -> Recording:
    collect_less_often()
    directory = StorageRoot(path=root).create(channel, utc_now())
    config = RecordingConfig(record_file_root_dir=root)
    recording = Recording(
        config,
        open_archive=lambda listener: open_archive(writer, directory, config, listener),
        notices=Notices(RecordingHandler(), InlineCallbacks().call, directory.path),
        joined_seconds=now,
        leave=lambda path: None,
    )
    recording.connected(NoUplink(), now)
    return recording


def publish(recording: Recording, uid: int, streams: Sequence[Stream], now: float) -> None:
    """A user comes and publishes."""
    for event in arrival(uid, streams):
        recording.on_event(event, now)


def arrival(uid: int, streams: Sequence[Stream]) -> list[ParticipantJoined | TrackPublished]:
    tracks = [_track(stream) for stream in streams]
    participant = Participant(sid=f"PA_{uid}", identity=str(uid), tracks={track.sid: track for track in tracks})
    return [
        ParticipantJoined(participant=participant),
        *(TrackPublished(participant=participant, track=track) for track in tracks),
    ]


def _track(stream: Stream) -> Track:
    is_sound = stream.codec.kind is MediaKind.AUDIO
    return Track(
        sid=stream.description().track_id,
        kind=stream.codec.kind,
        source=Source.MICROPHONE if is_sound else Source.CAMERA,
    )


def check_recorded(root: Path, frames: int) -> int:
    """Raises RuntimeError unless the finished recordings below `root` hold so many frames. Returns bytes."""
    files = [file for path in root.rglob("manifest.json") for file in read_manifest(path).files]
    found = sum(stream.frames for file in files for stream in file.streams)
    if found != frames:
        raise RuntimeError(f"{found} of {frames} frames were recorded")
    return sum(file.bytes for file in files)
