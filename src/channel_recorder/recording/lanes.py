"""The two lanes of a file: frames in, packets with time stamps out, counted and reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from channel_recorder.codecs import opus
from channel_recorder.errors import MalformedError
from channel_recorder.media.containers.formats import AudioCodec
from channel_recorder.media.containers.output import OutputFile
from channel_recorder.media.encode import AAC_FRAME_SAMPLES, OpusToAac
from channel_recorder.model import Codec, EncodedFrame, MediaKind, Source, User
from channel_recorder.recording.contract import (
    AudioInfo,
    FileEvent,
    Gap,
    Rotated,
    StreamSummary,
    VideoInfo,
)
from channel_recorder.recording.offset import OffsetMeter
from channel_recorder.recording.pictures import PictureTimeline
from channel_recorder.recording.sound import SAMPLE_RATE_HZ, SoundTimeline

REPORTED_SOUND_GAP_SAMPLES = SAMPLE_RATE_HZ // 10
"""Shorter holes are concealed and counted, not reported one by one."""
REPORTED_PICTURE_GAP_SECONDS = 2.0
FOLLOWING_SHARE = 0.05
"""Of the time that passes: so fast pictures go after sound that lies a little beside its place. Nobody sees it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentInfo:
    """What every event about a file says."""

    name: str
    user: User
    source: Source
    zero_seconds: float
    """Recording time of the file's zero."""


class PictureLane:
    """The pictures of one file."""

    def __init__(
        self,
        info: SegmentInfo,
        output: OutputFile,
        codec: Codec,
        rotation: int,
        emit: Callable[[FileEvent], None],
        sound: SoundLane | None = None,
    ) -> None:
        """`sound`: of the same file. It lies in whole packets, so pictures go where it lies."""
        self.codec = codec
        self._info = info
        self._output = output
        self._emit = emit
        self._timeline = PictureTimeline(info.zero_seconds, output.video_clock_hz)
        self._frames = self._key_frames = self._lost_frames = 0
        self._start_seconds = self._last_until_seconds = 0.0
        self._sound = sound
        self._shift_seconds = 0.0
        self._gaps, self._gap_seconds = 0, 0.0
        self._offsets = OffsetMeter()
        self._width = self._height = 0
        self._rotation = self._first_rotation = rotation

    def write(self, frame: EncodedFrame) -> None:
        """Hot path. Raises `StorageError`."""
        if frame.lost_packets or frame.time_seconds - self._timeline.end_seconds > REPORTED_PICTURE_GAP_SECONDS:
            self._look_at_gap(frame)
        if frame.key_frame:
            self._key_frames += 1
            if frame.width and (frame.width != self._width or frame.height != self._height):
                self._resized(frame)
        if frame.rotation != self._rotation:
            self._rotated(frame)
        timeline = self._timeline
        if self._sound is not None:
            self._follow(self._sound.late_seconds, frame.time_seconds - timeline.end_seconds)
        ticks = timeline.place(frame.time_seconds + self._shift_seconds)
        if self._sound is not None and self._sound.is_flowing:
            self._offsets.add(self._sound.error_seconds - self._shift_seconds - frame.error_seconds)
        try:
            self._output.write_video(frame.data, ticks, timeline.cadence_ticks, frame.key_frame)
        except MalformedError:
            self._lost_frames += 1
            return
        if not self._frames:
            self._start_seconds = ticks / self._output.video_clock_hz
        self._frames += 1

    @property
    def end_seconds(self) -> float:
        """Recording time until which the last picture is shown: as long as pictures usually are, if nothing else is
        known."""
        timeline = self._timeline
        shown = self._info.zero_seconds + timeline.last_ticks / self._output.video_clock_hz + timeline.cadence_seconds
        return max(shown, self._last_until_seconds)

    def show_last_until(self, at_seconds: float) -> int:
        """Time stamp of the file's end, not before the last picture has been shown."""
        self._last_until_seconds = at_seconds
        return round((self.end_seconds - self._info.zero_seconds) * self._output.video_clock_hz)

    def summary(self) -> StreamSummary:
        return StreamSummary(
            kind=MediaKind.VIDEO,
            codec=self.codec.value,
            frames=self._frames,
            key_frames=self._key_frames,
            lost_frames=self._lost_frames,
            gaps=self._gaps,
            gap_seconds=self._gap_seconds,
            start_seconds=self._start_seconds,
            sound_offset=self._offsets.summary(),
            width=self._width,
            height=self._height,
            rotation=self._first_rotation,
        )

    def _follow(self, late_seconds: float, passed_seconds: float) -> None:
        reach = max(FOLLOWING_SHARE * passed_seconds, 0.0)
        self._shift_seconds += min(max(late_seconds - self._shift_seconds, -reach), reach)

    def _look_at_gap(self, frame: EncodedFrame) -> None:
        if not self._frames:
            return
        if frame.lost_packets:
            self._lost_frames += self._timeline.pictures_missing(frame.time_seconds)
        start = self._timeline.end_seconds
        duration = max(0.0, frame.time_seconds - start)
        self._gaps += 1
        self._gap_seconds += duration
        info = self._info
        self._emit(
            Gap(
                at_seconds=start,
                name=info.name,
                user=info.user,
                kind=MediaKind.VIDEO,
                duration_seconds=duration,
                lost_packets=frame.lost_packets,
            )
        )

    def _resized(self, frame: EncodedFrame) -> None:
        self._width, self._height = frame.width, frame.height
        self._emit(
            VideoInfo(
                at_seconds=frame.time_seconds,
                name=self._info.name,
                user=self._info.user,
                width=frame.width,
                height=frame.height,
                rotation=frame.rotation,
            )
        )

    def _rotated(self, frame: EncodedFrame) -> None:
        self._rotation = frame.rotation
        info = self._info
        self._emit(
            Rotated(at_seconds=frame.time_seconds, name=info.name, user=info.user, rotation=frame.rotation),
        )


