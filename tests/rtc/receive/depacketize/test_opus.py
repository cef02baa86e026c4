from __future__ import annotations

import pytest

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.receive.depacketize import opus


def test_a_packet_is_a_frame() -> None:
    packet = b"\x78sound"
    assert opus.assemble([packet]) is packet
    assert opus.starts_frame(packet)


@pytest.mark.parametrize("payloads", [[], [b""], [b"\x78a", b"\x78b"]])
def test_anything_else_is_malformed(payloads: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        opus.assemble(payloads)


def test_an_empty_payload_starts_nothing() -> None:
    assert not opus.starts_frame(b"")
