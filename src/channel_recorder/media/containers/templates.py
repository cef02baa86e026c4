"""Codec parameters made from encoded data, for `add_stream_from_template`.

A muxer needs size, profile and extradata. FFmpeg's own raw demuxers know how to find them: the first
key frame is opened from memory as if it were a file (0.2 ms).
"""

from __future__ import annotations

import io
import struct
from functools import cache

import av
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.video.stream import VideoStream

from channel_recorder.errors import MalformedError
from channel_recorder.media.containers import ogg
from channel_recorder.model import Codec

_IVF_HEADER = struct.Struct("<4sHH4sHHIIII")
_IVF_FRAME = struct.Struct("<IQ")
_FOURCC = {Codec.VP8: b"VP80", Codec.VP9: b"VP90"}
_DEMUXERS = {Codec.H264: "h264", Codec.H265: "hevc", Codec.AV1: "obu", Codec.VP8: "ivf", Codec.VP9: "ivf"}
_TEMPORAL_DELIMITER = b"\x12\x00"
"""OBU_TEMPORAL_DELIMITER with has_size_field (AV1 section 5.3). RTP leaves it out, FFmpeg's demuxer wants it."""


def video_template(codec: Codec, key_frame: bytes, width: int, height: int) -> VideoStream:
    """The stream that `key_frame` begins. The container it comes from lives as long as the stream.

    Raises `MalformedError` if the frame is none that FFmpeg can open.
    """
    data = _as_file(codec, key_frame, width, height)
    try:
        stream = av.open(io.BytesIO(data), format=_DEMUXERS[codec]).streams.video[0]
    except (FFmpegError, IndexError) as error:
        raise MalformedError(f"{codec} key frame of {len(key_frame)} bytes does not parse: {error}") from error
    if not (stream.codec_context.width and stream.codec_context.height):
        raise MalformedError(f"{codec} key frame of {len(key_frame)} bytes tells no picture size")
    return stream


@cache
def opus_template() -> AudioStream:
    """Stereo Opus at 48 kHz without pre-skip."""
    return av.open(io.BytesIO(ogg.opus_stream()), format="ogg").streams.audio[0]


def _as_file(codec: Codec, key_frame: bytes, width: int, height: int) -> bytes:
    fourcc = _FOURCC.get(codec)
    if fourcc is not None:
        header = _IVF_HEADER.pack(b"DKIF", 0, _IVF_HEADER.size, fourcc, width, height, 90_000, 1, 1, 0)
        return header + _IVF_FRAME.pack(len(key_frame), 0) + key_frame
    if codec is Codec.AV1 and not key_frame.startswith(_TEMPORAL_DELIMITER):
        return _TEMPORAL_DELIMITER + key_frame
    return key_frame
