"""One picture per VP9 picture, also where a sender uses spatial layers (SVC)."""

from __future__ import annotations

from channel_recorder.codecs.vp9 import is_superframe, join_superframe, split_superframe
from channel_recorder.codecs.vp9_header import MAX_HEADER_BYTES, FrameHeader, ReferenceSizes
from channel_recorder.errors import MalformedError


class LayerHider:
    """Marks all layers of a picture but the top one as "not shown".

    SVC encoders mark every layer as shown. libvpx shows the last of a superframe whatever they say; FFmpeg
    and hardware decoders show each, small ones in between. Hidden, they are what every decoder knows
    from alternative reference frames. Streams without spatial layers pass untouched.
    """

    __slots__ = ("_layered", "_references")

    def __init__(self) -> None:
        self._layered = False
        self._references = ReferenceSizes()

    def complete(self, data: bytes) -> bytes:
        """The picture with its lower layers hidden; the same object where there are none.

        What cannot be read safely stays as it is, up to the next key frame with layers.
        """
        if not self._layered and not is_superframe(data):
            return data
        try:
            return self._hide(data)
        except MalformedError:
            self._layered = False
            return data

    def _hide(self, data: bytes) -> bytes:
        frames = split_superframe(data)
        headers = self._read_headers(frames)
        if headers[0].key_frame:
            self._layered = len(frames) > 1
        if not self._layered or len(frames) == 1:
            return data
        lower = zip(frames, headers, headers[1:], strict=False)
        hidden = [_hidden(frame, header) if _may_hide(header, above) else frame for frame, header, above in lower]
        return join_superframe([*hidden, frames[-1]])

    def _read_headers(self, frames: list[bytes]) -> list[FrameHeader]:
        headers: list[FrameHeader] = []
        for frame in frames:
            header = FrameHeader(frame, self._references)
            self._references.refresh(header)
            headers.append(header)
        if not headers:
            raise MalformedError("empty VP9 superframe")
        return headers


def _may_hide(header: FrameHeader, above: FrameHeader) -> bool:
    """Hiding a frame must not change how the next one is decoded.

    A frame takes motion vectors of the one before it only if that was shown and as large (section 7.2).
    """
    return header.show_frame and (above.error_resilient or above.size != header.size)


def _hidden(frame: bytes, header: FrameHeader) -> bytes:
    position = header.show_frame_position
    if header.key_frame:
        byte = position >> 3
        return frame[:byte] + bytes((frame[byte] & ~(0x80 >> (position & 7)),)) + frame[byte + 1 :]
    return _with_intra_only_bit(frame, header)


def _with_intra_only_bit(frame: bytes, header: FrameHeader) -> bytes:
    """A hidden inter frame has one bit more, intra_only, right after error_resilient_mode (section 6.2)."""
    header_bits, compressed_bytes = header.read_rest()
    header_bytes = (header_bits + 7) // 8
    if header_bytes > MAX_HEADER_BYTES or header_bytes + compressed_bytes > len(frame):
        raise MalformedError("VP9 frame shorter than its headers")
    fields = int.from_bytes(frame[:header_bytes], "big") >> (header_bytes * 8 - header_bits)
    after = header_bits - header.show_frame_position - 2
    shown_bit = 1 << after + 2  # counted in the longer header
    head, tail = fields >> after, fields & ((1 << after) - 1)
    longer = (head << after + 1 | tail) & ~shown_bit
    longer_bytes = header_bits // 8 + 1
    return (longer << (longer_bytes * 8 - header_bits - 1)).to_bytes(longer_bytes, "big") + frame[header_bytes:]
