"""Individual recording: every user's sound and pictures as they were sent, one file per user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

from channel_recorder.media.containers.formats import AudioCodec
from channel_recorder.model import EncodedFrame, MediaKind, User
from channel_recorder.recording.contract import FileEvent, RecordedTrack, TrackSink
from channel_recorder.recording.handover import Feed, Handover, discard
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
        self._feeds: dict[str, Feed] = {}
        """By sid."""
        self._handovers: dict[FileSeries, Handover] = {}

    def add_track(self, track: RecordedTrack, at_seconds: float) -> TrackSink:
        del at_seconds
        left_out = self._options.audio_only if track.kind is MediaKind.VIDEO else self._options.video_only
        if left_out:
            return _NotRecorded()
        feed = self._feeds[track.sid] = Feed(track, self._feed_closed)
        series = self._series_at(track, 0)
        if _is_free_for(track, series):
            self._join(feed, series)
        else:
            feed.pass_on = partial(self._newcomer_sends, feed)
        return feed

    def mute_track(self, sid: str, muted: bool, at_seconds: float) -> None:
        del at_seconds
        feed = self._feeds.get(sid)
        if feed is not None:
            feed.track = replace(feed.track, muted=muted)
            if feed.series is not None:
                feed.series.mute(sid, muted)

    def user_joined(self, user: User, at_seconds: float) -> None:
        del at_seconds
        for series in self._series_of(user):
            series.come_back()

    def user_left(self, user: User, at_seconds: float) -> None:
        for series in self._series_of(user):
            self._end_handover(series, at_seconds)
        for series in self._series_of(user):
            series.leave(at_seconds)
        for sid in [sid for sid, feed in self._feeds.items() if feed.track.user.uid == user.uid]:
            del self._feeds[sid]

    def advance(self, now_seconds: float) -> None:
        for series, handover in tuple(self._handovers.items()):
            if handover.is_decided(now_seconds):
                self._end_handover(series, now_seconds)
        idle: list[_Place] = []
        for place, series in self._series.items():
            if series not in self._handovers:
                series.advance(now_seconds)
            if series.is_idle:
                idle.append(place)
        for place in idle:
            del self._series[place]

    def close(self, at_seconds: float) -> None:
        for series in tuple(self._handovers):
            self._end_handover(series, at_seconds)
        for series in self._series.values():
            series.close(at_seconds)
        self._series.clear()
        self._feeds.clear()

    # Which series a track feeds

    def _join(self, feed: Feed, series: FileSeries) -> None:
        series.attach(feed.track)
        feed.series = series
        handover = self._handovers.get(series)
        if handover is None:
            feed.pass_on = _writer(series, feed.track.kind)
        else:
            handover.add(feed)

    def _feed_closed(self, feed: Feed, at_seconds: float) -> None:
        sid = feed.track.sid
        if self._feeds.get(sid) is feed:
            del self._feeds[sid]
        if any(feed in handover.feeds for handover in self._handovers.values()):
            return  # its frames wait there: it is detached when they are written
        if feed.series is not None:
            feed.series.detach(sid, at_seconds)

    def _newcomer_sends(self, feed: Feed, frame: EncodedFrame) -> None:
        """A track that found its place taken: who had it may be about to end."""
        series = self._series_at(feed.track, 0)
        if _is_free_for(feed.track, series):
            self._join(feed, series)
        elif feed.track.kind is MediaKind.VIDEO and not frame.key_frame:
            if feed.may_ask_for_key_frame(frame.time_seconds):
                self._key_frame_wanted(feed.track.sid)
            return
        elif self._may_succeed(feed, series):
            self._handover(series).admit(feed, frame)
        else:
            self._join(feed, self._free_series(feed.track))
        feed.write(frame)

    def _may_succeed(self, newcomer: Feed, series: FileSeries) -> bool:
        """A track of the same source, one at a time."""
        live, handover = series.track(newcomer.track.kind), self._handovers.get(series)
        same_source = live is not None and live.source is newcomer.track.source
        return same_source and (handover is None or not handover.has_newcomer(newcomer.track.kind))

    def _handover(self, series: FileSeries) -> Handover:
        handover = self._handovers.get(series)
        if handover is None:
            feeds = [feed for feed in self._feeds.values() if feed.series is series]
            handover = self._handovers[series] = Handover(feeds)
        return handover

    def _end_handover(self, series: FileSeries, now_seconds: float) -> None:
        handover = self._handovers.pop(series, None)
        if handover is None:
            return
        for old, newcomer, succeeds in handover.outcome():
            if succeeds:
                self._displace(old, handover.began_seconds(old.track.kind))
            self._join(newcomer, series if succeeds else self._series_beside(newcomer.track))
        for feed, frame in handover.frames():
            (feed.series or series).write(frame)
        for feed in handover.feeds:
            if feed.closed_at is not None:
                feed.pass_on = discard
                (feed.series or series).detach(feed.track.sid, feed.closed_at)
            elif feed.series is series:
                feed.pass_on = _writer(series, feed.track.kind)

    def _displace(self, old: Feed, since_seconds: float) -> None:
        """Nothing more is expected of a track that was succeeded. If it goes on after all, it has its own file."""

        def goes_on(frame: EncodedFrame) -> None:
            if frame.time_seconds >= since_seconds:
                self._join(old, self._free_series(old.track))
                old.write(frame)

        old.series = None
        old.pass_on = goes_on

    def _series_of(self, user: User) -> list[FileSeries]:
        return [series for place, series in self._series.items() if place.uid == user.uid]

    def _free_series(self, track: RecordedTrack) -> FileSeries:
        """The user's first series without a track of this kind."""
        return next(series for index in count() if _is_free_for(track, series := self._series_at(track, index)))

    def _series_beside(self, track: RecordedTrack) -> FileSeries:
        """The same for a track whose frames waited. An open file has silence in the places of waiting sound."""
        if track.kind is MediaKind.VIDEO:
            return self._free_series(track)
        return next(series for index in count() if (series := self._series_at(track, index)).is_idle)

    def _series_at(self, track: RecordedTrack, index: int) -> FileSeries:
        kind = track.kind if self._options.separate_tracks else None
        place = _Place(track.user.uid, track.source.is_screen, kind, index)
        series = self._series.get(place)
        if series is None:
            series = self._series[place] = FileSeries(track.user, self._policy(place))
        return series

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


def _is_free_for(track: RecordedTrack, series: FileSeries) -> bool:
    live = series.track(track.kind)
    return live is None or live.sid == track.sid


def _writer(series: FileSeries, kind: MediaKind) -> Callable[[EncodedFrame], None]:
    return series.write_video if kind is MediaKind.VIDEO else series.write_audio
