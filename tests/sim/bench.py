"""A whole recording in virtual time: people, a network that errs, and everything of ours between it and the files."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from math import inf
from pathlib import Path

from channel_recorder.model import MediaKind, Source, User
from channel_recorder.recording.archive import Archive
from channel_recorder.recording.contract import FileEvent, RecordedTrack, Recorder
from channel_recorder.recording.individual import IndividualRecorder
from channel_recorder.recording.ledger import RecordingLedger
from channel_recorder.recording.tracks import Tracks
from channel_recorder.rtc.receive.receiver import Receiver
from channel_recorder.rtc.receive.statistics import ReceiveStatistics
from channel_recorder.storage.directory import RecordingDirectory
from channel_recorder.timeline import Timeline
from tests.sim.live import LiveSettings, LiveStream
from tests.sim.network import PERFECT, NetworkConditions, SimulatedNetwork
from tests.sim.sender import SyntheticSender

TICK_SECONDS = 0.1
STARTED_AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


@dataclass(kw_only=True)
class Person:
    """Somebody in the call, with tracks."""

    uid: int
    streams: list[LiveStream]
    joins: float = 0.0
    leaves: float = inf
    screen: bool = False

    @property
    def user(self) -> User:
        return User(uid=self.uid, account=str(self.uid))

    @property
    def microphone(self) -> LiveStream:
        return next(stream for stream in self.streams if stream.settings.is_sound)

    @property
    def camera(self) -> LiveStream:
        return next(stream for stream in self.streams if not stream.settings.is_sound)


def person(uid: int, *settings: LiveSettings, seed: int = 1, **presence: float | bool) -> Person:
    streams = [LiveStream(each, seed + 17 * uid + index) for index, each in enumerate(settings)]
    return Person(uid=uid, streams=streams, **presence)  # pyright: ignore[reportArgumentType]


class Bench:
    """Runs until everybody has left or sent everything; `finish` makes the files whole."""

    def __init__(
        self,
        folder: Path,
        people: Sequence[Person],
        *,
        seed: int = 1,
        down: NetworkConditions = PERFECT,
        up: NetworkConditions | None = None,
        reports: NetworkConditions | None = None,
        report_interval_seconds: float = 3.0,
        wall_clock: Callable[[float], datetime] | None = None,
    ) -> None:
        """`reports`: the way of the sender reports, if it is another. `wall_clock`: by true time."""
        self.folder = folder
        self.people = people
        self.now = 0.0
        streams = [stream for each in people for stream in each.streams]
        self.sender = SyntheticSender(seed=seed, report_interval_seconds=report_interval_seconds, streams=streams)
        self.down = SimulatedNetwork(seed, down)
        self.up = SimulatedNetwork(seed + 1, down if up is None else up)
        self._reports = SimulatedNetwork(seed + 2, down if reports is None else reports)
        self.receiver = Receiver(ssrc=9)
        self.key_frames_wanted: list[tuple[float, str]] = []
        self.subscriptions: list[tuple[float, str, bool]] = []
        self._wall_clock = wall_clock or (lambda now: STARTED_AT + timedelta(seconds=now))
        directory = RecordingDirectory(path=folder, channel="sim", started_at=STARTED_AT)
        self._ledger = RecordingLedger(directory, wall_clock=lambda: self._wall_clock(self.now))
        self._archive = Archive(self._ledger, self._make_recorder, lambda event: None)
        self.tracks = Tracks(
            recorder=self._archive,
            timeline=Timeline(origin_seconds=0.0),
            low_layer=False,
            on_first_frame=lambda track, frame: None,
        )
        self._order = count()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._deaf_until = 0.0
        self._connection = count(1)
        self._suffix = ""
        self._ledger.begin_recording(STARTED_AT)
        self._archive.begin_span(0.0)
        self.tracks.begin_span(0.0, 0.0)
        self.tracks.uplink = self
        self._tick()
        for each in people:
            self.at(each.joins, lambda each=each: self._join(each))
            if each.leaves < inf:
                self.at(each.leaves, lambda each=each: self._leave(each))

    # Time

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (seconds, next(self._order), action))

    def run(self, until: float) -> None:
        while True:
            following = min(
                self.sender.next_seconds,
                self.down.next_seconds,
                self._reports.next_seconds,
                self.up.next_seconds,
                self.receiver.next_timer_seconds,
                self._agenda[0][0],
            )
            if following > until:
                self.now = until
                return
            self.now = max(self.now, following)
            self._step(self.now)

    def finish(self, at: float) -> None:
        """What is under way at the end is recorded still."""
        self.run(at)
        for each in self.people:
            for stream in each.streams:
                self.receiver.remove_media(stream.settings.mid, at)
        self._archive.close(at)
        self._ledger.finish("stopped", at)

    # What happens

    def rejoin(self, at: float, after_seconds: float) -> None:
        """The connection is lost, and another one made later: other sids, on the same timeline."""
        self.at(at, self._cut)
        self.at(at + after_seconds, self._come_back)

    def mute(self, stream: LiveStream, since: float, until: float) -> None:
        """Told by the channel, too; what `stream` does meanwhile its own settings say."""
        for at, muted in ((since, True), (until, False)):
            self.at(at, lambda muted=muted: self.tracks.mute(self._sid(stream), muted, self.now))

    def statistics(self, stream: LiveStream) -> ReceiveStatistics:
        return self.receiver.statistics(stream.settings.mid)

    # Uplink of the tracks

    def subscribe(self, track_sids: Iterable[str], wanted: bool) -> None:
        self.subscriptions += [(self.now, sid, wanted) for sid in track_sids]

    def choose_layer(self, track_sid: str, *, low: bool) -> None:
        pass

    def request_key_frame(self, track_sid: str) -> None:
        self.key_frames_wanted.append((self.now, track_sid))
        mid = track_sid.removeprefix("TR_").partition("/")[0]
        self.receiver.request_key_frame(mid, self.now)

    # Inside

    def _make_recorder(self, on_event: Callable[[FileEvent], None]) -> Recorder:
        return IndividualRecorder(
            name_file=self._ledger.name_file, on_event=on_event, key_frame_wanted=self.request_key_frame
        )

    def _tick(self) -> None:
        self._archive.advance(self.now)
        self.at(self.now + TICK_SECONDS, self._tick)

    def _sid(self, stream: LiveStream) -> str:
        return f"TR_{stream.settings.mid}{self._suffix}"

    def _join(self, each: Person) -> None:
        self._archive.user_joined(each.user, self.now)
        for stream in each.streams:
            self._publish(each, stream)

    def _publish(self, each: Person, stream: LiveStream) -> None:
        kind = stream.settings.codec.kind
        camera, microphone = (
            (Source.SCREEN_SHARE, Source.SCREEN_SHARE_AUDIO) if each.screen else (Source.CAMERA, Source.MICROPHONE)
        )
        source = camera if kind is MediaKind.VIDEO else microphone
        sid = self._sid(stream)
        track = RecordedTrack(sid=sid, user=each.user, kind=kind, source=source)
        self.tracks.publish(track, True, self.now)
        pipe = self.tracks.begin_media(sid, kind, f"PA_{each.uid}{self._suffix}", self.now)
        stream.has_new_ssrc = False
        self.receiver.add_media(stream.settings.description(), pipe, self.now)
        if kind is MediaKind.VIDEO:
            self.receiver.request_key_frame(stream.settings.mid, self.now)

    def _leave(self, each: Person) -> None:
        for stream in each.streams:
            self.receiver.remove_media(stream.settings.mid, self.now)
            self.tracks.unpublish(self._sid(stream), self.now)
        self._archive.user_left(each.user, self.now)

    def _present(self) -> list[Person]:
        return [each for each in self.people if each.joins <= self.now < each.leaves]

    def _cut(self) -> None:
        self._deaf_until = inf
        self.tracks.cut(self.now)
        for each in self._present():
            self._archive.user_left(each.user, self.now)

    def _come_back(self) -> None:
        self._deaf_until = self.now
        self._suffix = f"/{next(self._connection)}"
        self.receiver = Receiver(ssrc=9)
        self.tracks.uplink = self
        for each in self._present():
            self._join(each)

    def _describe_new_ssrcs(self) -> None:
        for each in self._present():
            for stream in each.streams:
                if stream.has_new_ssrc and self._sid(stream) in self.tracks._pipes:
                    stream.has_new_ssrc = False
                    self.receiver.add_media(
                        stream.settings.description(), self.tracks._pipes[self._sid(stream)], self.now
                    )

    def _step(self, now: float) -> None:
        while self._agenda[0][0] <= now:
            heapq.heappop(self._agenda)[2]()
        if self.sender.next_seconds <= now:
            self.sender.handle_timer(now)
            if any(stream.has_new_ssrc for each in self.people for stream in each.streams):
                self._describe_new_ssrcs()
        for packet in self.up.receive(now):
            self.sender.receive_rtcp(packet)
        rtp, compounds = self.sender.packets_to_send()
        for packet in rtp:
            self.down.send(packet, now)
        for packet in compounds:
            self._reports.send(packet, now)
        deaf = now < self._deaf_until
        for packet in self.down.receive(now):
            if not deaf:
                self.receiver.receive_rtp(packet, now)
        for packet in self._reports.receive(now):
            if not deaf:
                self.receiver.receive_rtcp(packet, now)
        if self.receiver.next_timer_seconds <= now:
            for packet in self.receiver.rtcp_to_send(now):
                self.up.send(packet, now)
