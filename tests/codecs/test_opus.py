from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.codecs import opus
from channel_recorder.errors import MalformedError
from tests import vectors


def encode(frame_ms: str, channels: int = 1, application: str = "voip") -> list[bytes]:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.format, encoder.layout = 48_000, "s16", "mono" if channels == 1 else "stereo"
    encoder.time_base = Fraction(1, 48_000)
    encoder.options = {"frame_duration": frame_ms, "application": application, "b": "32k"}
    encoder.open()
    samples = (np.sin(np.arange(48_000 // 4 * channels) / 20) * 9000).astype(np.int16).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=encoder.layout)
    frame.sample_rate, frame.pts = 48_000, 0
    resampler = av.AudioResampler(format="s16", layout=encoder.layout, rate=48_000, frame_size=encoder.frame_size)
    chunks = [chunk for chunk in resampler.resample(frame) if chunk.samples == encoder.frame_size]
    return [bytes(packet) for chunk in chunks for packet in encoder.encode(chunk)]


def open_decoder(name: str) -> av.AudioCodecContext:
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate = 48_000
    decoder.extradata = opus.opus_head(1, pre_skip_ticks=0)
    return decoder


def decoded_samples(packets: list[bytes], decoder_name: str) -> int:
    decoder = open_decoder(decoder_name)
    return sum(frame.samples for packet in packets for frame in decoder.decode(av.Packet(packet)))


@pytest.mark.parametrize(
    ("frame_ms", "application"),
    [
        ("2.5", "lowdelay"),
        ("5", "lowdelay"),
        ("10", "voip"),
        ("20", "voip"),
        ("40", "voip"),
        ("60", "voip"),
        ("120", "audio"),
    ],
)
def test_duration_is_what_the_encoder_put_in(frame_ms: str, application: str) -> None:
    packets = encode(frame_ms, application=application)
    assert packets
    assert {opus.duration_ticks(packet) for packet in packets} == {round(float(frame_ms) * 48)}


@pytest.mark.parametrize("channels", [1, 2])
def test_channels_are_what_the_encoder_put_in(channels: int) -> None:
    assert {opus.channels(packet) for packet in encode("20", channels)} == {channels}


@pytest.mark.parametrize("decoder", ["libopus", "opus"])
@pytest.mark.parametrize("frame_ms", ["10", "20", "60", "120"])
def test_a_concealed_packet_lasts_as_long_as_the_lost_one(frame_ms: str, decoder: str) -> None:
    packets = encode(frame_ms)
    whole = decoded_samples(packets, decoder)
    packets[1] = opus.conceal(packets[1])
    assert len(packets[1]) <= 2
    assert decoded_samples(packets, decoder) == whole == round(float(frame_ms) * 48) * len(packets)


@pytest.mark.parametrize("toc", range(256))
def test_conceal_keeps_duration_and_channels_for_every_toc(toc: int) -> None:
    packet = bytes((toc, 0xC1, 7, 7, 7))
    assert opus.duration_ticks(opus.conceal(packet)) == opus.duration_ticks(packet)
    assert opus.channels(opus.conceal(packet)) == opus.channels(packet)


def test_conceal_of_an_ordinary_packet_is_its_toc_alone() -> None:
    packet = vectors.frames("opus")[3]
    assert opus.conceal(packet) == packet[:1]


def test_silence_is_silent_and_20_ms_long() -> None:
    decoder = open_decoder("libopus")
    frames = [frame for _ in range(5) for frame in decoder.decode(av.Packet(opus.SILENCE_20MS))]
    assert [frame.samples for frame in frames] == [opus.SILENCE_20MS_TICKS] * 5
    assert not any(np.any(frame.to_ndarray()) for frame in frames)


def test_silence_is_told_from_sound() -> None:
    server_silence = opus.SILENCE_20MS + bytes(77)  # as livekit-server sends it for a muted track
    assert opus.is_silence(server_silence)
    assert opus.is_silence(opus.SILENCE_20MS)
    assert opus.is_silence(b"\xfc\xff\xfe")
    assert opus.is_silence(b"\x78")
    assert not any(opus.is_silence(packet) for packet in vectors.frames("opus")[:-1])
    assert not opus.is_silence(opus.SILENCE_20MS + b"\x01")
    assert not opus.is_silence(b"")


def test_dtx_packets_carry_no_frame_data() -> None:
    assert opus.is_dtx(b"\x78")
    assert opus.is_dtx(b"\x78\x00")
    assert not opus.is_dtx(opus.SILENCE_20MS)
    assert not opus.is_dtx(b"")


def test_head_is_read_by_ffmpeg() -> None:
    head = opus.opus_head(2)
    assert head[:8] == b"OpusHead"
    assert len(head) == 19
    assert head[8:10] == b"\x01\x02"
    assert int.from_bytes(head[10:12], "little") == 312
    assert int.from_bytes(head[12:16], "little") == 48_000


@pytest.mark.parametrize("packet", [b"", b"\xfb", b"\xfb\x00", b"\x1b\x03"])
def test_impossible_packets_are_malformed(packet: bytes) -> None:
    """Empty; no frame count; no frames; three frames of 60 ms."""
    with pytest.raises(MalformedError):
        opus.duration_ticks(packet)
    with pytest.raises(MalformedError):
        opus.conceal(packet)


@given(st.binary(max_size=8))
def test_any_bytes_have_a_legal_duration_or_are_malformed(packet: bytes) -> None:
    opus.is_dtx(packet)
    opus.is_silence(packet)
    try:
        ticks = opus.duration_ticks(packet)
    except MalformedError:
        return
    assert 120 <= ticks <= 5760
    assert opus.channels(packet) in (1, 2)
