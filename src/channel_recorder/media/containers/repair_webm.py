"""What a kill leaves of a WebM file that `webm.py` wrote: clusters, the last perhaps half; no size, no index."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from channel_recorder.media.containers import ebml, webm
from channel_recorder.media.containers.patching import Patched

_SEGMENT_ID, _INFO_ID, _TRACKS_ID, _CLUSTER_ID = 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
_CUES_ID = 0x1C53BB6B
_TIMESTAMP_ID, _SIMPLE_BLOCK_ID, _GROUP_ID, _BLOCK_ID, _DURATION_ID = 0xE7, 0xA3, 0xA0, 0xA1, 0x9B
_ELEMENT_HEAD_MAX_BYTES = 12
_CLUSTER_HEAD_BYTES = 12
_BLOCK_HEAD = struct.Struct(">BhB")
_HEAD_MAX_BYTES = 1 << 16
_CLUSTER_MAX_BYTES = 1 << 24
"""A quarter of a second is a tenth of it at 50 Mbit/s."""
_PICTURE_SECONDS_MAX = 1000
_VIDEO_NUMBER = 0x81
_KEY_FLAG = 0x80
_SOUND_TICKS = 20
_NUMBER_MAX_BYTES = 8


@dataclass(slots=True)
class _Head:
    segment: int
    """Where the Segment's content begins."""
    segment_end: int | None
    """None: it has no size yet."""
    info: int = 0
    tracks: int = 0
    clusters: int = 0


@dataclass(slots=True)
class _Found:
    """What lies in the whole blocks."""

    end: int
    """Behind the last of them."""
    cues: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    end_ticks: int = 0
    blocks: int = 0
    pictures: int = 0
    first_picture: int = 0
    last_picture: int = 0

    def add(self, at_ticks: int, is_picture: bool, duration_ticks: int) -> None:
        self.blocks += 1
        self.end_ticks = max(self.end_ticks, at_ticks + (duration_ticks or (0 if is_picture else _SOUND_TICKS)))
        if is_picture:
            self.first_picture = at_ticks if not self.pictures else self.first_picture
            self.last_picture = max(at_ticks, self.last_picture)
            self.pictures += 1

    @property
    def duration_ticks(self) -> int:
        """The last picture is shown as long as pictures were on average."""
        shown = (self.last_picture - self.first_picture) // max(1, self.pictures - 1) or webm.TICKS_PER_SECOND // 30
        return max(self.end_ticks, self.last_picture + min(shown, _PICTURE_SECONDS_MAX) if self.pictures else 0)


@dataclass(frozen=True, slots=True)
class _Element:
    identifier: int
    position: int
    content: int
    end: int
    """Beyond the end of the file if it is half, or has no size."""


def repair(file: Patched) -> bool:
    """Cuts the half block at the end, adds index, size and duration. False: not one block is whole."""
    head = _read_head(file)
    if head is None:
        return False
    if head.segment_end == file.size:
        return True
    found = _read_clusters(file, head)
    if not found.blocks:
        return False
    file.cut(found.end, _half_bytes_max(file, found.end))
    cues = file.size if found.cues else None
    if cues is not None:
        file.append(webm.cues_element(found.cues, head.segment))
    places = webm.Places(segment=head.segment, info=head.info, tracks=head.tracks, cues=cues)
    # The size last: it says that all the rest is done.
    file.overwrite(head.info, webm.info_element(float(found.duration_ticks)))
    file.overwrite(head.segment, webm.seek_head_element(places))
    file.overwrite(head.segment - 8, ebml.size_8(file.size - head.segment))
    return True


def _half_bytes_max(file: Patched, position: int) -> int:
    """An index that a killed repair or a full disk left may have any size, and is made anew."""
    element = _element_at(file.read(position, _ELEMENT_HEAD_MAX_BYTES), 0)
    return file.size if element is not None and element.identifier == _CUES_ID else _CLUSTER_MAX_BYTES


