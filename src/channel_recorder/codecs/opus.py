"""Opus packets (RFC 6716 section 3): how long they last, is it silence, what to put where one is missing."""

from __future__ import annotations

import struct

from channel_recorder.codecs.info import FrameInfo
from channel_recorder.errors import MalformedError

CLOCK_RATE_HZ = 48_000

SILENCE_20MS = b"\xf8\xff\xfe"
"""20 ms of nothing, mono, CELT fullband."""

SILENCE_20MS_TICKS = 960

LOOK_AHEAD_SECONDS = 0.0065
"""What was said comes out of a decoder so much later than the packet's place: libopus encodes looking ahead (its usual
modes; RFC 7845 section 4.2 tells a player of a whole stream to skip it)."""

_MAX_PACKET_TICKS = 5760
_MAX_DTX_BYTES = 2
_SILENCE_BODY = b"\xff\xfe"
_STEREO_BIT = 0x04
_CELT_BIT = 0x80
_HEAD = struct.Struct("<8sBBHIhB")
_KEY_FRAME = FrameInfo(True)


def _frame_ticks(toc: int) -> int:
    configuration = toc >> 3
    if configuration < 12:  # SILK: 10, 20, 40, 60 ms
        return (480, 960, 1920, 2880)[configuration & 3]
    if configuration < 16:  # hybrid: 10, 20 ms
        return (480, 960)[configuration & 1]
    return (120, 240, 480, 960)[configuration & 3]  # CELT: 2.5, 5, 10, 20 ms


_FRAME_TICKS = tuple(_frame_ticks(toc) for toc in range(256))
_PACKET_TICKS = tuple((ticks, 2 * ticks, 2 * ticks, 0)[toc & 3] for toc, ticks in enumerate(_FRAME_TICKS))


def inspect(data: bytes) -> FrameInfo:
    """Every packet of sound starts anew."""
    return _KEY_FRAME


def duration_ticks(packet: bytes) -> int:
    """How long the packet plays, in ticks of 48 kHz: 120 to 5760 (2.5 to 120 ms).

    Raises `MalformedError` for an empty packet, or one of no frames or more than 120 ms.
    """
    if not packet:
        raise MalformedError("empty Opus packet")
    toc = packet[0]
    ticks = _PACKET_TICKS[toc]
    return ticks or _counted_ticks(packet, _FRAME_TICKS[toc])


def channels(packet: bytes) -> int:
    """1 or 2. A stream may change it from packet to packet. Raises `MalformedError` for an empty packet."""
    if not packet:
        raise MalformedError("empty Opus packet")
    return 2 if packet[0] & _STEREO_BIT else 1


def is_dtx(packet: bytes) -> bool:
    """The encoder had nothing to say (discontinuous transmission): no frame carries data.

    One or two bytes: libopus need not send such packets at all.
    """
    return 0 < len(packet) <= _MAX_DTX_BYTES


def is_silence(packet: bytes) -> bool:
    """Nothing would be heard: DTX, or the encoded silence that servers send for a muted track.

    livekit-server pads that silence with zeros to 80 bytes.
    """
    if len(packet) <= _MAX_DTX_BYTES:
        return len(packet) > 0
    body = packet[1:3]
    return body == _SILENCE_BODY and packet[0] >= _CELT_BIT and not any(packet[3:])


def conceal(packet: bytes) -> bytes:
    """A packet as long as this one, of frames without data: the decoder conceals, the length stays right.

    Raises `MalformedError` where `duration_ticks` does.
    """
    duration_ticks(packet)
    toc = packet[0]
    match toc & 3:
        case 0:
            return bytes((toc,))
        case 3:
            return bytes((toc, packet[1] & 0x3F))
        case _:
            return bytes((toc & 0xFC | 1,))


def opus_head(channel_count: int, pre_skip_ticks: int = 312) -> bytes:
    """The identification header that Ogg, WebM and MP4 muxers take as extradata (RFC 7845 section 5.1).

    312 ticks (6.5 ms) are what libopus needs to settle. A stream joined in the middle has no start to skip: give 0.
    """
    return _HEAD.pack(b"OpusHead", 1, channel_count, pre_skip_ticks, CLOCK_RATE_HZ, 0, 0)


def _counted_ticks(packet: bytes, frame_ticks: int) -> int:
    if len(packet) < 2:
        raise MalformedError("Opus packet without frame count")
    ticks = (packet[1] & 0x3F) * frame_ticks
    if not 0 < ticks <= _MAX_PACKET_TICKS:
        raise MalformedError("Opus packet of an impossible length")
    return ticks
