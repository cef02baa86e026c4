"""A recorder on a stage: users send in virtual time, files land in a folder."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from channel_recorder.model import Codec, EncodedFrame, MediaKind, Source, User
from channel_recorder.recording.contract import FileClosed, FileCreated, FileEvent, RecordedTrack, TrackSink
from channel_recorder.recording.individual import IndividualOptions, IndividualRecorder
from tests.recording.clips import FPS, PACKET_SECONDS, Picture

DELAY_SECONDS = 0.05
ALICE = User(uid=7, account="7")
BOB = User(uid=9, account="9")
_KINDS = {
    Source.CAMERA: MediaKind.VIDEO,
    Source.SCREEN_SHARE: MediaKind.VIDEO,
    Source.MICROPHONE: MediaKind.AUDIO,
    Source.SCREEN_SHARE_AUDIO: MediaKind.AUDIO,
}
Event = TypeVar("Event")


class Stage:
    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.events: list[FileEvent] = []
        self.key_frames_asked: list[str] = []
        self.recorder = IndividualRecorder(
            name_file=self.name_file,
            on_event=self.events.append,
            key_frame_wanted=self.key_frames_asked.append,
            options=IndividualOptions(**options),
        )
        self._order = count()
        self._agenda: list[tuple[float, int, Callable[[float], object]]] = []
        self._now = 0.0
        self._sids = count(1)

    def name_file(self, user: User, source: Source, extension: str, at_seconds: float) -> Path:
        screen = "_screen" if source.is_screen else ""
        return self.folder / f"{user.uid}_{round(at_seconds * 1000):08}{screen}.{extension}"

    # What happens

    def track(self, source: Source, user: User = ALICE, *, sid: str = "", muted: bool = False) -> TrackSink:
        sid = sid or f"TR_{next(self._sids)}"
        track = RecordedTrack(sid=sid, user=user, kind=_KINDS[source], source=source, muted=muted)
        return self.recorder.add_track(track, self._now)

    def at(self, seconds: float, action: Callable[[float], object]) -> None:
        """`action(seconds)` when the time has come."""
        heapq.heappush(self._agenda, (seconds, next(self._order), action))

    def send_sound(
        self,
        sink: TrackSink,
        packets: Iterable[bytes],
        start: float,
        *,
        lost: Iterable[int] = (),
        step: float = PACKET_SECONDS,
        ticks: int = 960,
        delay: float = DELAY_SECONDS,
    ) -> None:
        missing, gone = 0, set(lost)
        for number, data in enumerate(packets):
            if number in gone:
                missing += 1
                continue
            frame = EncodedFrame(Codec.OPUS, data, number * ticks + round(start * 48_000), 0.0, lost_packets=missing)
            frame.time_seconds = start + number * step
            missing = 0
            self._deliver(sink, frame, delay)

    def send_pictures(
        self,
        sink: TrackSink,
        codec: Codec,
        pictures: Iterable[Picture],
        start: float,
        *,
        rotation: int = 0,
        lost_packets: int = 0,
        delay: float = DELAY_SECONDS,
    ) -> None:
        """`lost_packets`: before the first of the pictures."""
        for number, picture in enumerate(pictures):
            size = (picture.width, picture.height) if picture.key_frame else (0, 0)
            frame = EncodedFrame(codec, picture.data, number * 3600, 0.0, picture.key_frame, *size, rotation)
            frame.lost_packets = 0 if number else lost_packets
            frame.time_seconds = start + number / FPS
            self._deliver(sink, frame, delay)

    def _deliver(self, sink: TrackSink, frame: EncodedFrame, delay: float) -> None:
        self.at(frame.time_seconds + delay, lambda _: sink.write(frame))

    def run(self, until: float) -> None:
        """Everything on the agenda up to `until`, with `advance` every 100 ms."""
        ticks = round(self._now * 10)
        while (tick := (ticks + 1) / 10) <= until + 1e-9:
            self._run_agenda(tick)
            self.recorder.advance(tick)
            self._now = tick
            ticks += 1
        self._run_agenda(until)

    def skip_to(self, seconds: float) -> None:
        """Nothing happens until then."""
        self._now = seconds

    def _run_agenda(self, until: float) -> None:
        while self._agenda and self._agenda[0][0] <= until:
            at, _, action = heapq.heappop(self._agenda)
            action(at)

    def finish(self, at: float) -> None:
        """The end is told a little late, like everything else."""
        self.run(at + 2 * DELAY_SECONDS)
        self.recorder.close(at)

    # What came of it

    def of_type(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def created(self) -> list[str]:
        return [event.name for event in self.of_type(FileCreated)]

    def closed(self, name: str) -> FileClosed:
        (event,) = (event for event in self.of_type(FileClosed) if event.name == name)
        return event

    def path(self, name: str) -> Path:
        return self.folder / name
