"""WebM files, written cluster by cluster.

Not by FFmpeg: while VP8 or VP9 pictures pause, its interleaving keeps all sound in memory, without bound
(`max_interleave_delta` makes an exception of these codecs), and a kill would lose it. Here a cluster is
written as soon as both streams passed its end, or one of them is far enough ahead.

Elements: RFC 9559. While the file grows, its Segment has no size and no index; both are added on close.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from channel_recorder.codecs import opus
from channel_recorder.errors import MalformedError, StorageError
from channel_recorder.media.containers import disk, ebml
from channel_recorder.model import Codec, EncodedFrame

TICKS_PER_SECOND = 1000
CLUSTER_TICKS = 250
FIRST_PICTURE_TICKS = 20
"""The first cluster ends so soon after the first picture: that is on disk when the second comes."""
INTERLEAVE_TICKS = 400
"""How far one stream may be ahead of the other before the file goes on without it: the hold of sound and a batch."""

_VIDEO, _AUDIO = 1, 2
_CODEC_IDS = {Codec.VP8: "V_VP8", Codec.VP9: "V_VP9"}
_CHANNELS = 2
_SEEK_PRE_ROLL_NANOSECONDS = 80_000_000
SEEK_HEAD_BYTES = 100
_APP = "channel-recorder"

_CLUSTER_ID = b"\x1f\x43\xb6\x75"
_BLOCK = struct.Struct(">BIBhB")
_BLOCK_ID = 0xA3
_BLOCK_HEAD = struct.Struct(">BhB")
_BLOCK_HEAD_BYTES = _BLOCK_HEAD.size
_SIZE_4 = 0x10000000
_KEY_FLAG = 0x80

Block = tuple[int, int, int, bytes]
"""Time stamp, track, flags, data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things are in the file."""

    segment: int
    """The content of it."""
    info: int
    tracks: int
    cues: int | None


class WebmFile:
    """VP8 or VP9 pictures, with or without Opus sound. See `output.OutputFile` for the methods."""

    video_clock_hz = TICKS_PER_SECOND
    audio_clock_hz = TICKS_PER_SECOND
    aac_encoder = None

    def __init__(self, path: Path, video: EncodedFrame, *, has_sound: bool) -> None:
        if not (video.width and video.height):
            raise MalformedError(f"{video.codec} key frame of {len(video.data)} bytes tells no picture size")
        self.path = path
        self._blocks: list[Block] = []
        self._cluster_start = 0
        self._cluster_ticks = CLUSTER_TICKS
        self._has_picture = False
        self._newest = {_VIDEO: 0, _AUDIO: 0} if has_sound else {_VIDEO: 0}
        self._end_ticks = 0
        self._last_picture_end = 0
        """Set at the end, where it differs from what the pictures before suggest."""
        self._cues: list[tuple[int, int]] = []
        self._closed = False
        disk.create_exclusively(path)
        try:
            self._file = path.open("r+b", buffering=0)
        except OSError as error:
            raise disk.storage_error(path, error) from error
        self._position = 0
        try:
            self._write_head(video, has_sound)
        except StorageError:
            self._file.close()
            disk.remove_unused(path)
            raise

    def write_video(self, data: bytes, pts_ticks: int, duration_ticks: int, key_frame: bool) -> None:
        if not self._has_picture:
            self._has_picture = True
            self._cluster_ticks = max(pts_ticks - self._cluster_start, 0) + FIRST_PICTURE_TICKS
        self._add(_VIDEO, data, pts_ticks, duration_ticks, _KEY_FLAG if key_frame else 0)

    def write_audio(self, data: bytes, pts_ticks: int, duration_ticks: int) -> None:
        self._add(_AUDIO, data, pts_ticks, duration_ticks, _KEY_FLAG)

    def close(self, picture_end_ticks: int = 0) -> None:
        if self._closed:
            return
        self._closed = True
        if _AUDIO not in self._newest and picture_end_ticks > self._end_ticks:
            self._end_ticks = self._last_picture_end = picture_end_ticks
        try:
            while self._blocks:
                self._write_cluster()
            self._finish(self._end_ticks, self._write_cues())
        finally:
            self._file.close()

    def abandon(self) -> None:
        if self._closed:
            return
        self._closed = True
        cues = None
        with suppress(StorageError):
            # Room may have been made for it.
            while self._blocks:
                self._write_cluster()
            cues = self._write_cues()
        with suppress(StorageError):
            self._finish(self._end_ticks if cues else self._cluster_start, cues)  # in place: needs no room on the disk
        self._file.close()

    def _add(self, track: int, data: bytes, pts_ticks: int, duration_ticks: int, flags: int) -> None:
        newest = self._newest
        self._blocks.append((pts_ticks, track, flags, data))
        newest[track] = pts_ticks
        self._end_ticks = max(self._end_ticks, pts_ticks + duration_ticks)
        cluster_end = self._cluster_start + self._cluster_ticks
        if pts_ticks >= cluster_end and (
            min(newest.values()) >= cluster_end or pts_ticks >= cluster_end + INTERLEAVE_TICKS
        ):
            self._write_cluster()

    def _write_cluster(self) -> None:
        """The blocks up to the cluster's end, in order of time."""
        self._blocks.sort(key=itemgetter(0))
        start = self._blocks[0][0]
        end = start + self._cluster_ticks
        self._cluster_ticks = CLUSTER_TICKS
        inside = [block for block in self._blocks if block[0] < end]
        rest = self._blocks[len(inside) :]
        position = self._position
        self._write(_cluster(start, inside, 0 if rest else self._last_picture_end))
        # Only now: what the disk refused is tried again when the file is abandoned.
        self._blocks = rest
        self._cluster_start = rest[0][0] if rest else end
        self._cues += [(at, position) for at, track, flags, _ in inside if track == _VIDEO and flags]

    def _write_head(self, video: EncodedFrame, has_sound: bool) -> None:
        self._write(
            ebml.master(
                0x1A45DFA3,  # EBML
                ebml.text(0x4282, "webm"),
                ebml.unsigned(0x4287, 4),  # DocTypeVersion
                ebml.unsigned(0x4285, 2),  # DocTypeReadVersion
            )
        )
        self._write(b"\x18\x53\x80\x67" + ebml.UNKNOWN_SIZE)
        self._segment = self._position
        self._write(ebml.void(SEEK_HEAD_BYTES))
        self._info = self._position
        self._write(info_element(0.0))
        self._tracks = self._position
        tracks = [_video_track(video)] + ([_audio_track()] if has_sound else [])
        self._write(ebml.master(0x1654AE6B, *tracks))

    def _write_cues(self) -> int | None:
        """The index; returns where it is."""
        if not self._cues:
            return None
        cues = self._position
        self._write(cues_element(self._cues, self._segment))
        return cues

    def _finish(self, duration_ticks: int, cues: int | None) -> None:
        """Fill in what was not known: size, duration, where things are."""
        self._overwrite(self._segment - 8, ebml.size_8(self._position - self._segment))
        self._overwrite(self._info, info_element(float(duration_ticks)))
        places = Places(segment=self._segment, info=self._info, tracks=self._tracks, cues=cues)
        self._overwrite(self._segment, seek_head_element(places))

    def _overwrite(self, position: int, data: bytes) -> None:
        try:
            self._file.seek(position)
            self._file.write(data)
        except OSError as error:
            raise disk.storage_error(self.path, error) from error

    def _write(self, data: bytes) -> None:
        """At the end; all of it or nothing."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._position)
            raise disk.storage_error(self.path, error) from error
        self._position += len(data)


def _cluster(start_ticks: int, blocks: list[Block], last_end_ticks: int) -> bytes:
    """`last_end_ticks`: until when the last block is shown, if that is to be said."""
    parts = [ebml.unsigned(0xE7, start_ticks)]
    for at, track, flags, data in blocks[:-1] if last_end_ticks else blocks:
        size = _SIZE_4 | (len(data) + _BLOCK_HEAD_BYTES)
        parts += (_BLOCK.pack(_BLOCK_ID, size, 0x80 | track, at - start_ticks, flags), data)
    if last_end_ticks:
        parts.append(_block_group(start_ticks, blocks[-1], last_end_ticks))
    content = b"".join(parts)
    return _CLUSTER_ID + ebml.size_8(len(content)) + content


def _block_group(start_ticks: int, block: Block, end_ticks: int) -> bytes:
    """A block with a duration, which a SimpleBlock has not."""
    at, track, flags, data = block
    return ebml.master(
        0xA0,
        ebml.element(0xA1, _BLOCK_HEAD.pack(0x80 | track, at - start_ticks, 0) + data),
        ebml.unsigned(0x9B, end_ticks - at),
        b"" if flags else ebml.unsigned(0xFB, 0),  # ReferenceBlock: no key frame
    )


def info_element(duration_ticks: float) -> bytes:
    """Always as long, so that the duration can be filled in later."""
    return ebml.master(
        0x1549A966,
        ebml.unsigned(0x2AD7B1, 1_000_000),  # TimestampScale: one tick is a millisecond
        ebml.text(0x4D80, _APP),
        ebml.text(0x5741, _APP),
        ebml.float64(0x4489, duration_ticks) if duration_ticks else ebml.void(11),
    )


def _video_track(frame: EncodedFrame) -> bytes:
    size = ebml.unsigned(0xB0, frame.width) + ebml.unsigned(0xBA, frame.height)
    return ebml.master(
        0xAE,
        *_track_head(_VIDEO, track_type=1, codec_id=_CODEC_IDS[frame.codec]),
        ebml.master(0xE0, size, _rotation(frame.rotation), _colour(frame.codec)),
    )


def _colour(codec: Codec) -> bytes:
    """VP8 is BT.601 (RFC 6386 section 9.2), which players take for BT.709 from 720 lines upwards unless it is said.
    VP9 says itself what it is."""
    if codec is not Codec.VP8:
        return b""
    bt601, limited_range = 6, 1
    return ebml.master(
        0x55B0,
        ebml.unsigned(0x55B1, bt601),  # MatrixCoefficients
        ebml.unsigned(0x55B9, limited_range),
        ebml.unsigned(0x55BA, bt601),  # TransferCharacteristics
        ebml.unsigned(0x55BB, bt601),  # Primaries
    )


def _rotation(degrees: int) -> bytes:
    """Projection with ProjectionPoseRoll, counter-clockwise: FFmpeg reads it as it reads an MP4's display matrix."""
    if not degrees:
        return b""
    roll = float(-degrees if degrees <= 180 else 360 - degrees)
    return ebml.master(0x7670, ebml.unsigned(0x7671, 0), ebml.float64(0x7675, roll))


