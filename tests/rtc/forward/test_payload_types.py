"""Which payload type a subscriber gets for what the publisher sends."""

from __future__ import annotations

import pytest

from channel_recorder.model import Codec
from channel_recorder.rtc.description import PayloadType
from channel_recorder.rtc.forward.payload_types import map_retransmissions, map_second_bytes


def payload_type(number: int, codec: Codec | None, **parameters: str) -> PayloadType:
    named = {name.replace("_", "-"): value for name, value in parameters.items()}
    return PayloadType(number=number, codec=codec, clock_rate_hz=90_000, parameters=named)


def h264(number: int, profile: str, mode: str = "1") -> PayloadType:
    return payload_type(number, Codec.H264, profile_level_id=profile, packetization_mode=mode)


def mapped(sent: PayloadType, *accepted: PayloadType) -> int | None:
    return map_second_bytes([sent], accepted)[sent.number] or None


def test_the_marker_is_kept() -> None:
    table = map_second_bytes([payload_type(96, Codec.VP8)], [payload_type(120, Codec.VP8)])
    assert (table[96], table[96 | 0x80], table[97]) == (120, 120 | 0x80, 0)


def test_another_codec_is_not_taken() -> None:
    assert mapped(payload_type(96, Codec.VP8), payload_type(96, Codec.VP9)) is None
    assert mapped(payload_type(96, None), payload_type(96, None)) is None


@pytest.mark.parametrize(
    ("sent", "accepted", "expected"),
    [
        ("42e01f", ["640c1f", "42e034", "42001f"], 1),
        ("42e01f", ["640c1f", "42001f"], 1),
        ("42e01f", ["4d001f"], 0),
        ("64001f", ["42e01f", "640028"], 1),
        ("64001f", ["42e01f", "4d001f"], None),
        ("640c1f", ["64001f"], None),
        ("4d0032", ["64001f", "4d001f"], 1),
        ("4de01f", ["42e01f"], 0),
        ("42001f", ["42e01f"], None),
        ("nonsense", ["42e01f"], None),
        ("nonsense", ["42e01f", "nonsense"], 1),
    ],
)
def test_h264_goes_where_its_profile_is_decoded(sent: str, accepted: list[str], expected: int | None) -> None:
    numbers = [100 + index for index in range(len(accepted))]
    found = mapped(h264(96, sent), *(h264(number, profile) for number, profile in zip(numbers, accepted, strict=True)))
    assert found == (None if expected is None else 100 + expected)


def test_h264_packets_of_the_other_mode_only_where_they_are_understood() -> None:
    assert mapped(h264(96, "42e01f", "1"), h264(97, "42e01f", "0")) is None
    assert mapped(h264(96, "42e01f", "0"), h264(97, "42e01f", "1")) == 97
    assert mapped(h264(96, "42e01f", "0"), h264(97, "42e01f", "1"), h264(98, "42e01f", "0")) == 98
    assert mapped(payload_type(96, Codec.H264), payload_type(97, Codec.H264)) == 97


@pytest.mark.parametrize(
    ("codec", "name", "other"),
    [(Codec.VP9, "profile_id", "2"), (Codec.AV1, "profile", "1"), (Codec.H265, "profile_id", "2")],
)
def test_profiles_of_other_codecs_must_be_the_same(codec: Codec, name: str, other: str) -> None:
    plain, special = payload_type(96, codec), payload_type(97, codec, **{name: other})
    assert mapped(plain, special, plain) == 96
    assert mapped(special, plain) is None
    assert mapped(special, plain, special) == 97


def test_repeats_have_the_payload_type_of_what_they_repeat() -> None:
    rtx = PayloadType(number=121, codec=None, clock_rate_hz=90_000, retransmits=120)
    assert map_retransmissions([payload_type(120, Codec.VP8), rtx]) == {120: 121}
