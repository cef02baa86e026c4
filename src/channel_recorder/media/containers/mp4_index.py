"""The index of an MP4 file (ISO/IEC 14496-12, `moov`), made from its head and the samples of its fragments."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable
from itertools import groupby, pairwise

from channel_recorder.errors import MalformedError
from channel_recorder.media.containers.mp4_fragments import Box, Track, boxes, find, version, whole

_HEADER = struct.Struct(">I4s")
_WORD_MAX = 2**32 - 1
_MOVIE_HZ_AT = 12
"""In version 0 of `mvhd` and `mdhd`: the time scale, then the duration."""
_DURATION_AT = 16
_TRACK_DURATION_AT = 20
_EDIT_BYTES = 12
_ROLL_DISTANCE = -4
"""Sound begins to be right four packets after a seek (RFC 7845 section 4.6: 80 ms)."""

Make = Callable[[bytes, Box], bytes]


def build(moov: bytes, tracks: list[Track]) -> bytes:
    """Raises `MalformedError` for a head that FFmpeg did not write."""
    movie = whole(moov)
    movie_hz = _time_scale(moov, find(moov, movie, b"mvhd"))
    by_id = {track.track_id: track for track in tracks}
    lengths: list[int] = []
    parts: list[bytes] = []
    for box in boxes(moov, movie.content, movie.end):
        match box.kind:
            case b"trak":
                track = by_id[_track_id(moov, box)]
                media_hz = _time_scale(moov, find(moov, box, b"mdia", b"mdhd"))
                # From the movie's zero: tracks that begin later have an empty edit before.
                length = round(track.end_time * movie_hz / media_hz)
                lengths.append(length + _empty_edit(moov, box))
                parts.append(_TrackIndex(track, length, lengths[-1]).build(moov, box))
            case b"mvex":
                pass
            case _:
                parts.append(_raw(moov, box))
    parts[0] = _with_word(parts[0], 8 + _DURATION_AT, max(lengths, default=0))
    return _box(b"moov", *parts)


class _TrackIndex:
    """Copies a track's head, with tables of samples in place of empty ones."""

    def __init__(self, track: Track, media_length: int, track_length: int) -> None:
        """Lengths in the movie's time scale."""
        self._track = track
        self._media_length = media_length
        self._track_length = track_length
        self._makers: dict[bytes, Make] = {
            b"mdia": self._container,
            b"minf": self._container,
            b"edts": self._container,
            b"tkhd": self._tkhd,
            b"elst": self._elst,
            b"mdhd": self._mdhd,
            b"stbl": self._stbl,
        }

    def build(self, moov: bytes, trak: Box) -> bytes:
        return self._container(moov, trak)

    def _container(self, moov: bytes, outer: Box) -> bytes:
        parts = [self._makers.get(box.kind, _raw)(moov, box) for box in boxes(moov, outer.content, outer.end)]
        return _box(outer.kind, *parts)

    def _tkhd(self, moov: bytes, box: Box) -> bytes:
        return _with_word(_raw(moov, box), 8 + _TRACK_DURATION_AT, self._track_length)

    def _elst(self, moov: bytes, box: Box) -> bytes:
        """The last edit shows the media, for as long as there is any."""
        raw = _raw(moov, box)
        return _with_word(raw, len(raw) - _EDIT_BYTES, self._media_length)

    def _mdhd(self, moov: bytes, box: Box) -> bytes:
        raw, duration = _raw(moov, box), self._track.end_time
        if duration <= _WORD_MAX:
            return _with_word(raw, 8 + _DURATION_AT, duration)
        # Sound of more than 24 h: version 1 has room.
        created, modified, scale = struct.unpack_from(">III", raw, 12)
        return _box(b"mdhd", struct.pack(">IQQIQ", 1 << 24, created, modified, scale, duration), raw[-4:])

    def _stbl(self, moov: bytes, box: Box) -> bytes:
        stsd = find(moov, box, b"stsd")
        if stsd is None:
            raise MalformedError("MP4 track without a description")
        track = self._track
        count = len(track.sizes)
        parts = [_raw(moov, stsd), _table(b"stts", _runs(_durations(track)))]
        if len(track.syncs) < count:
            parts.append(_table(b"stss", [(number,) for number in track.syncs]))
        parts.append(_chunk_table(track))
        parts.append(_box(b"stsz", struct.pack(">III", 0, 0, count), _big_endian(array("I", track.sizes))))
        positions = _big_endian(track.chunk_positions)
        parts.append(_box(b"co64", struct.pack(">II", 0, len(track.chunk_positions)), positions))
        if b"Opus" in moov[stsd.content : stsd.end]:
            parts += [
                _box(b"sgpd", struct.pack(">I4sIIh", 1 << 24, b"roll", 2, 1, _ROLL_DISTANCE)),
                _box(b"sbgp", struct.pack(">I4sIII", 0, b"roll", 1, count, 1)),
            ]
        return _box(b"stbl", *parts)


def _durations(track: Track) -> list[int]:
    times = [*track.times, track.end_time]
    durations = [max(0, later - earlier) for earlier, later in pairwise(times)]
    if max(durations, default=0) > _WORD_MAX:
        raise MalformedError("MP4 fragments half a day apart")
    return durations


def _runs(values: list[int]) -> list[tuple[int, ...]]:
    return [(len(list(group)), value) for value, group in groupby(values)]


def _chunk_table(track: Track) -> bytes:
    """First chunk of each run of chunks with as many samples."""
    rows: list[tuple[int, ...]] = []
    for number, samples in enumerate(track.chunk_samples, 1):
        if not rows or rows[-1][1] != samples:
            rows.append((number, samples, 1))
    return _table(b"stsc", rows)


def _table(kind: bytes, rows: list[tuple[int, ...]]) -> bytes:
    values = array("I", [value for row in rows for value in row])
    return _box(kind, struct.pack(">II", 0, len(rows)), _big_endian(values))


def _big_endian(values: array[int]) -> bytes:
    if sys.byteorder == "little":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return _HEADER.pack(_HEADER.size + len(content), kind) + content


def _raw(moov: bytes, box: Box) -> bytes:
    return moov[box.content - _HEADER.size : box.end]


def _with_word(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + min(value, _WORD_MAX).to_bytes(4, "big") + data[at + 4 :]


def _time_scale(moov: bytes, box: Box | None) -> int:
    scale = 0
    if box is not None and version(moov, box) == 0 and box.end - box.content >= _DURATION_AT + 4:
        scale = int.from_bytes(moov[box.content + _MOVIE_HZ_AT : box.content + _MOVIE_HZ_AT + 4], "big")
    if not scale:
        raise MalformedError("MP4 head without a time scale")
    return scale


def _track_id(moov: bytes, trak: Box) -> int:
    tkhd = find(moov, trak, b"tkhd")
    if tkhd is None or version(moov, tkhd) or tkhd.end - tkhd.content < _TRACK_DURATION_AT + 4:
        raise MalformedError("MP4 track without head")
    return int.from_bytes(moov[tkhd.content + 12 : tkhd.content + 16], "big")


def _empty_edit(moov: bytes, trak: Box) -> int:
    """How much later than the movie the track begins."""
    elst = find(moov, trak, b"edts", b"elst")
    if elst is None or int.from_bytes(moov[elst.content + 4 : elst.content + 8], "big") < 2:
        return 0
    return int.from_bytes(moov[elst.content + 8 : elst.content + 12], "big")
