"""Which container holds which codecs, and how each is written so that it plays as it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from channel_recorder.model import Codec

AudioCodec = Literal["opus", "aac"]

FRAGMENT_MICROSECONDS = 250_000
"""Length of an MP4 fragment. A kill loses this, what waits for interleaving, and what waits for sound: together under
a second. Costs 1 KB/s."""

_COMMON = {
    "flush_packets": "1",
    # FFmpeg waits 10 s for a stream that pauses before it writes the others: a kill would lose all that.
    "max_interleave_delta": "400000",
}


@dataclass(frozen=True, slots=True)
class ContainerFormat:
    """A kind of file. `muxer` and `options` are FFmpeg's; WebM files are written without it."""

    extension: str
    muxer: str
    options: Mapping[str, str]


WEBM = ContainerFormat("webm", "webm", {})
_FRAGMENTS = {**_COMMON, "movflags": "hybrid_fragmented+delay_moov", "frag_duration": str(FRAGMENT_MICROSECONDS)}
MP4 = ContainerFormat("mp4", "mp4", _FRAGMENTS)
"""Fragments while it grows; on close an index is added that makes it an ordinary MP4. Until then FFmpeg keeps that in
memory: 20 MB per hour of 25 pictures and 50 sound packets a second (measured)."""
M4A = ContainerFormat("m4a", "mp4", _FRAGMENTS)
OGG = ContainerFormat("ogg", "ogg", {**_COMMON, "page_duration": "200000"})
AAC = ContainerFormat("aac", "adts", _COMMON)
"""Bare ADTS frames: the sound half of the classic pair of files."""

VIDEO_FORMATS: Mapping[Codec, ContainerFormat] = {
    Codec.VP8: WEBM,
    Codec.VP9: WEBM,
    Codec.H264: MP4,
    Codec.H265: MP4,
    Codec.AV1: MP4,
}


def container_format(video: Codec | None, audio: AudioCodec | None, *, separate: bool = False) -> ContainerFormat:
    """The container for what one file declares. `separate`: one of a pair of files, one track each."""
    if video is not None:
        return VIDEO_FORMATS[video]
    if audio == "opus":
        return OGG
    return AAC if separate else M4A


def audio_codec_beside(video: Codec | None, wanted: AudioCodec) -> AudioCodec:
    """Opus stays Opus in WebM, which holds nothing else and which every WebM player plays."""
    return "opus" if video is not None and VIDEO_FORMATS[video] is WEBM else wanted
