"""Individual recording: every user's sound and pictures as they were sent, one file per user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from channel_recorder.media.containers.formats import AudioCodec
from channel_recorder.model import EncodedFrame, MediaKind, User
from channel_recorder.recording.contract import FileEvent, RecordedTrack, TrackSink
from channel_recorder.recording.opening import NameFile, SeriesPolicy
from channel_recorder.recording.series import FileSeries


@dataclass(frozen=True, slots=True, kw_only=True)
class IndividualOptions:
    """What to write of each user. `audio_only` and `video_only` exclude each other."""

    audio_codec: AudioCodec = "opus"
    """aac: for players that know no Opus in MP4. WebM files keep Opus."""
    audio_only: bool = False
    video_only: bool = False
    separate_tracks: bool = False


def _discard(frame: EncodedFrame) -> None:
    del frame


class _SeriesTrack:
    """A track's sink: its frames go straight to the series."""

    __slots__ = ("_at_close", "_write")

    def __init__(self, write: Callable[[EncodedFrame], None], at_close: Callable[[float], None]) -> None:
        self._write = write
        self._at_close = at_close

    def write(self, frame: EncodedFrame) -> None:
        self._write(frame)

    def close(self, at_seconds: float) -> None:
        self._write = _discard
        self._at_close(at_seconds)


class _NotRecorded:
    """Sink of a track that the options leave out."""

    def write(self, frame: EncodedFrame) -> None:
        pass

    def close(self, at_seconds: float) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Place:
    """Which series of a user: two tracks of one kind at the same time go to different ones."""

    uid: int
    is_screen: bool
    kind: MediaKind | None
    """None: camera and microphone share a file."""
    index: int


class IndividualRecorder:
    """A `Recorder` that writes one file per user, a shared screen apart. Never raises for the disk's sake."""

    def __init__(
        self,
        *,
        name_file: NameFile,
        on_event: Callable[[FileEvent], None],
        key_frame_wanted: Callable[[str], None],
        options: IndividualOptions | None = None,
    ) -> None:
        """`on_event` and `key_frame_wanted` (with a track's sid) are called on the thread that calls the recorder."""
        self._options = options or IndividualOptions()
        self._name_file = name_file
        self._on_event = on_event
        self._key_frame_wanted = key_frame_wanted
        self._series: dict[_Place, FileSeries] = {}
        self._by_sid: dict[str, FileSeries] = {}

    def add_track(self, track: RecordedTrack, at_seconds: float) -> TrackSink:
        del at_seconds
        left_out = self._options.audio_only if track.kind is MediaKind.VIDEO else self._options.video_only
        if left_out:
            return _NotRecorded()
        series = self._series_for(track)
        series.attach(track)
        self._by_sid[track.sid] = series
        write = series.write_video if track.kind is MediaKind.VIDEO else series.write_audio

        def close(at_seconds: float) -> None:
            if self._by_sid.get(track.sid) is series:
                del self._by_sid[track.sid]
            series.detach(track.sid, at_seconds)

        return _SeriesTrack(write, close)

    def mute_track(self, sid: str, muted: bool, at_seconds: float) -> None:
        del at_seconds
        series = self._by_sid.get(sid)
        if series is not None:
            series.mute(sid, muted)

    def user_joined(self, user: User, at_seconds: float) -> None:
        del at_seconds
        for series in self._series_of(user):
            series.come_back()

    def user_left(self, user: User, at_seconds: float) -> None:
        for series in self._series_of(user):
            series.leave(at_seconds)
            for sid in [sid for sid, fed in self._by_sid.items() if fed is series]:
                del self._by_sid[sid]

    def advance(self, now_seconds: float) -> None:
        idle: list[_Place] = []
        for place, series in self._series.items():
            series.advance(now_seconds)
            if series.is_idle:
                idle.append(place)
        for place in idle:
            del self._series[place]

    def close(self, at_seconds: float) -> None:
        for series in self._series.values():
            series.close(at_seconds)
        self._series.clear()
        self._by_sid.clear()

    def _series_of(self, user: User) -> list[FileSeries]:
        return [series for place, series in self._series.items() if place.uid == user.uid]

    def _series_for(self, track: RecordedTrack) -> FileSeries:
        """The user's first series without a track of this kind."""
        kind = track.kind if self._options.separate_tracks else None
        index = 0
        while True:
            place = _Place(track.user.uid, track.source.is_screen, kind, index)
            series = self._series.get(place)
            if series is None:
                series = self._series[place] = FileSeries(track.user, self._policy(place))
            if series.track(track.kind) is None:
                return series
            index += 1

    def _policy(self, place: _Place) -> SeriesPolicy:
        options = self._options
        return SeriesPolicy(
            audio_codec=options.audio_codec,
            may_have_video=not options.audio_only and place.kind is not MediaKind.AUDIO,
            may_have_audio=not options.video_only and place.kind is not MediaKind.VIDEO,
            separate=options.separate_tracks,
            is_screen=place.is_screen,
            name_file=self._name_file,
            emit=self._on_event,
            key_frame_wanted=self._key_frame_wanted,
        )
