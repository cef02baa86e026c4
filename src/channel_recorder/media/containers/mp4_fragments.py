"""Which samples the fragments of an MP4 file hold (ISO/IEC 14496-12 section 8.8), as FFmpeg writes them."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from channel_recorder.errors import MalformedError

_HEADER = struct.Struct(">I4s")
_WORD = struct.Struct(">I")
_LONG = struct.Struct(">Q")
_NOT_SYNC = 0x00010000
_SAMPLES_MAX = 1 << 20
"""In one run."""
_TIME_MAX = 2**63
"""Far beyond any call."""
_BASE_OFFSET, _DESCRIPTION, _DURATION, _SIZE, _FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20
_DATA_OFFSET, _FIRST_FLAGS = 0x1, 0x4
_EACH_DURATION, _EACH_SIZE, _EACH_FLAGS, _EACH_COMPOSITION = 0x100, 0x200, 0x400, 0x800


@dataclass(frozen=True, slots=True)
class Box:
    kind: bytes
    content: int
    end: int


@dataclass(slots=True)
class Track:
    """The samples of one track, in order; each number of `chunks` is a run of samples that lie together."""

    track_id: int
    has_samples: bool
    """In the head itself: it is an index."""
    sizes: array[int] = field(default_factory=lambda: array("I"))
    times: array[int] = field(default_factory=lambda: array("Q"))
    syncs: array[int] = field(default_factory=lambda: array("I"))
    """Numbers of the samples that need no other, from 1."""
    chunk_positions: array[int] = field(default_factory=lambda: array("Q"))
    chunk_samples: array[int] = field(default_factory=lambda: array("I"))
    end_time: int = 0


@dataclass(slots=True)
class _Run:
    """What a fragment says of its samples where a run does not."""

    base: int
    duration: int = 0
    size: int = 0
    flags: int = 0


def boxes(data: bytes, position: int, end: int) -> Iterator[Box]:
    """Raises `MalformedError` for one that leaves its parent."""
    while position + _HEADER.size <= end:
        length, kind = _HEADER.unpack_from(data, position)
        if length < _HEADER.size or position + length > end:
            raise MalformedError(f"MP4 box {kind!r} of {length} bytes does not fit")
        yield Box(kind, position + _HEADER.size, position + length)
        position += length


def find(data: bytes, outer: Box, *path: bytes) -> Box | None:
    for kind in path:
        found = next((box for box in boxes(data, outer.content, outer.end) if box.kind == kind), None)
        if found is None:
            return None
        outer = found
    return outer


def whole(data: bytes) -> Box:
    """The box that `data` is. Raises `MalformedError`."""
    if len(data) < _HEADER.size:
        raise MalformedError("no MP4 box")
    return Box(data[4:8], _HEADER.size, len(data))


def version(data: bytes, box: Box) -> int:
    """Of a box that has one. Raises `MalformedError`."""
    if box.content >= box.end:
        raise MalformedError("MP4 box without content")
    return data[box.content]


def read_tracks(moov: bytes) -> list[Track]:
    """Raises `MalformedError`."""
    tracks: list[Track] = []
    head = whole(moov)
    for trak in boxes(moov, head.content, head.end):
        if trak.kind == b"trak":
            tkhd, stsz = find(moov, trak, b"tkhd"), find(moov, trak, b"mdia", b"minf", b"stbl", b"stsz")
            if tkhd is None or stsz is None:
                raise MalformedError("MP4 track without head or sizes")
            number = _word(moov, tkhd.content + (20 if version(moov, tkhd) else 12))
            tracks.append(Track(number, _word(moov, stsz.content + 8) > 0))
    return tracks


def read_fragment(moof: bytes, position: int, data_end: int, tracks: list[Track]) -> None:
    """Adds its samples. `position`: of the moof in its file. Raises `MalformedError`."""
    outer = whole(moof)
    for traf in boxes(moof, outer.content, outer.end):
        if traf.kind == b"traf":
            _read_track_fragment(moof, traf, position, data_end, tracks)


def _read_track_fragment(moof: bytes, traf: Box, position: int, data_end: int, tracks: list[Track]) -> None:
    tfhd, tfdt = find(moof, traf, b"tfhd"), find(moof, traf, b"tfdt")
    if tfhd is None or tfdt is None:
        raise MalformedError("MP4 fragment without head or time")
    number = _word(moof, tfhd.content + 4)
    track = next((one for one in tracks if one.track_id == number), None)
    if track is None:
        raise MalformedError(f"MP4 fragment of an unknown track {number}")
    run = _run_defaults(moof, tfhd, position)
    track.end_time = _long(moof, tfdt.content + 4) if version(moof, tfdt) else _word(moof, tfdt.content + 4)
    for trun in boxes(moof, traf.content, traf.end):
        if trun.kind == b"trun":
            _read_run(moof, trun, run, track, data_end)


def _run_defaults(moof: bytes, tfhd: Box, position: int) -> _Run:
    flags = _word(moof, tfhd.content) & 0xFFFFFF
    at = tfhd.content + 8
    run = _Run(position)
    if flags & _BASE_OFFSET:
        run.base = _long(moof, at)
        at += 8
    if flags & _DESCRIPTION:
        at += 4
    for bit, name in ((_DURATION, "duration"), (_SIZE, "size"), (_FLAGS, "flags")):
        if flags & bit:
            setattr(run, name, _word(moof, at))
            at += 4
    return run


def _read_run(moof: bytes, trun: Box, run: _Run, track: Track, data_end: int) -> None:
    flags = _word(moof, trun.content) & 0xFFFFFF
    count = _word(moof, trun.content + 4)
    at = trun.content + 8
    start, first_flags = run.base, None
    if flags & _DATA_OFFSET:
        start += _signed(moof, at)
        at += 4
    if flags & _FIRST_FLAGS:
        first_flags = _word(moof, at)
        at += 4
    each = [bit for bit in (_EACH_DURATION, _EACH_SIZE, _EACH_FLAGS, _EACH_COMPOSITION) if flags & bit]
    if count > _SAMPLES_MAX or at + 4 * len(each) * count > trun.end:
        raise MalformedError("MP4 run with more samples than it has room for")
    position = start
    for index in range(count):
        said = {bit: _word(moof, at + 4 * place) for place, bit in enumerate(each)}
        at += 4 * len(each)
        if said.get(_EACH_COMPOSITION):
            raise MalformedError("MP4 pictures out of order: no file of ours")
        sample_flags = said.get(_EACH_FLAGS, run.flags)
        if index == 0 and first_flags is not None:
            sample_flags = first_flags
        size = said.get(_EACH_SIZE, run.size)
        track.sizes.append(size)
        track.times.append(track.end_time)
        if not sample_flags & _NOT_SYNC:
            track.syncs.append(len(track.sizes))
        track.end_time += said.get(_EACH_DURATION, run.duration)
        position += size
    if not 0 <= start <= position <= data_end or track.end_time > _TIME_MAX:
        raise MalformedError("MP4 run outside of its fragment")
    if count:
        track.chunk_positions.append(start)
        track.chunk_samples.append(count)


def _word(data: bytes, at: int) -> int:
    if at + 4 > len(data):
        raise MalformedError("MP4 box ends early")
    return _WORD.unpack_from(data, at)[0]


def _signed(data: bytes, at: int) -> int:
    value = _word(data, at)
    return value - (1 << 32) if value >> 31 else value


def _long(data: bytes, at: int) -> int:
    if at + 8 > len(data):
        raise MalformedError("MP4 box ends early")
    return _LONG.unpack_from(data, at)[0]
