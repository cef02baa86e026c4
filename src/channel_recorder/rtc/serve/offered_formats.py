"""Our own payload types, for the m-lines that we offer: one number means the same in all of them (RFC 9143 section 8).

Parameters are written as libwebrtc writes its own, which it compares them with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import PayloadType
from channel_recorder.rtc.forward.payload_types import map_second_bytes
from channel_recorder.rtc.serve.outgoing import SEND_FEEDBACK, Outgoing
from channel_recorder.rtc.serve.preference import in_order
from channel_recorder.rtc.wire.sdp import RtpFormat

_OPUS = "minptime=10;useinbandfec=1"
_H264 = "level-asymmetry-allowed=1;packetization-mode={};profile-level-id={}"
_H265 = "level-id=180;profile-id={};tier-flag=0;tx-mode=SRST"
_AV1 = "level-idx=5;profile={};tier=0"

_TABLE: tuple[tuple[Codec, int, int | None, str], ...] = (
    # Number, number of the retransmissions. 64 to 95 would be taken for RTCP (RFC 5761 section 4).
    (Codec.OPUS, 111, None, _OPUS),
    (Codec.VP8, 96, 97, ""),
    (Codec.VP9, 98, 99, "profile-id=0"),
    (Codec.VP9, 35, 36, "profile-id=1"),
    (Codec.VP9, 100, 101, "profile-id=2"),
    (Codec.VP9, 37, 38, "profile-id=3"),
    (Codec.H264, 102, 103, _H264.format(1, "42e01f")),
    (Codec.H264, 104, 105, _H264.format(0, "42e01f")),
    (Codec.H264, 106, 107, _H264.format(1, "42001f")),
    (Codec.H264, 108, 109, _H264.format(0, "42001f")),
    (Codec.H264, 112, 113, _H264.format(1, "4d001f")),
    (Codec.H264, 114, 115, _H264.format(0, "4d001f")),
    (Codec.H264, 116, 117, _H264.format(1, "640c1f")),
    (Codec.H264, 39, 40, _H264.format(0, "640c1f")),
    (Codec.H264, 118, 119, _H264.format(1, "64001f")),
    (Codec.H264, 41, 42, _H264.format(0, "64001f")),
    (Codec.H265, 120, 121, _H265.format(1)),
    (Codec.H265, 122, 123, _H265.format(2)),
    (Codec.AV1, 124, 125, _AV1.format(0)),
    (Codec.AV1, 126, 127, _AV1.format(1)),
)
_NAMES = {Codec.OPUS: "opus"}


def offered_formats(outgoing: Outgoing) -> tuple[RtpFormat, ...]:
    """For what the publisher of the track sends or may send, the likeliest first. Empty if there is nothing for it
    here."""
    numbers = map_second_bytes(outgoing.track.media.payload_types, _PAYLOAD_TYPES)
    published = in_order(outgoing.track.media.payload_types, outgoing.codecs)
    wanted = [numbers[each.number] for each in published if each.codec in outgoing.codecs]
    return tuple(each for number in dict.fromkeys(wanted) if number for each in _formats(number, outgoing))


def _formats(number: int, outgoing: Outgoing) -> Iterator[RtpFormat]:
    """The format and its retransmissions."""
    for each in _FORMATS[number]:
        is_opus = outgoing.kind is MediaKind.AUDIO
        yield replace(each, fmtp=f"{each.fmtp};sprop-stereo=1") if is_opus and outgoing.is_stereo else each


def _rows(codec: Codec, number: int, rtx_number: int | None, fmtp: str) -> Iterator[RtpFormat]:
    yield RtpFormat(
        payload_type=number,
        name=_NAMES.get(codec, codec.upper()),
        clock_rate_hz=codec.clock_rate_hz,
        channels=2 if codec is Codec.OPUS else 1,
        fmtp=fmtp,
        feedback=SEND_FEEDBACK[codec.kind],
    )
    if rtx_number is not None:
        yield RtpFormat(payload_type=rtx_number, name="rtx", clock_rate_hz=codec.clock_rate_hz, fmtp=f"apt={number}")


_FORMATS = {row[1]: tuple(_rows(*row)) for row in _TABLE}
_PAYLOAD_TYPES = [
    PayloadType(
        number=number,
        codec=codec,
        clock_rate_hz=codec.clock_rate_hz,
        parameters=_FORMATS[number][0].parameters,
    )
    for codec, number, _, _ in _TABLE
]
