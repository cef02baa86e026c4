"""Payloads to frames, and what is read in frames: a target for each codec."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from channel_recorder.codecs import h264, h265, opus, registry
from channel_recorder.codecs.annexb import nal_units
from channel_recorder.errors import MalformedError
from channel_recorder.model import Codec
from channel_recorder.rtc.receive.depacketize.formats import FORMATS
from fuzz.records import unpack


def depacketizer(codec: Codec) -> Callable[[bytes], None]:
    """The payloads of one frame, as records."""
    payload_format = FORMATS[codec]

    def depacketize(data: bytes) -> None:
        payloads = unpack(data)
        for payload in payloads:
            assert type(payload_format.starts_frame(payload)) is bool
            assert type(payload_format.starts_key_frame(payload)) is bool
        if not payloads:
            return
        with contextlib.suppress(MalformedError):
            frame = payload_format.assemble(payloads)
            assert frame
            # Start codes and sizes are added, contents are not.
            assert len(frame) <= 2 * len(data) + 16
            _look_into(codec, frame)

    return depacketize


def frames(codec: Codec) -> Callable[[bytes], None]:
    """Frames of one track, as records: headers, key frames, and what completes frames to be stored."""

    def read(data: bytes) -> None:
        completer = registry.frame_completer(codec)
        for frame in unpack(data):
            _look_into(codec, frame)
            if completer is not None:
                with contextlib.suppress(MalformedError):
                    completer.complete(frame)

    return read


def _look_into(codec: Codec, frame: bytes) -> None:
    info = registry.inspect(codec, frame)
    assert 0 <= info.width <= 2**16
    assert 0 <= info.height <= 2**16
    if codec is Codec.OPUS:
        _look_into_opus(frame)
    elif codec in (Codec.H264, Codec.H265):
        _look_into_parameter_sets(codec, frame)


def _look_into_opus(packet: bytes) -> None:
    opus.is_dtx(packet)
    opus.is_silence(packet)
    with contextlib.suppress(MalformedError):
        assert opus.channels(packet) in (1, 2)
        ticks = opus.duration_ticks(packet)
        assert 0 < ticks <= 5760
        assert opus.duration_ticks(opus.conceal(packet)) == ticks


def _look_into_parameter_sets(codec: Codec, frame: bytes) -> None:
    read = h264 if codec is Codec.H264 else h265
    assert len(read.parameter_sets(frame)) <= len(frame)
    for unit in nal_units(frame):
        with contextlib.suppress(MalformedError):
            read.picture_size(unit)
