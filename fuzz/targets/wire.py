"""RTP, RTCP, STUN and the header extensions, packet by packet."""

from __future__ import annotations

import contextlib
import struct

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.forward.dependency import frame_number_of, with_offset
from channel_recorder.rtc.forward.vp8 import counters_of
from channel_recorder.rtc.peer.ice import parse_candidate
from channel_recorder.rtc.peer.servers import parse_server_url
from channel_recorder.rtc.serve import stun
from channel_recorder.rtc.wire import rtcp, rtp

PASSWORD = b"a password of twenty-two"


def rtp_packet(data: bytes) -> None:
    """What was read is written as it means: reading it again gives the same."""
    with contextlib.suppress(MalformedError):
        for extension_id in (1, 3, 14, 15, 200):
            rtp.extension_of(data, extension_id)
    with contextlib.suppress(MalformedError):
        rtp.payload_of(data)
    try:
        packet = rtp.parse(data)
    except MalformedError:
        return
    assert rtp.parse(packet.to_bytes()) == packet
    assert len(packet.payload) + packet.padding_bytes <= len(data)


def rtcp_compound(data: bytes) -> None:
    try:
        packets = rtcp.parse(data)
    except MalformedError:
        return
    for packet in packets:
        assert rtcp.parse(packet.to_bytes()), packet


def dependency_descriptor(data: bytes) -> None:
    descriptor, offset = data[2:], int.from_bytes(data[:2], "big")
    moved = with_offset(descriptor, offset)
    number = frame_number_of(descriptor)
    assert len(moved) == len(descriptor)
    assert frame_number_of(moved) == (None if number is None else number + offset & 0xFFFF)


def vp8_counters(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        counters_of(data)


def stun_request(data: bytes) -> None:
    """As it is, and with the fingerprint that makes it worth reading."""
    _stun_request(data)
    if len(data) >= 20:
        _stun_request(_with_fingerprint(data))


def _stun_request(data: bytes) -> None:
    try:
        request = stun.parse_binding_request(data)
    except MalformedError:
        return
    request.is_signed(PASSWORD)
    assert isinstance(request.receiver_ufrag, bytes)
    assert isinstance(request.sender_ufrag, bytes)
    # What is not signed is answered with 36 bytes, whatever was asked.
    assert len(stun.error_response(request, 401)) == 36
    assert stun.error_response(request, 420, PASSWORD)
    stun.success_response(request, "2001:db8::1", 7882, PASSWORD)


def _with_fingerprint(data: bytes) -> bytes:
    attributes = data[20:] + bytes(-len(data) % 4)
    head = struct.pack("!HHI", 1, len(attributes) + 8, 0x2112A442) + data[8:20]
    value = stun._fingerprint(head + attributes)  # pyright: ignore[reportPrivateUsage]
    return head + attributes + struct.pack("!HHI", 0x8028, 4, value)


def ice_candidate(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        parse_candidate(data.decode("latin-1"))
    with contextlib.suppress(MalformedError):
        parse_candidate(data.decode("utf-8", "replace"))


def ice_server_url(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        parse_server_url(data.decode("utf-8", "replace"))
