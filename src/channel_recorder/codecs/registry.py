"""What the rest asks of a codec, by name of the codec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from channel_recorder.codecs import av1, h264, h265, opus, vp8, vp9, vp9_layers
from channel_recorder.codecs.info import FrameInfo
from channel_recorder.model import Codec


class FrameCompleter(Protocol):
    """Makes the frames of one track fit to be stored. One per SSRC; frames in order, after decryption."""

    def complete(self, data: bytes) -> bytes:
        """The frame to keep; the same object where nothing is to be done; empty: there is no picture in it."""
        ...


INSPECTORS: Final[Mapping[Codec, Callable[[bytes], FrameInfo]]] = {
    Codec.OPUS: opus.inspect,
    Codec.VP8: vp8.inspect,
    Codec.VP9: vp9.inspect,
    Codec.H264: h264.inspect,
    Codec.H265: h265.inspect,
    Codec.AV1: av1.inspect,
}
"""Per track, look the function up once: a lookup costs more than most inspections."""

_COMPLETERS: Final[Mapping[Codec, Callable[[], FrameCompleter]]] = {
    Codec.H264: h264.parameter_set_cache,
    Codec.H265: h265.parameter_set_cache,
    Codec.VP9: vp9_layers.LayerHider,
}


def inspect(codec: Codec, data: bytes) -> FrameInfo:
    """Key frame? What size? `data` in the form of `EncodedFrame.data`. Never raises: unreadable counts as delta."""
    return INSPECTORS[codec](data)


def frame_completer(codec: Codec) -> FrameCompleter | None:
    """A new completer for one track, or None where frames are complete as they come."""
    make = _COMPLETERS.get(codec)
    return make() if make else None
