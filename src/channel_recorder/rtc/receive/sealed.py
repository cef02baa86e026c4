"""Frames that the sender encrypted for the members of the channel: opened before anybody looks into them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from channel_recorder.model import Codec, EncodedFrame
from channel_recorder.rtc.description import UnsealingListener
from channel_recorder.rtc.receive.depacketize import PayloadFormat
from channel_recorder.rtc.receive.key_frames import KeyFrameRequests
from channel_recorder.rtc.receive.pictures import PictureFrames
from channel_recorder.rtc.receive.sound import SoundFrames
from channel_recorder.rtc.receive.statistics import Counters, Drop


class SealedSoundFrames(SoundFrames):
    """One SSRC of an audio m-line whose packets are sealed."""

    __slots__ = ("_listener",)

    def __init__(
        self,
        codecs: dict[int, Codec],
        listener: UnsealingListener,
        counters: Counters,
        first_timestamp: int,
        count_drop: Callable[[Drop], None],
    ) -> None:
        super().__init__(codecs, listener, counters, first_timestamp, count_drop)
        self._listener = listener

    def add(self, payload: bytes, second: int, timestamp: int, arrival_seconds: float) -> None:
        codec = self._codecs.get(second & 0x7F)
        if codec is None or not payload:
            super().add(payload, second, timestamp, arrival_seconds)
            return
        plain = self._listener.unseal(codec, payload)
        if plain:
            super().add(plain, second, timestamp, arrival_seconds)
            return
        self.timestamp = self.unwrap(timestamp)
        self._counters.sealed_frames += 1
        lost, self._lost = self._lost, 0
        frame = EncodedFrame(codec, b"", self.timestamp, arrival_seconds, lost_packets=lost)
        self._listener.on_sealed_frame(frame, (payload,))


class SealedPictureFrames(PictureFrames):
    """One SSRC of a video m-line whose frames are sealed."""

    __slots__ = ("_format", "_listener", "_units")

    def __init__(
        self,
        codecs: dict[int, Codec],
        listener: UnsealingListener,
        counters: Counters,
        first_timestamp: int,
        count_drop: Callable[[Drop], None],
        key_frames: KeyFrameRequests,
        ask: Callable[[float], None],
    ) -> None:
        super().__init__(codecs, listener, counters, first_timestamp, count_drop, key_frames, ask)
        self._listener = listener
        self._units: Sequence[bytes] = ()

    def _use_format(self, codec: Codec, payload_format: PayloadFormat) -> None:
        super()._use_format(codec, payload_format)
        self._format = payload_format
        self._assemble = self._assemble_plain

    def _assemble_plain(self, payloads: Sequence[bytes]) -> bytes:
        """The opened frame; empty: it stays sealed. Raises `MalformedError`."""
        payload_format, codec = self._format, self._codec
        self._units = units = (
            payload_format.split(payloads) if payload_format.split else [payload_format.assemble(payloads)]
        )
        unseal = self._listener.unseal
        opened = [unseal(codec, unit) for unit in units]  # pyright: ignore[reportArgumentType] - set with the format
        return payload_format.join(opened) if all(opened) else b""

    def _stays_sealed(self, arrival_seconds: float) -> None:
        """Nothing is asked for: a key frame would not open either. The first one that opens asks, if need be."""
        self._counters.sealed_frames += 1
        self._needs_key_frame = True
        self._key_frames.arrived()
        self._certain = True
        self.timestamp = self.unwrap(self._wire_timestamp)
        lost, self._lost = self._lost, 0
        frame = EncodedFrame(
            self._codec,  # pyright: ignore[reportArgumentType] - set with the format
            b"",
            self.timestamp,
            arrival_seconds,
            rotation=self.rotation,
            lost_packets=lost,
        )
        self._listener.on_sealed_frame(frame, self._units)
