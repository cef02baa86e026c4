"""How a file of an individual recording is named, made and announced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from channel_recorder.errors import StorageError
from channel_recorder.media.containers.formats import (
    AudioCodec,
    ContainerFormat,
    audio_codec_beside,
    container_format,
)
from channel_recorder.media.containers.output import OutputFile, open_output
from channel_recorder.model import EncodedFrame, Source, User
from channel_recorder.recording.contract import FileCreated, FileEvent
from channel_recorder.recording.lanes import SegmentInfo
from channel_recorder.recording.segment import Segment

NameFile = Callable[[User, Source, str, float], Path]
"""(user, source, extension, recording time of the file's zero) to the path of a new file."""

_NAME_ATTEMPTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPolicy:
    """What a series may hold, how its files are named, and whom it tells."""

    audio_codec: AudioCodec
    may_have_video: bool
    may_have_audio: bool
    separate: bool
    """One file for each track."""
    is_screen: bool
    name_file: NameFile
    emit: Callable[[FileEvent], None]
    key_frame_wanted: Callable[[str], None]
    """Called with the sid of a track."""


def open_segment(
    user: User,
    policy: SeriesPolicy,
    key_frame: EncodedFrame | None,
    has_sound: bool,
    zero_seconds: float,
    *,
    codec_switch: bool,
) -> Segment:
    """Begin a file with pictures (`key_frame` is the first), sound, or both, and announce it.

    Raises `StorageError`, and `MalformedError` if the key frame is none.
    """
    codec = key_frame.codec if key_frame is not None else None
    rotation = key_frame.rotation if key_frame is not None else 0
    audio = audio_codec_beside(codec, policy.audio_codec) if has_sound else None
    container = container_format(codec, audio, separate=policy.separate)
    source = _file_source(policy.is_screen, codec is not None)

    def create(path: Path) -> OutputFile:
        return open_output(path, container, video=key_frame, audio=audio)

    output = _create(create, user, source, container, policy.name_file, zero_seconds)
    info = SegmentInfo(name=output.path.name, user=user, source=source, zero_seconds=zero_seconds)
    policy.emit(
        FileCreated(at_seconds=zero_seconds, name=info.name, user=user, source=source, codec_switch=codec_switch)
    )
    return Segment(info, output, policy.emit, video=codec, rotation=rotation, has_sound=has_sound)


def _create(
    create: Callable[[Path], OutputFile],
    user: User,
    source: Source,
    container: ContainerFormat,
    name_file: NameFile,
    zero_seconds: float,
) -> OutputFile:
    """Two files of a user may begin in the same millisecond: the second takes the next free name."""
    for milliseconds in range(_NAME_ATTEMPTS):
        try:
            return create(name_file(user, source, container.extension, zero_seconds + milliseconds / 1000))
        except FileExistsError:
            continue
    raise StorageError(f"no free file name for user {user.uid}: {_NAME_ATTEMPTS} are taken")


def _file_source(is_screen: bool, has_video: bool) -> Source:
    if is_screen:
        return Source.SCREEN_SHARE if has_video else Source.SCREEN_SHARE_AUDIO
    return Source.CAMERA if has_video else Source.MICROPHONE
