"""Opus to AAC: sample for sample."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.codecs import opus
from channel_recorder.media.encode import AAC_FRAME_SAMPLES, OpusToAac
from tests.recording.clips import sound
from tests.recording.playback import loud_span


def aac_encoder() -> AudioCodecContext:
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = 48_000, "stereo", "fltp", 128_000
    encoder.time_base = Fraction(1, 48_000)
    encoder.open()
    return encoder


def transcoded(packets: list[bytes]) -> tuple[AudioCodecContext, list[tuple[bytes, int]]]:
    encoder = aac_encoder()
    transcoder = OpusToAac(encoder)
    encoded = [pair for packet in packets for pair in transcoder.push(packet, opus.duration_ticks(packet))]
    return encoder, [*encoded, *transcoder.flush()]


def played(encoder: AudioCodecContext, encoded: list[tuple[bytes, int]]) -> np.ndarray:
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = encoder.extradata
    chunks = [frame.to_ndarray()[0] for data, _ in encoded for frame in decoder.decode(av.Packet(data))]
    return np.concatenate(chunks)


@pytest.mark.parametrize("packet_ms", [10, 20, 60])
def test_tone_stays_where_it_was(packet_ms: int) -> None:
    encoder, encoded = transcoded(sound(2.0, packet_ms=packet_ms, silent_seconds=1.0))
    assert [position for _, position in encoded] == [n * AAC_FRAME_SAMPLES for n in range(len(encoded))]
    start, end = loud_span(played(encoder, encoded))
    assert start == pytest.approx(1.0, abs=0.01)
    assert end == pytest.approx(2.0, abs=0.03)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.one_of(st.sampled_from(sound(1.0)), st.just(opus.SILENCE_20MS), st.binary(min_size=1, max_size=9))))
def test_length_is_kept_whatever_the_packets_are(packets: list[bytes]) -> None:
    twenty = [packet for packet in packets if is_20_ms(packet)]
    _, encoded = transcoded(twenty)
    samples = len(twenty) * 960
    assert len(encoded) == -(-samples // AAC_FRAME_SAMPLES)


def is_20_ms(packet: bytes) -> bool:
    return packet[0] & 3 == 0 and opus.duration_ticks(packet) == 960
