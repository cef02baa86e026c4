"""One file being written: at most one stream of pictures and one of sound."""

# PyAV leaves **kwargs and some type parameters of its stubs open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import errno
from fractions import Fraction
from pathlib import Path

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError, InvalidDataError
from av.video.stream import VideoStream

from channel_recorder.errors import MalformedError, StorageError
from channel_recorder.media.containers.formats import AudioCodec, ContainerFormat
from channel_recorder.media.containers.templates import opus_template

SAMPLE_RATE_HZ = 48_000
AAC_BIT_RATE = 128_000
_VIDEO_TIME_BASE = Fraction(1, 90_000)


class OutputFile:
    """Muxes encoded packets into a new file. Never overwrites one.

    Time stamps are counted in `video_clock_hz` and `audio_clock_hz`, which the container decides
    (milliseconds in Matroska and WebM). Every method raises `StorageError` when the disk refuses, and
    `MalformedError` for data that the muxer refuses: the file is intact then and goes on.
    """

    def __init__(
        self,
        path: Path,
        container: ContainerFormat,
        *,
        video: VideoStream | None = None,
        audio: AudioCodec | None = None,
        rotation: int = 0,
    ) -> None:
        """`video` is a template (see `templates`), `rotation` degrees clockwise to turn pictures for display."""
        self.path = path
        self.video_clock_hz = 0
        self.audio_clock_hz = 0
        self.aac_encoder: AudioCodecContext | None = None
        """Makes the sound packets of a file with `audio="aac"`."""
        self._closed = False
        _create_exclusively(path)
        try:
            # The prefix keeps FFmpeg from taking a colon in the path for a protocol.
            self._out: OutputContainer = av.open(
                f"file:{path}", "w", format=container.muxer, container_options=dict(container.options)
            )
            self._video = self._add_video(video, rotation) if video is not None else None
            self._audio = self._add_audio(audio) if audio is not None else None
            self._out.start_encoding()
        except (FFmpegError, OSError) as error:
            raise _storage_error(path, error) from error
        self._read_clocks()

    def write_video(self, data: bytes, pts_ticks: int, duration_ticks: int, key_frame: bool) -> None:
        """`pts_ticks` must grow. Hot path: 2 us."""
        packet = av.Packet(data)
        packet.stream = self._video  # pyright: ignore[reportAttributeAccessIssue]
        packet.pts = packet.dts = pts_ticks
        packet.duration = duration_ticks
        packet.is_keyframe = key_frame
        try:
            self._out.mux_one(packet)
        except (FFmpegError, OSError) as error:
            raise _write_error(self.path, error) from error

    def write_audio(self, data: bytes, pts_ticks: int, duration_ticks: int) -> None:
        packet = av.Packet(data)
        packet.stream = self._audio  # pyright: ignore[reportAttributeAccessIssue]
        packet.pts = packet.dts = pts_ticks
        packet.duration = duration_ticks
        packet.is_keyframe = True
        try:
            self._out.mux_one(packet)
        except (FFmpegError, OSError) as error:
            raise _write_error(self.path, error) from error

    def close(self) -> None:
        """Write what waits and the index. Closed even if it raises."""
        if self._closed:
            return
        self._closed = True
        try:
            self._out.close()
        except (FFmpegError, OSError) as error:
            raise _storage_error(self.path, error) from error

    def size_bytes(self) -> int:
        """Size on disk; 0 if the file is gone."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def _add_video(self, template: VideoStream, rotation: int) -> VideoStream:
        stream = self._out.add_stream_from_template(template, opaque=True)
        stream.time_base = _VIDEO_TIME_BASE
        if rotation:
            stream.set_display_rotation(-rotation)
        return stream

    def _add_audio(self, codec: AudioCodec) -> AudioStream:
        if codec == "opus":
            return self._out.add_stream_from_template(opus_template())
        stream = self._out.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="stereo")
        stream.bit_rate = AAC_BIT_RATE
        self.aac_encoder = stream.codec_context
        return stream

    def _read_clocks(self) -> None:
        """The muxer has the last word on time bases, when it writes the header."""
        if self._video is not None:
            self.video_clock_hz = _ticks_per_second(self._video)
        if self._audio is not None:
            self.audio_clock_hz = _ticks_per_second(self._audio)


def _ticks_per_second(stream: VideoStream | AudioStream) -> int:
    assert stream.time_base is not None
    return int(1 / stream.time_base)


def _create_exclusively(path: Path) -> None:
    """FFmpeg truncates what is there: claim the name first. Raises `FileExistsError`."""
    try:
        path.open("xb").close()
    except FileExistsError:
        raise
    except OSError as error:
        raise _storage_error(path, error) from error


def _storage_error(path: Path, error: Exception) -> StorageError:
    reason = getattr(error, "strerror", None) or str(error)
    return StorageError(f"{path.name}: {reason}")


def _write_error(path: Path, error: Exception) -> StorageError | MalformedError:
    """FFmpeg says EINVAL or "invalid data" for a packet it does not like; all else is the disk's."""
    if isinstance(error, InvalidDataError) or getattr(error, "errno", None) == errno.EINVAL:
        return MalformedError(f"{path.name}: the muxer refused a packet: {error}")
    return _storage_error(path, error)