def _read_head(file: Patched) -> _Head | None:
    data = file.read(0, _HEAD_MAX_BYTES)
    ebml_head = _element_at(data, 0)
    if ebml_head is None or ebml_head.end > len(data):
        return None
    segment = _element_at(data, ebml_head.end)
    if segment is None or segment.identifier != _SEGMENT_ID or segment.content != ebml_head.end + 12:
        return None
    size = data[segment.content - 8 : segment.content]
    head = _Head(segment.content, None if size == ebml.UNKNOWN_SIZE else segment.end)
    # What names the places of the others may be half written by a repair that was cut short.
    position = head.segment + webm.SEEK_HEAD_BYTES
    while (element := _element_at(data, position)) is not None and element.end <= len(data):
        if element.identifier == _CLUSTER_ID:
            break
        if element.identifier == _INFO_ID:
            head.info = position
        elif element.identifier == _TRACKS_ID:
            head.tracks = position
            head.clusters = element.end
        position = element.end
    return head if head.info and head.clusters else None


def _read_clusters(file: Patched, head: _Head) -> _Found:
    found = _Found(end=head.clusters)
    while found.end < file.size:
        cluster = _element_at(file.read(found.end, _ELEMENT_HEAD_MAX_BYTES), 0, found.end)
        if cluster is None or cluster.identifier != _CLUSTER_ID or cluster.content - found.end != _CLUSTER_HEAD_BYTES:
            break
        data = file.read(cluster.content, cluster.end - cluster.content)
        end = _read_cluster(data, found)
        if not end:
            break
        found.end = cluster.content + end
        if found.end < cluster.end:
            # Half: what is whole of it stays. Its size first, so that a second repair finds the same.
            file.cut(found.end, _CLUSTER_MAX_BYTES)
            file.overwrite(cluster.content - 8, ebml.size_8(end))
            break
    return found


def _read_cluster(data: bytes, found: _Found) -> int:
    """Adds its whole blocks to `found`. Returns where the last of them ends; 0: there is none."""
    start = _element_at(data, 0)
    if start is None or start.identifier != _TIMESTAMP_ID or start.end > len(data):
        return 0
    start_ticks = _number(data, start)
    if start_ticks is None:
        return 0
    end = 0
    for element in _elements(data, start.end):
        block = _block(data, element)
        if block is None:
            break
        track, at, flags, duration = block
        if start_ticks + at < 0:
            break
        is_picture = track == _VIDEO_NUMBER
        found.add(start_ticks + at, is_picture, duration)
        if is_picture and flags & _KEY_FLAG:
            found.cues.append((start_ticks + at, found.end))
        end = element.end
    return end


def _block(data: bytes, element: _Element) -> tuple[int, int, int, int] | None:
    """Track, time stamp within the cluster, flags, duration. None: no block of ours."""
    at, flags, duration = element.content, 0, 0
    if element.identifier == _GROUP_ID:
        children = {child.identifier: child for child in _elements(data[: element.end], element.content)}
        if _BLOCK_ID not in children:
            return None
        at = children[_BLOCK_ID].content
        if _DURATION_ID in children:
            duration = _number(data, children[_DURATION_ID]) or 0
        flags = 0 if 0xFB in children else _KEY_FLAG
    elif element.identifier != _SIMPLE_BLOCK_ID:
        return None
    if at + _BLOCK_HEAD.size > element.end:
        return None
    track, ticks, own_flags = _BLOCK_HEAD.unpack_from(data, at)
    return (track, ticks, flags or own_flags, duration) if track in (_VIDEO_NUMBER, 0x82) else None


def _number(data: bytes, element: _Element) -> int | None:
    """None: longer than any number (RFC 8794 section 7.2)."""
    content = data[element.content : element.end]
    return int.from_bytes(content, "big") if len(content) <= _NUMBER_MAX_BYTES else None


def _elements(data: bytes, position: int) -> Iterator[_Element]:
    """Whole ones, up to the first that is not."""
    while (element := _element_at(data, position)) is not None and element.end <= len(data):
        yield element
        position = element.end


def _element_at(data: bytes, position: int, offset: int = 0) -> _Element | None:
    """`offset`: where in the file the data begins."""
    if position >= len(data) or not data[position]:
        return None
    id_bytes = 9 - data[position].bit_length()
    size_at = position + id_bytes
    if id_bytes > 4 or size_at >= len(data) or not data[size_at]:
        return None
    size_bytes = 9 - data[size_at].bit_length()
    content = size_at + size_bytes
    if content > len(data):
        return None
    identifier = int.from_bytes(data[position:size_at], "big")
    length = int.from_bytes(data[size_at:content], "big") & ((1 << 7 * size_bytes) - 1)
    return _Element(identifier, offset + position, offset + content, offset + content + length)
