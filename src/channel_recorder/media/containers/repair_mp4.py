"""What a kill leaves of an MP4 or M4A file: a head, then fragments, of which the last may be half.

It becomes what FFmpeg's `hybrid_fragmented` makes at a clean end: an index of all samples is appended, then sixteen
bytes of the head turn all fragments into the content of one `mdat`. Until these are written the file plays by its
fragments. Nothing is copied, so a file of an hour takes a second and a full disk needs room for the index only.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass

from channel_recorder.errors import MalformedError
from channel_recorder.media.containers import mp4_fragments, mp4_index
from channel_recorder.media.containers.mp4_fragments import Track
from channel_recorder.media.containers.patching import Patched

_HEADER = struct.Struct(">I4s")
_LARGE = struct.Struct(">I4sQ")
_FREE_8 = _HEADER.pack(8, b"free")
_SIZE_4_MAX = 2**32 - 1
_MOOF_MAX_BYTES = 1 << 24
_FRAGMENT_MAX_BYTES = 1 << 26
"""A quarter of a second, or what one picture takes."""


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    position: int
    content: int
    end: int


@dataclass(slots=True)
class _Layout:
    end: int = 0
    """Behind the last whole fragment."""
    moov: _Box | None = None
    slot: int | None = None
    """Where the head has room for the header of a large `mdat`."""
    is_indexed: bool = False


def repair(file: Patched) -> bool:
    """Cuts the half fragment at the end and adds the index. False: not one fragment is whole."""
    try:
        layout, tracks = _read(file)
    except MalformedError:
        return True  # no file of ours: it plays, or not, as it lies
    if layout.is_indexed:
        return True
    if layout.moov is None or not any(track.sizes for track in tracks):
        return False
    index_at = _index_after(file, layout.end)
    file.cut(layout.end, file.size if index_at else _FRAGMENT_MAX_BYTES)
    if layout.slot is not None:
        head = file.read(layout.moov.position, layout.moov.end - layout.moov.position)
        with suppress(MalformedError):
            _add_index(file, layout.slot, mp4_index.build(head, tracks))
    return True


def _add_index(file: Patched, slot: int, index: bytes) -> None:
    fragments_end = file.size
    file.append(index)
    at = slot + len(_FREE_8)
    length = fragments_end - at
    if length <= _SIZE_4_MAX:
        file.overwrite(slot, _FREE_8 + _HEADER.pack(length, b"mdat"))
    else:
        file.overwrite(slot, _LARGE.pack(1, b"mdat", fragments_end - slot))


def _read(file: Patched) -> tuple[_Layout, list[Track]]:
    """Raises `MalformedError`."""
    layout = _Layout()
    tracks: list[Track] = []
    moof: _Box | None = None
    position = 0
    while (box := _box_at(file, position)) is not None and box.end <= file.size:
        match box.kind:
            case b"moov" if layout.moov is None:
                layout.moov = box
                tracks = mp4_fragments.read_tracks(file.read(box.position, box.end - box.position))
                layout.is_indexed = any(track.has_samples for track in tracks)
            case b"moov":
                break  # an index that was appended, but not yet told of
            case b"free" if layout.slot is None and layout.moov is None and box.end - position == len(_FREE_8):
                layout.slot = position
            case b"moof":
                moof = box
            case b"mdat" if moof is not None:
                if moof.end - moof.position > _MOOF_MAX_BYTES:
                    raise MalformedError("a fragment's head of an impossible size")
                data = file.read(moof.position, moof.end - moof.position)
                mp4_fragments.read_fragment(data, moof.position, box.end, tracks)
                moof = None
            case _:
                pass
        position = box.end
        if moof is None:
            layout.end = position
    return layout, tracks


def _box_at(file: Patched, position: int) -> _Box | None:
    head = file.read(position, _LARGE.size)
    if len(head) < _HEADER.size:
        return None
    length, kind = _HEADER.unpack_from(head)
    content = position + _HEADER.size
    if length == 1 and len(head) == _LARGE.size:
        length, content = _LARGE.unpack(head)[2], position + _LARGE.size
    if length < content - position:
        return None
    return _Box(kind, position, content, position + length)


def _index_after(file: Patched, position: int) -> bool:
    """Made anew, so it may have any size."""
    box = _box_at(file, position)
    return box is not None and box.kind == b"moov"
