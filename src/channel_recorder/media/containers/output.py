"""One file being written: at most one stream of pictures and one of sound."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from av.audio.codeccontext import AudioCodecContext

from channel_recorder.media.containers.ffmpeg import FfmpegFile
from channel_recorder.media.containers.formats import WEBM, AudioCodec, ContainerFormat
from channel_recorder.media.containers.webm import WebmFile
from channel_recorder.model import EncodedFrame


class OutputFile(Protocol):
    """Takes encoded packets. Time stamps are counted in `video_clock_hz` and `audio_clock_hz`.

    Methods raise `StorageError` when the disk refuses; the file is to be abandoned then.
    """

    path: Path

    @property
    def video_clock_hz(self) -> int: ...

    @property
    def audio_clock_hz(self) -> int: ...

    @property
    def aac_encoder(self) -> AudioCodecContext | None:
        """Makes the sound packets of a file with AAC; None in others."""
        ...

    def write_video(self, data: bytes, pts_ticks: int, duration_ticks: int, key_frame: bool) -> None:
        """`pts_ticks` must grow. Hot path. Raises `MalformedError` for data that the muxer refuses."""
        ...

    def write_audio(self, data: bytes, pts_ticks: int, duration_ticks: int) -> None:
        """Like `write_video`."""
        ...

    def close(self, picture_end_ticks: int = 0) -> None:
        """Write what waits, and the index. In a file without sound the last picture is shown up to the time given."""
        ...

    def abandon(self) -> None:
        """The disk refused: leave a file that plays up to there. Raises nothing."""
        ...


def open_output(
    path: Path, container: ContainerFormat, *, video: EncodedFrame | None = None, audio: AudioCodec | None = None
) -> OutputFile:
    """Begin a new file. `video` is its first key frame, which tells codec, size and rotation.

    Raises `FileExistsError`, `StorageError`, and `MalformedError` for a key frame that is none.
    """
    if container is WEBM and video is not None:
        return WebmFile(path, video, has_sound=audio is not None)
    return FfmpegFile(path, container, video=video, audio=audio)
