"""What negotiation tells the media path about one media section: the seam between `peer`, `serve` and the packets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from channel_recorder.model import Codec, EncodedFrame, MediaKind


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadType:
    """One accepted payload type of an m-line."""

    number: int
    codec: Codec | None
    """None for RTX."""
    clock_rate_hz: int
    channels: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    """The fmtp line, keys in lower case."""
    feedback: frozenset[str] = frozenset()
    """rtcp-fb values accepted: "nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"."""
    retransmits: int | None = None
    """RTX (RFC 4588): the payload type it repeats (apt)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaDescription:
    """One receiving m-line, after offer and answer agreed on it."""

    mid: str
    kind: MediaKind
    stream_id: str
    """First word of a=msid. LiveKit: `<participant sid>|<stream>`."""
    track_id: str
    """Second word of a=msid. LiveKit: the track sid."""
    payload_types: tuple[PayloadType, ...]
    ssrc: int | None = None
    rtx_ssrc: int | None = None
    header_extensions: Mapping[int, str] = field(default_factory=dict[int, str])
    """Extension id to URI (RFC 8285), as answered."""
    rids: tuple[str, ...] = ()
    """Simulcast streams (RFC 8853) in the order of the offer, paused ones too; their SSRCs show with their packets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDescription:
    """One sending m-line, after offer and answer agreed on it."""

    mid: str
    kind: MediaKind
    payload_types: tuple[PayloadType, ...]
    """What the far side takes, retransmissions included."""
    ssrc: int
    rtx_ssrc: int | None = None
    """None where RTX was not agreed on."""
    header_extensions: Mapping[int, str] = field(default_factory=dict[int, str])


class TrackListener(Protocol):
    """Receives what one m-line carries. Called straight from the datagram: must not block or raise."""

    def on_frame(self, frame: EncodedFrame) -> None: ...

    def on_sender_report(self, timestamp: int, ntp_seconds: float, arrival_seconds: float) -> None:
        """RFC 3550 section 6.4.1. `timestamp` is unwrapped like `EncodedFrame.timestamp`."""
        ...

    def on_restart(self) -> None:
        """A new SSRC took over the m-line: time stamps and reports start anew."""
        ...


@runtime_checkable
class UnsealingListener(TrackListener, Protocol):
    """A listener whose m-line may carry frames that the sender encrypted for the members of the channel.

    They are opened between the depacketizer and the look at key frames, which need the frame itself.
    """

    def unseal(self, codec: Codec, unit: bytes) -> bytes:
        """The plain form of what the sender sealed as one: a frame, or a spatial layer of VP9. Empty: there is none."""
        ...

    def on_sealed_frame(self, frame: EncodedFrame, units: Sequence[bytes]) -> None:
        """A complete frame of which a part has no plain form. `frame.data` is empty, `units` is what came."""
        ...
