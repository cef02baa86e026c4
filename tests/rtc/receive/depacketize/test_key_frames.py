"""Where a server may begin to forward: one packet tells that a key frame begins."""

from __future__ import annotations

import pytest

from channel_recorder.codecs import registry
from channel_recorder.model import Codec
from channel_recorder.rtc.receive.depacketize.formats import FORMATS
from tests import vectors
from tests.rtc.receive.depacketize.test_h264 import fu_a, stap_a

VIDEO = [codec for codec in Codec if codec is not Codec.OPUS]


@pytest.mark.parametrize("codec", VIDEO)
def test_key_frames_of_real_streams_are_found_and_nothing_else(codec: Codec) -> None:
    """By libvpx, x264, x265 and SVT-AV1."""
    starts_key_frame = FORMATS[codec].starts_key_frame
    found: list[bool] = []
    for payloads in vectors.payloads_by_frame(codec):
        key_frame = registry.inspect(codec, FORMATS[codec].assemble(payloads)).key_frame
        starts = [starts_key_frame(payload) for payload in payloads]
        assert any(starts) == key_frame
        found.append(key_frame)
    assert found[0]
    assert not all(found)


@pytest.mark.parametrize(
    ("codec", "payload", "expected"),
    [
        (Codec.OPUS, b"\xf8", True),
        (Codec.VP8, b"\x90\x80\x81\x02\x50\x9d", True),
        (Codec.VP8, b"\x90\x80\x81\x02\x51\x9d", False),
        (Codec.VP8, b"\x91\x80\x81\x02\x50\x9d", False),
        (Codec.VP8, b"\x90\x80\x81\x02", False),
        (Codec.VP9, b"\xa8\x81\x02\x00\x01\x82", True),
        (Codec.VP9, b"\xa8\x81\x02\x03\x01\x82", False),
        (Codec.VP9, b"\xe8\x81\x02\x00\x01\x86", False),
        (Codec.VP9, b"\xa0\x81\x02\x00\x01\x82", False),
        (Codec.VP9, b"\x88\x01\x86", True),
        (Codec.H264, b"\x67\x42\x00", True),
        (Codec.H264, b"\x68\xce\x00", False),
        (Codec.H264, b"\x65\x88\x80", True),
        (Codec.H264, b"\x65\x48\x80", False),
        (Codec.H264, b"\x41\x9a\x80", False),
        (Codec.H265, b"\x40\x01\x0c", True),
        (Codec.H265, b"\x42\x01\x01", True),
        (Codec.H265, b"\x26\x01\xaf", True),
        (Codec.H265, b"\x26\x01\x2f", False),
        (Codec.H265, b"\x02\x01\xd0", False),
        (Codec.H265, b"\x62\x01\x93\xaf", True),
        (Codec.H265, b"\x62\x01\x13\xaf", False),
        (Codec.H265, b"\x60\x01\x00\x03\x4e\x01\x00\x00\x03\x40\x01\x0c", True),
        (Codec.H265, b"\x60\x01\x00\x03\x4e\x01\x00\x00\x03\x02\x01\xd0", False),
        (Codec.AV1, b"\x18\x0a", True),
        (Codec.AV1, b"\x98\x0a", False),
        (Codec.AV1, b"\x10\x30", False),
    ],
)
def test_the_first_packet_of_a_key_frame(codec: Codec, payload: bytes, expected: bool) -> None:
    assert FORMATS[codec].starts_key_frame(payload) is expected


def test_h264_parameter_sets_count_wherever_they_are_in_a_packet() -> None:
    sps, pps, idr, delta = b"\x67\x42\x00", b"\x68\xce", b"\x65\x88\x80", b"\x41\x9a\x01"
    starts_key_frame = FORMATS[Codec.H264].starts_key_frame
    assert starts_key_frame(stap_a([b"\x09\x10", sps, pps]))
    assert starts_key_frame(stap_a([b"\x06\x05", idr]))
    assert not starts_key_frame(stap_a([b"\x06\x05", delta]))
    assert [starts_key_frame(payload) for payload in fu_a(idr * 9, 10)] == [True, False, False]
    assert not any(starts_key_frame(payload) for payload in fu_a(delta * 9, 10))
