"""Files that FFmpeg muxes: MP4, Ogg, M4A, ADTS."""

# PyAV leaves **kwargs and some type parameters of its stubs open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import errno
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError, InvalidDataError
from av.video.stream import VideoStream

from channel_recorder.errors import MalformedError, StorageError
from channel_recorder.media.containers import disk
from channel_recorder.media.containers.formats import AudioCodec, ContainerFormat
from channel_recorder.media.containers.repair import repair
from channel_recorder.media.containers.templates import opus_template, video_template
from channel_recorder.model import EncodedFrame

SAMPLE_RATE_HZ = 48_000
AAC_BIT_RATE = 128_000
_VIDEO_TIME_BASE = Fraction(1, 10_000)
"""The coarsest clock that FFmpeg leaves as it is. With the usual 90 kHz a camera that is off for 6.6 h would come back
at the wrong time."""
_MAX_DURATION_TICKS = 2**31 - 1
"""From one picture to the next, 59 h: longer does not fit into an MP4."""


class FfmpegFile:
    """See `output.OutputFile` for the methods."""

    def __init__(
        self, path: Path, container: ContainerFormat, *, video: EncodedFrame | None, audio: AudioCodec | None
    ) -> None:
        template = None
        if video is not None:
            template = video_template(video.codec, video.data, video.width, video.height)
        self.path = path
        self._container = container
        self.video_clock_hz = 0
        self.audio_clock_hz = 0
        self.aac_encoder: AudioCodecContext | None = None
        """Makes the sound packets of a file with `audio="aac"`."""
        self._closed = False
        self._last_picture: av.Packet[Any] | None = None
        """Waits for the next one, or for the end, to know how long it is shown. What FFmpeg has written in a fragment
        it takes for done: a picture after a pause would begin where its predecessor was said to end, at once."""
        disk.create_exclusively(path)
        try:
            # The prefix keeps FFmpeg from taking a colon in the path for a protocol.
            self._out: OutputContainer = av.open(
                f"file:{path}", "w", format=container.muxer, container_options=dict(container.options)
            )
            self._video = self._add_video(template, video.rotation) if video and template else None
            self._audio = self._add_audio(audio) if audio is not None else None
            self._out.start_encoding()
        except (FFmpegError, OSError) as error:
            disk.remove_unused(path)
            raise _write_error(path, error) from error
        self._read_clocks()

    def write_video(self, data: bytes, pts_ticks: int, duration_ticks: int, key_frame: bool) -> None:
        """`pts_ticks` must grow. Written when the next one comes. Hot path: 2 us."""
        packet = av.Packet(data)
        packet.stream = self._video  # pyright: ignore[reportAttributeAccessIssue]
        packet.pts = packet.dts = pts_ticks
        packet.duration = duration_ticks
        packet.is_keyframe = key_frame
        self._last_picture, packet = packet, self._last_picture
        if packet is not None:
            assert packet.pts is not None
            packet.duration = min(pts_ticks - packet.pts, _MAX_DURATION_TICKS)
            self._mux(packet)

    def write_audio(self, data: bytes, pts_ticks: int, duration_ticks: int) -> None:
        packet = av.Packet(data)
        packet.stream = self._audio  # pyright: ignore[reportAttributeAccessIssue]
        packet.pts = packet.dts = pts_ticks
        packet.duration = duration_ticks
        packet.is_keyframe = True
        self._mux(packet)

    def close(self, picture_end_ticks: int = 0) -> None:
        """Closed even if it raises."""
        if self._closed:
            return
        self._closed = True
        try:
            self._write_last_picture(picture_end_ticks)
        finally:
            self._close_container()

    def abandon(self) -> None:
        """What was being written when the disk refused is cut off: half a fragment keeps players from the rest.
        FFmpeg writes nothing more after an error, so the index is made without it, if there is room."""
        with suppress(StorageError):
            self.close()
        with suppress(OSError):
            repair(self.path)

    def _mux(self, packet: av.Packet[Any]) -> None:
        try:
            self._out.mux_one(packet)
        except (FFmpegError, OSError) as error:
            raise _write_error(self.path, error) from error

    def _close_container(self) -> None:
        try:
            self._out.close()
        except (FFmpegError, OSError) as error:
            raise disk.storage_error(self.path, error) from error

    def _write_last_picture(self, end_ticks: int) -> None:
        packet, self._last_picture = self._last_picture, None
        if packet is None:
            return
        assert packet.pts is not None and packet.duration is not None
        packet.duration = min(max(packet.duration, end_ticks - packet.pts), _MAX_DURATION_TICKS)
        with suppress(MalformedError):
            self._mux(packet)

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


def _write_error(path: Path, error: Exception) -> StorageError | MalformedError:
    """FFmpeg says EINVAL or "invalid data" for a packet it does not like; all else is the disk's."""
    if isinstance(error, InvalidDataError) or getattr(error, "errno", None) == errno.EINVAL:
        return MalformedError(f"{path.name}: the muxer refused a packet: {error}")
    return disk.storage_error(path, error)
