"""One recording on the media loop: who is there, what is recorded of them, and when it ends.

Channel events and commands come in, the session decides, tracks, archive and handler carry it out.
Time (monotonic seconds) is passed in; nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from channel_recorder.clock import utc_now
from channel_recorder.config import RecordingConfig, StreamType
from channel_recorder.e2ee.store import GivenKey, KeyStore
from channel_recorder.errors import ErrorCode, StateError, StatusCode, WarningCode
from channel_recorder.events import (
    ChannelEvent,
    DataReceived,
    Joined,
    LeaveReason,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    StreamPaused,
    TrackPublished,
    TrackUnpublished,
    TrackUpdated,
)
from channel_recorder.handler import LeavePath
from channel_recorder.model import EncodedFrame, MediaKind, Participant, Track, User
from channel_recorder.recording.archive import ArchiveListener, QueuedArchive
from channel_recorder.recording.contract import FileEvent, RecordedTrack, StorageFailed
from channel_recorder.recording.facts import config_fact
from channel_recorder.recording.notices import Notices
from channel_recorder.recording.sealed_tracks import SealedTracks
from channel_recorder.recording.session import (
    Action,
    EndSpan,
    Leave,
    Session,
    StartSpan,
    UserCame,
    UserWent,
)
from channel_recorder.recording.subscription import Subscription
from channel_recorder.recording.track_pipe import TrackPipe
from channel_recorder.recording.tracks import Reception, Tracks, Uplink
from channel_recorder.recording.users import UserDirectory
from channel_recorder.timeline import Timeline


class Recording:
    """From the join to the last file. Several connections may serve it, one after the other."""

    def __init__(
        self,
        config: RecordingConfig,
        *,
        open_archive: Callable[[ArchiveListener], QueuedArchive],
        notices: Notices,
        joined_seconds: float,
        continues_seconds: float | None = None,
        leave: Callable[[LeavePath], None],
        keys: KeyStore | None = None,
    ) -> None:
        """`leave` is called once, when the session decides to go. `keys`: of encrypted channels.
        `continues_seconds`: the recording time of the join, of a recording that goes on after a crash.
        """
        self._archive = open_archive(self)
        self._notices = notices
        self._subscription = Subscription.from_config(config)
        self._leave = leave
        self._joined_seconds = joined_seconds
        self._storage_failed = False
        self._zero_seconds = None if continues_seconds is None else joined_seconds - continues_seconds
        """Monotonic instant of recording time zero; None: nothing was recorded yet."""
        self._published: dict[str, tuple[User, Track]] = {}
        """By track sid."""
        self._session = Session(
            profile=config.channel_profile,
            trigger_mode=config.trigger_mode,
            idle_limit_seconds=config.idle_limit_sec,
            now=joined_seconds,
        )
        self._tracks = Tracks(
            recorder=self._archive.recorder,
            timeline=Timeline(joined_seconds),
            low_layer=config.stream_type is StreamType.LOW,
            on_first_frame=self._on_first_frame,
        )
        self._sealed = SealedTracks(
            keys if keys is not None else KeyStore((), _run_here),
            keeps=config.keep_ciphertext,
            recorder=self._archive.recorder,
            notices=notices,
            note=self._archive.note,
        )
        self.users = UserDirectory()
        fact, settings = config_fact(config)
        self._archive.note(fact, 0.0, **settings)

    @property
    def user_count(self) -> int:
        """Who counts as present, without the recorder."""
        return len(self._session.present)

    @property
    def dropped_frames(self) -> int:
        return self._archive.dropped_frames

    def reception(self) -> Reception:
        return self._tracks.reception()

    # Commands

    def start_service(self, now: float) -> None:
        """Raises StateError."""
        self._carry_out(self._session.start_service(now), now)

    def stop_service(self, now: float) -> None:
        """Raises StateError."""
        self._carry_out(self._session.stop_service(now), now)

    def leave(self, path: LeavePath, now: float) -> None:
        self._carry_out(self._session.leave(path, now), now)

    def subscribe_to(
        self, now: float, *, audio_uids: Iterable[int] | None = None, video_uids: Iterable[int] | None = None
    ) -> None:
        """The filter changes, at once for what comes and what goes. Raises StateError if everybody is recorded."""
        subscription = self._subscription
        if subscription.everybody:
            raise StateError("the lists of users need auto_subscribe=False: everybody is recorded as it is")
        if audio_uids is not None:
            subscription = subscription.with_audio_members(audio_uids)
        if video_uids is not None:
            subscription = subscription.with_video_members(video_uids)
        self._subscription = subscription
        for sid in self._published:
            self._settle(sid, now)
        self._archive.note(
            "subscription_changed",
            self.recording_seconds(now),
            audio=sorted(map(str, subscription.audio_members)),
            video=sorted(map(str, subscription.video_members)),
        )

    def add_key(self, key: GivenKey, now: float) -> None:
        """For frames from now on; of encrypted tracks that were left out, too."""
        self._sealed.add_key(key)
        self._archive.note(
            "encryption_key_added", self.recording_seconds(now), account=key.account, key_index=key.key_index
        )
        for sid in self._published:
            self._settle(sid, now)

    # The connection

    def connected(self, uplink: Uplink, now: float) -> None:
        """A connection is there; who is in the channel is announced next."""
        self._tracks.uplink = uplink
        self._carry_out(self._session.connection_regained(now), now)

    def connection_lost(self, reason: LeaveReason, now: float) -> None:
        """Everybody's tracks end; the users stay until the rejoin tells."""
        self._published.clear()
        at_seconds = self.recording_seconds(now)
        self._tracks.cut(at_seconds)
        self._sealed.remove_all(at_seconds)
        self._archive.note("connection_lost", at_seconds, reason=reason.value)
        self._carry_out(self._session.connection_lost(now), now)

    def connection_closed(self, drops: Mapping[str, int], now: float) -> None:
        """`drops`: what came over the connection and could not be used, by reason."""
        if drops:
            self._archive.note("dropped_packets", self.recording_seconds(now), **drops)

    def channel_ended(self, reason: LeaveReason, now: float) -> None:
        """The server ended it for good."""
        self._archive.note("channel_ended", self.recording_seconds(now), reason=reason.value)
        self._carry_out(self._session.channel_ended(reason, now), now)

    def begin_media(self, sid: str, kind: MediaKind, sender: str, now: float) -> TrackPipe:
        """The connection will deliver the media of a track: where to."""
        return self._tracks.begin_media(sid, kind, sender, self.recording_seconds(now), self._sealed.pipe_of(sid))

    def end_media(self, sid: str) -> None:
        self._tracks.end_media(sid)
        self._sealed.media_ended(sid)

    # What the channel tells

    def on_event(self, event: ChannelEvent, now: float) -> None:
        self._journal(event, now)
        match event:
            case Joined(server_trailer=trailer):
                self._sealed.server_trailer = trailer
            case ParticipantJoined(participant=participant):
                self._carry_out(self._session.participant_joined(participant, now), now)
            case ParticipantUpdated(participant=participant):
                self._carry_out(self._session.participant_updated(participant, now), now)
            case ParticipantLeft(participant=participant, dropped=dropped):
                self._carry_out(self._session.participant_left(participant, now, dropped=dropped), now)
            case TrackPublished(participant=participant, track=track):
                self._on_published(participant, track, now)
            case TrackUpdated(participant=participant, track=track, previous=previous):
                self._on_track_updated(participant, track, previous, now)
            case TrackUnpublished(participant=participant, track=track):
                self._on_unpublished(participant, track, now)
            case StreamPaused(track_sid=sid, paused=True):
                self._on_stream_paused(sid)
            case _:
                pass

    def _journal(self, event: ChannelEvent, now: float) -> None:
        if isinstance(event, DataReceived):
            self.users.add(event.identity)
        self._archive.channel_event(event, self.recording_seconds(now), self._uid_of)

    def _on_published(self, participant: Participant, track: Track, now: float) -> None:
        if participant.is_recorder:
            return
        user = self._user(participant)
        self._published[track.sid] = (user, track)
        recorded = RecordedTrack(sid=track.sid, user=user, kind=track.kind, source=track.source, muted=track.muted)
        if track.encrypted:
            self._sealed.add(recorded)
        self._tracks.publish(recorded, self._is_wanted(user, track), self.recording_seconds(now))
        if not track.muted:
            self._notices.stream_state(user, track.kind, running=True)

    def _on_track_updated(self, participant: Participant, track: Track, previous: Track, now: float) -> None:
        if track.sid not in self._published:
            return
        user = self._user(participant)
        self._published[track.sid] = (user, track)
        if track.encrypted != previous.encrypted:
            self._settle(track.sid, now)
        if track.muted == previous.muted:
            return
        self._tracks.mute(track.sid, track.muted, self.recording_seconds(now))
        self._notices.stream_state(user, track.kind, running=not track.muted)

    def _on_unpublished(self, participant: Participant, track: Track, now: float) -> None:
        if self._published.pop(track.sid, None) is None:
            return
        self._tracks.unpublish(track.sid, self.recording_seconds(now))
        self._sealed.remove(track.sid, self.recording_seconds(now))
        if not track.muted:
            self._notices.stream_state(self._user(participant), track.kind, running=False)

    def _on_stream_paused(self, sid: str) -> None:
        if sid in self._published:
            user, track = self._published[sid]
            self._notices.warn(
                WarningCode.STREAM_PAUSED_BY_SERVER,
                f"the server paused the {track.source} of user {user.uid} for lack of bandwidth to the recorder",
            )

    def subscription_failed(self, sid: str, reason: str, now: float) -> None:
        """The server cannot send a track."""
        self._archive.note("subscription_failed", self.recording_seconds(now), sid=sid, reason=reason)
        if sid in self._published:
            user, track = self._published[sid]
            message = f"the {track.source} of user {user.uid} can't be recorded: {reason}"
            self._notices.warn(WarningCode.UNSUPPORTED_CODEC, message)

    def _on_first_frame(self, track: RecordedTrack, frame: EncodedFrame) -> None:
        self._notices.first_frame(track, frame, frame.arrival_seconds - self._joined_seconds)

    # ArchiveListener

    def on_file_event(self, event: FileEvent) -> None:
        self._notices.file_event(event)
        if isinstance(event, StorageFailed) and event.final:
            self._storage_failed = True

    def on_key_frame_wanted(self, sid: str) -> None:
        self._tracks.uplink.request_key_frame(sid)

    def on_overload(self, sid: str, dropped_frames: int) -> None:
        self._tracks.uplink.request_key_frame(sid)
        message = f"the disk does not keep up: pictures are left out up to the next key frame ({dropped_frames} so far)"
        self._notices.warn(WarningCode.VIDEO_DROPPED_BY_OVERLOAD, message)

    def on_archive_failed(self, error: BaseException) -> None:
        self._notices.error(ErrorCode.GENERIC, StatusCode.OK, f"writing failed: {error}")

    # Time

    def next_timer(self) -> float | None:
        return self._session.next_timer()

    def handle_timer(self, now: float) -> None:
        self._carry_out(self._session.handle_timer(now), now)

    def advance(self, now: float) -> None:
        """Call every 100 ms."""
        if self._archive.has_failed or self._storage_failed:
            # Staying would look like recording.
            self.leave(LeavePath.STORAGE_FAILED, now)
        if self._zero_seconds is not None:
            self._archive.recorder.advance(now - self._zero_seconds)
            self._ask_for_frozen_pictures(now)

    def _ask_for_frozen_pictures(self, now: float) -> None:
        at_seconds = self.recording_seconds(now)
        for sid, remedy in self._tracks.advance(at_seconds):
            self._archive.note("pictures_frozen", at_seconds, sid=sid, asked_for=remedy)

    def request_key_frames(self) -> None:
        """Of all pictures being recorded."""
        self._tracks.request_key_frames()

    async def finish(self, path: LeavePath, now: float) -> None:
        """After the session decided to leave: ends what is open, closes the books. Raises StorageError."""
        duration_seconds = self.recording_seconds(now)
        self._tracks.cut(duration_seconds)
        self._sealed.remove_all(duration_seconds)
        self._session.left(now)
        await self._archive.finish(leave_reason(path), duration_seconds)

    # Decisions

    def _carry_out(self, actions: Iterable[Action], now: float) -> None:
        for action in actions:
            match action:
                case UserCame(participant=participant):
                    self._user_came(participant, now)
                case UserWent(participant=participant, reason=reason):
                    user = self._user(participant)
                    self._archive.recorder.user_left(user, self.recording_seconds(now))
                    self._notices.user_offline(user, reason)
                case StartSpan():
                    self._start_span(now)
                case EndSpan():
                    at_seconds = self.recording_seconds(now)
                    self._tracks.end_span(at_seconds)
                    self._archive.end_span(at_seconds)
                case Leave(path=path):
                    self._leave(path)

    def _user_came(self, participant: Participant, now: float) -> None:
        user = self._user(participant)
        self._archive.recorder.user_joined(user, self.recording_seconds(now))
        self._notices.user_joined(user, participant)

    def _start_span(self, now: float) -> None:
        if self._zero_seconds is None:
            self._zero_seconds = now
            self._archive.begin_recording(utc_now())
        at_seconds = now - self._zero_seconds
        self._archive.begin_span(at_seconds)
        self._tracks.begin_span(self._zero_seconds - self._joined_seconds, at_seconds)

    def _is_wanted(self, user: User, track: Track) -> bool:
        if track.encrypted and not self._sealed.can_record(track.sid):
            return False
        return self._subscription.wanted(user, track)

    def _settle(self, sid: str, now: float) -> None:
        """Whether the track is recorded may have changed."""
        user, track = self._published[sid]
        self._tracks.want(sid, self._is_wanted(user, track), self.recording_seconds(now))

    def _user(self, participant: Participant) -> User:
        return self.users.add(participant.identity)

    def _uid_of(self, identity: str) -> int:
        return self.users.add(identity).uid

    def recording_seconds(self, now: float) -> float:
        """0 until the first span begins."""
        return 0.0 if self._zero_seconds is None else now - self._zero_seconds


def _run_here(work: Callable[[], None]) -> None:
    work()


def leave_reason(path: LeavePath) -> str:
    """The manifest's word for why a recording ended."""
    for bit, word in _REASONS.items():
        if path & bit:
            return word
    return "failed"


_REASONS = {
    LeavePath.STORAGE_FAILED: "storage_failed",
    LeavePath.CONNECTION_FAILED: "connection_failed",
    LeavePath.CHANNEL_ENDED: "channel_ended",
    LeavePath.NOBODY_LEFT: "idle",
    LeavePath.SIGNAL: "signal",
    LeavePath.CLIENT_INITIATED: "left",
}
