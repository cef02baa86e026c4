"""Sound encoded anew: Opus to AAC, sample for sample."""

# PyAV leaves some type parameters of its stubs open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError

from channel_recorder.codecs import opus

AAC_FRAME_SAMPLES = 1024
_RATE_HZ = opus.CLOCK_RATE_HZ
_CHANNELS = 2


class OpusToAac:
    """Takes every Opus packet of a stream without holes, gives AAC packets with time stamps in samples.

    The encoder's first packet, which describes the 1024 samples before the sound begins, is left out:
    packet 0 then starts where the sound starts in every player, edit list known or not. Without its
    predecessor to overlap with, its 21 ms fade in.
    """

    def __init__(self, encoder: AudioCodecContext) -> None:
        """`encoder`: open, AAC, 48 kHz, stereo."""
        self._encoder = encoder
        self._decoder = _opus_decoder()
        self._resampler = AudioResampler(format="fltp", layout="stereo", rate=_RATE_HZ)
        self._fifo = AudioFifo()
        self._encoded_samples = 0

    def push(self, packet: bytes, samples: int) -> Iterator[tuple[bytes, int]]:
        """AAC packets and their positions. A packet that does not decode counts as `samples` of silence."""
        decoded = 0
        for frame in self._decode(packet):
            decoded += frame.samples
            self._fifo.write(frame)
        if decoded < samples:
            self._fifo.write(_silence(samples - decoded))
        while (frame := self._fifo.read(AAC_FRAME_SAMPLES)) is not None:
            yield from self._encode(frame)

    def flush(self) -> Iterator[tuple[bytes, int]]:
        """The rest, its last packet filled up with silence. Nothing may be pushed after it."""
        rest = self._fifo.samples
        if rest:
            self._fifo.write(_silence(AAC_FRAME_SAMPLES - rest))
            yield from self._encode(cast("AudioFrame", self._fifo.read(AAC_FRAME_SAMPLES)))
        yield from self._encode(None)

    def _decode(self, packet: bytes) -> Iterator[AudioFrame]:
        try:
            frames = self._decoder.decode(av.Packet(packet))
        except FFmpegError:
            return
        for frame in frames:
            for converted in self._resampler.resample(frame):
                converted.pts = None
                yield converted

    def _encode(self, frame: AudioFrame | None) -> Iterator[tuple[bytes, int]]:
        if frame is not None:
            frame.pts = self._encoded_samples
            self._encoded_samples += frame.samples
        for packet in self._encoder.encode(frame):
            if packet.pts is not None and packet.pts >= 0:
                yield bytes(packet), packet.pts


def _opus_decoder() -> AudioCodecContext:
    """libopus conceals missing packets, FFmpeg's own decoder makes silence of them."""
    try:
        decoder = av.CodecContext.create("libopus", "r")
    except UnknownCodecError:
        decoder = av.CodecContext.create("opus", "r")
    decoder.extradata = opus.opus_head(_CHANNELS, pre_skip_ticks=0)
    decoder.sample_rate = _RATE_HZ
    decoder.layout = "stereo"
    return decoder


def _silence(samples: int) -> AudioFrame:
    frame = AudioFrame(format="fltp", layout="stereo", samples=samples)
    frame.sample_rate = _RATE_HZ
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    return frame
