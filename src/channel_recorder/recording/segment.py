"""One file of an individual recording, from its first frame to its index."""

from __future__ import annotations

from collections.abc import Callable

from channel_recorder.media.containers import disk
from channel_recorder.media.containers.output import OutputFile
from channel_recorder.model import Codec
from channel_recorder.recording.contract import FileClosed, FileEvent, FileProgress, StreamSummary
from channel_recorder.recording.lanes import PictureLane, SegmentInfo, SoundLane

PROGRESS_SECONDS = 10.0
"""So often an open file's counts are journalled: 100 KB/h."""


class Segment:
    """One file: pictures, sound, or both, with one zero."""

    def __init__(
        self,
        info: SegmentInfo,
        output: OutputFile,
        emit: Callable[[FileEvent], None],
        *,
        video: Codec | None = None,
        rotation: int = 0,
        has_sound: bool = False,
    ) -> None:
        self.info = info
        self._output = output
        self._emit = emit
        self.sound = SoundLane(info, output, emit) if has_sound else None
        self.pictures = None if video is None else PictureLane(info, output, video, rotation, emit, self.sound)
        self._progress_due = info.zero_seconds + PROGRESS_SECONDS

    @property
    def end_seconds(self) -> float:
        """Recording time at which what was written ends."""
        ends = [lane.end_seconds for lane in (self.pictures, self.sound) if lane is not None]
        return max(ends)

    def advance(self, now_seconds: float) -> None:
        """Time passed."""
        if now_seconds >= self._progress_due:
            self._progress_due = now_seconds + PROGRESS_SECONDS
            info = self.info
            self._emit(
                FileProgress(
                    at_seconds=now_seconds,
                    name=info.name,
                    user=info.user,
                    duration_seconds=max(0.0, self.end_seconds - info.zero_seconds),
                    streams=self._summaries(),
                )
            )

    def close(self, at_seconds: float) -> None:
        """Sound or the last picture up to `at_seconds`, index, `FileClosed`.

        Raises `StorageError`, after which `abandon` it.
        """
        if self.sound is not None:
            self.sound.finish(at_seconds)
        self._close_output(at_seconds)
        self._report(at_seconds)

    def cut(self, at_seconds: float, sound_until_seconds: float) -> None:
        """Close where the next file goes on: its sound begins at `sound_until_seconds`. Raises `StorageError`."""
        if self.sound is not None:
            self.sound.fill_to(sound_until_seconds)
            self.sound.flush()
        self._close_output(at_seconds)
        self._report(at_seconds)

    def abandon(self, at_seconds: float) -> None:
        """The disk refused: leave the file as it lies."""
        self._output.abandon()
        self._report(at_seconds)

    def _close_output(self, at_seconds: float) -> None:
        if self.sound is None and self.pictures is not None:
            self._output.close(self.pictures.show_last_until(at_seconds))
        else:
            self._output.close()

    def _report(self, at_seconds: float) -> None:
        info = self.info
        self._emit(
            FileClosed(
                at_seconds=at_seconds,
                name=info.name,
                user=info.user,
                source=info.source,
                start_seconds=info.zero_seconds,
                duration_seconds=max(0.0, self.end_seconds - info.zero_seconds),
                bytes=disk.size_bytes(self._output.path),
                streams=self._summaries(),
            )
        )

    def _summaries(self) -> tuple[StreamSummary, ...]:
        return tuple(lane.summary() for lane in (self.pictures, self.sound) if lane is not None)