def _audio_track() -> bytes:
    return ebml.master(
        0xAE,
        *_track_head(_AUDIO, track_type=2, codec_id="A_OPUS"),
        ebml.element(0x63A2, opus.opus_head(_CHANNELS, pre_skip_ticks=0)),
        ebml.unsigned(0x56BB, _SEEK_PRE_ROLL_NANOSECONDS),
        ebml.master(0xE1, ebml.float64(0xB5, float(opus.CLOCK_RATE_HZ)), ebml.unsigned(0x9F, _CHANNELS)),
    )


def _track_head(number: int, *, track_type: int, codec_id: str) -> tuple[bytes, ...]:
    return (
        ebml.unsigned(0xD7, number),
        ebml.unsigned(0x73C5, number),  # TrackUID
        ebml.unsigned(0x83, track_type),
        ebml.unsigned(0x9C, 0),  # FlagLacing
        ebml.text(0x86, codec_id),
    )


def cues_element(cues: list[tuple[int, int]], segment: int) -> bytes:
    """The index: time stamps of key frames, and where in the file their clusters are."""
    return ebml.master(0x1C53BB6B, *(_cue(at, position - segment) for at, position in cues))


def seek_head_element(places: Places) -> bytes:
    """Always as long, as is the room kept for it."""
    known = [(0x1549A966, places.info), (0x1654AE6B, places.tracks)]
    if places.cues is not None:
        known.append((0x1C53BB6B, places.cues))
    seek_head = ebml.master(0x114D9B74, *(_seek(name, at - places.segment) for name, at in known))
    return seek_head + ebml.void(SEEK_HEAD_BYTES - len(seek_head))


def _cue(at_ticks: int, position: int) -> bytes:
    where = ebml.master(0xB7, ebml.unsigned(0xF7, _VIDEO), ebml.unsigned(0xF1, position))
    return ebml.master(0xBB, ebml.unsigned(0xB3, at_ticks), where)


def _seek(identifier: int, position: int) -> bytes:
    name = ebml.element(0x53AB, identifier.to_bytes(4, "big"))
    return ebml.master(0x4DBB, name, ebml.unsigned(0x53AC, position))
