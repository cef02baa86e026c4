from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.codecs import registry
from channel_recorder.errors import MalformedError
from channel_recorder.model import Codec
from channel_recorder.rtc.receive.depacketize.formats import FORMATS
from tests import vectors

codecs = st.sampled_from(Codec)
VECTORS = {codec: vectors.payloads_by_frame(codec) for codec in Codec}


def test_every_codec_has_a_format() -> None:
    assert set(FORMATS) == set(Codec)


def check(codec: Codec, payloads: list[bytes]) -> None:
    starts = [FORMATS[codec].starts_frame(payload) for payload in payloads]
    starts += [FORMATS[codec].starts_key_frame(payload) for payload in payloads]
    assert {type(start) for start in starts} <= {bool}
    with contextlib.suppress(MalformedError):
        frame = FORMATS[codec].assemble(payloads)
        assert type(frame) is bytes
        assert frame
        registry.inspect(codec, frame)


@settings(deadline=None, max_examples=400)
@given(codecs, st.lists(st.binary(max_size=40), max_size=5))
def test_any_payloads_assemble_or_are_malformed(codec: Codec, payloads: list[bytes]) -> None:
    check(codec, payloads)


@settings(deadline=None, max_examples=400)
@given(codecs, st.data())
def test_damaged_payloads_assemble_or_are_malformed(codec: Codec, data: st.DataObject) -> None:
    payloads = list(data.draw(st.sampled_from(VECTORS[codec])))
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(payloads) - 1))
        payload = bytearray(payloads[index])
        position = data.draw(st.integers(0, min(len(payload), 12)))
        payload[position : position + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
        payloads[index] = bytes(payload)
    check(codec, payloads)
