"""What both negotiators know: tracks on their way to one far side, and limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import SendDescription
from channel_recorder.rtc.serve.contract import IncomingTrack

MAX_DESCRIPTION_CHARACTERS = 1024 * 1024
"""A browser's offer has some 3 KB for each m-line."""
MAX_MESSAGE_BYTES = 72 * 1024
"""On a data channel. LiveKit's limit is 64 KB of the user's, in an envelope."""
LAYERED_CODECS = frozenset({Codec.VP9, Codec.AV1})
"""Their layers cannot be told apart without the dependency descriptor."""
SEND_FEEDBACK = {MediaKind.AUDIO: ("nack",), MediaKind.VIDEO: ("nack", "nack pli", "ccm fir")}

_NO_TOKEN = re.compile(r"[^!#$%&'*+.0-9A-Z^_`a-z{|}~-]")
_MAX_ID_CHARACTERS = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outgoing:
    """A track that somebody asked to have sent; compared by identity, as it may be asked for twice."""

    track: IncomingTrack
    stream_id: str
    track_id: str

    @property
    def kind(self) -> MediaKind:
        return self.track.media.kind

    @property
    def msid(self) -> tuple[str, str]:
        """As it may stand in SDP: a publisher's words must not make lines of their own there (RFC 8830)."""
        return _token(self.stream_id), _token(self.track_id)

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """The one it has; before its first packet all that its publisher may choose from, the likeliest first."""
        if self.track.codec is not None:
            return (self.track.codec,)
        return tuple(dict.fromkeys(each.codec for each in self.track.media.payload_types if each.codec is not None))

    @property
    def is_stereo(self) -> bool:
        return any(each.parameters.get("stereo") == "1" for each in self.track.media.payload_types)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """An m-line that carries a track from now on."""

    outgoing: Outgoing
    description: SendDescription


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssrcs:
    """Of one sending m-line."""

    media: int
    rtx: int | None

    @classmethod
    def take(cls, kind: MediaKind, ssrcs: Iterator[int]) -> Ssrcs:
        return cls(media=next(ssrcs), rtx=next(ssrcs) if kind is MediaKind.VIDEO else None)

    @property
    def all(self) -> tuple[int, ...]:
        return (self.media,) if self.rtx is None else (self.media, self.rtx)

    @property
    def groups(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """RFC 5576 section 4.2: the second repeats the first."""
        return () if self.rtx is None else (("FID", self.all),)


def _token(text: str) -> str:
    return _NO_TOKEN.sub("_", text[:_MAX_ID_CHARACTERS]) or "-"