class SoundLane:
    """The sound of one file, passed through as Opus or encoded as AAC."""

    def __init__(self, info: SegmentInfo, output: OutputFile, emit: Callable[[FileEvent], None]) -> None:
        self._info = info
        self._output = output
        self._emit = emit
        self._codec: AudioCodec = "opus"
        self._samples_per_tick = SAMPLE_RATE_HZ // output.audio_clock_hz
        self._transcoder: OpusToAac | None = None
        put = self._put_opus
        if output.aac_encoder is not None:
            self._codec = "aac"
            self._transcoder = OpusToAac(output.aac_encoder)
            put = self._put_aac
        self._timeline = SoundTimeline(put)
        self._lost_packets = 0
        self._gaps, self._gap_seconds = 0, 0.0
        self._error_seconds = 0.0
        self._start_seconds = 0.0

    def write(self, frame: EncodedFrame) -> None:
        """Hot path. Raises `StorageError`."""
        self._lost_packets += frame.lost_packets
        position = round((frame.time_seconds - self._info.zero_seconds) * SAMPLE_RATE_HZ)
        try:
            hole = self._timeline.write(frame.data, position, frame.timestamp)
        except MalformedError:
            self._lost_packets += 1
            return
        self._error_seconds = frame.error_seconds
        if hole > 0 or self._timeline.packets == 1:
            self._after_hole(frame, hole)

    def fill_to(self, at_seconds: float) -> None:
        """Silence up to a recording time."""
        self._timeline.fill_to(self._samples_at(at_seconds))

    def finish(self, at_seconds: float) -> None:
        """Silence up to the end of the presence, and what the encoder holds back."""
        self._timeline.finish(self._samples_at(at_seconds))
        self.flush()

    def flush(self) -> None:
        if self._transcoder is not None:
            for data, position in self._transcoder.flush():
                self._write_aac(data, position)

    @property
    def end_seconds(self) -> float:
        return self._info.zero_seconds + self._timeline.end_samples / SAMPLE_RATE_HZ

    @property
    def late_seconds(self) -> float:
        """How much later than where it belongs the last real packet lies."""
        return self._timeline.late_samples / SAMPLE_RATE_HZ

    @property
    def error_seconds(self) -> float:
        """The same, and what it was placed too late before."""
        return self.late_seconds + self._error_seconds

    @property
    def is_flowing(self) -> bool:
        """Real packets come, if perhaps too late."""
        return self._timeline.is_flowing

    def summary(self) -> StreamSummary:
        timeline = self._timeline
        return StreamSummary(
            kind=MediaKind.AUDIO,
            codec=self._codec,
            frames=timeline.packets,
            filled_frames=timeline.filled_packets,
            lost_frames=self._lost_packets + timeline.dropped_packets,
            gaps=self._gaps,
            gap_seconds=self._gap_seconds,
            start_seconds=self._start_seconds,
        )

    def _samples_at(self, at_seconds: float) -> int:
        return round((at_seconds - self._info.zero_seconds) * SAMPLE_RATE_HZ)

    def _after_hole(self, frame: EncodedFrame, hole_samples: int) -> None:
        info = self._info
        if self._timeline.packets == 1:
            self._start_seconds = hole_samples / SAMPLE_RATE_HZ
            channels = opus.channels(frame.data)
            self._emit(AudioInfo(at_seconds=frame.time_seconds, name=info.name, user=info.user, channels=channels))
            hole_samples = frame.lost_packets * opus.duration_ticks(frame.data)  # lost before the file began
        if hole_samples >= REPORTED_SOUND_GAP_SAMPLES:
            duration = hole_samples / SAMPLE_RATE_HZ
            self._gaps += 1
            self._gap_seconds += duration
            self._emit(
                Gap(
                    at_seconds=frame.time_seconds - duration,
                    name=info.name,
                    user=info.user,
                    kind=MediaKind.AUDIO,
                    duration_seconds=duration,
                    lost_packets=frame.lost_packets,
                )
            )

    def _put_opus(self, data: bytes, position_samples: int, samples: int) -> None:
        per_tick = self._samples_per_tick
        self._output.write_audio(data, position_samples // per_tick, samples // per_tick)

    def _put_aac(self, data: bytes, position_samples: int, samples: int) -> None:
        del position_samples  # without holes, the encoder's own count is the same
        assert self._transcoder is not None
        for encoded, position in self._transcoder.push(data, samples):
            self._write_aac(encoded, position)

    def _write_aac(self, data: bytes, position_samples: int) -> None:
        per_tick = self._samples_per_tick
        self._output.write_audio(data, position_samples // per_tick, AAC_FRAME_SAMPLES // per_tick)
