"""`<uid>_<stamp>.sealed`: frames of one track that no key opened, as they came, to be opened later.

    {"format":"channel-recorder sealed frames","version":1,"channel":..,"uid":..,"account":..,"sid":..,
     "kind":..,"source":..}\\n                          one line of JSON
    then for each frame, numbers big-endian:
    4 bytes   length of what follows
    1         codec: 1 opus, 2 vp8, 3 vp9, 4 h264, 5 h265, 6 av1
    1         key index
    2         degrees clockwise to turn the picture
    2         packets lost before the frame
    8         RTP time stamp, unwrapped, signed
    8         recording time in seconds, IEEE 754
    then each part the sender sealed apart (spatial layers of VP9, else one): 4 bytes of length, and the part.

A file that a crash cut off ends with its last whole frame.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

from channel_recorder.errors import MalformedError
from channel_recorder.model import Codec, EncodedFrame, MediaKind, Source, User
from channel_recorder.recording.contract import RecordedTrack

EXTENSION = "sealed"
FORMAT = "channel-recorder sealed frames"
VERSION = 1
MAX_HEADER_BYTES = 65_536
MAX_FRAME_BYTES = 64 * 2**20
_LENGTH = struct.Struct(">I")
_FRAME = struct.Struct(">BBHHqd")
_CODES = {codec: number for number, codec in enumerate(Codec, 1)}
_CODECS = {number: codec for codec, number in _CODES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedHeader:
    """The first line: whose frames these are."""

    channel: str
    track: RecordedTrack

    def to_bytes(self) -> bytes:
        track = self.track
        fields = {
            "format": FORMAT,
            "version": VERSION,
            "channel": self.channel,
            "uid": track.user.uid,
            "account": track.user.account,
            "sid": track.sid,
            "kind": track.kind,
            "source": track.source,
        }
        return json.dumps(fields, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_bytes(cls, line: bytes) -> Self:
        """Raises `MalformedError`."""
        try:
            fields: Any = json.loads(line)
            if (fields["format"], fields["version"]) != (FORMAT, VERSION):
                raise MalformedError("a file of sealed frames of another version")
            track = RecordedTrack(
                sid=str(fields["sid"]),
                user=User(uid=int(fields["uid"]), account=str(fields["account"])),
                kind=MediaKind(fields["kind"]),
                source=Source(fields["source"]),
            )
            return cls(channel=str(fields["channel"]), track=track)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            if isinstance(error, MalformedError):
                raise
            raise MalformedError("no file of sealed frames") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFrame:
    codec: Codec
    key_index: int
    rotation: int
    lost_packets: int
    timestamp: int
    time_seconds: float
    units: tuple[bytes, ...]


def pack_units(units: Sequence[bytes]) -> bytes:
    return b"".join([part for unit in units for part in (_LENGTH.pack(len(unit)), unit)])


def pack_frame(frame: EncodedFrame) -> bytes:
    """`frame.data` is what `pack_units` made. Its last byte is the key index: nothing comes behind that."""
    head = _FRAME.pack(
        _CODES[frame.codec],
        frame.data[-1],
        frame.rotation,
        min(frame.lost_packets, 0xFFFF),
        frame.timestamp,
        frame.time_seconds,
    )
    return _LENGTH.pack(len(head) + len(frame.data)) + head + frame.data


def read_sealed(file: BinaryIO) -> tuple[SealedHeader, Iterator[SealedFrame]]:
    """Header and frames, up to the last whole one. Both raise `MalformedError`; `OSError` as the file does."""
    line = file.readline(MAX_HEADER_BYTES)
    if not line.endswith(b"\n"):
        raise MalformedError("no file of sealed frames")
    return SealedHeader.from_bytes(line), _frames(file)


def _frames(file: BinaryIO) -> Iterator[SealedFrame]:
    while len(length := file.read(_LENGTH.size)) == _LENGTH.size:
        (size,) = _LENGTH.unpack(length)
        if size > MAX_FRAME_BYTES:
            raise MalformedError("a sealed frame that is none")
        record = file.read(size)
        if len(record) < size:
            return
        yield _frame(record)


def _frame(record: bytes) -> SealedFrame:
    try:
        code, key_index, rotation, lost_packets, timestamp, time_seconds = _FRAME.unpack_from(record)
        codec = _CODECS[code]
    except (struct.error, KeyError):
        raise MalformedError("a sealed frame that is none") from None
    if not 0.0 <= time_seconds < 1e9:
        raise MalformedError("a sealed frame of no time")
    return SealedFrame(
        codec=codec,
        key_index=key_index,
        rotation=rotation,
        lost_packets=lost_packets,
        timestamp=timestamp,
        time_seconds=time_seconds,
        units=tuple(_units(record, _FRAME.size)),
    )


def _units(record: bytes, position: int) -> Iterator[bytes]:
    while position < len(record):
        if position + _LENGTH.size > len(record):
            raise MalformedError("a sealed frame that ends early")
        (size,) = _LENGTH.unpack_from(record, position)
        position += _LENGTH.size
        if size > len(record) - position:
            raise MalformedError("a sealed frame that ends early")
        yield record[position : position + size]
        position += size
