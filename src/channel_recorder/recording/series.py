"""The files of one user and one thing to show: camera and microphone, a shared screen, or a single track.

Usually that is one file. The next one begins, at the same instant, where a container cannot hold what
comes: another video codec, a camera after the microphone began alone, sound of a screen whose file
declares none. It always begins with a key frame.

How a file begins: the first frames are held, in memory, for a moment to see what comes with them.
A camera file always declares sound, so that a microphone may join at any time.
"""

from __future__ import annotations

from channel_recorder.errors import MalformedError, StorageError
from channel_recorder.model import Codec, EncodedFrame, MediaKind, User
from channel_recorder.recording.contract import RecordedTrack, StorageFailed
from channel_recorder.recording.lanes import PictureLane, SoundLane
from channel_recorder.recording.opening import SeriesPolicy, open_segment
from channel_recorder.recording.segment import Segment
from channel_recorder.storage.guard import is_final

SOUND_HOLD_SECONDS = 0.3
"""Silence that lasts is written so much behind the time, so that pictures need not wait for it."""
REPAIR_SECONDS = 3.5
"""Sound that breaks off may have been lost on the way: its place is kept so long for packets that come again (what the
network was cut for, the window of retransmission, and a round trip). Then it is silence."""
WAIT_FOR_CAMERA_SECONDS = 1.0
"""Sound of a user with a live camera waits so long for the first picture, to begin one file with it."""
WAIT_FOR_TRACK_SECONDS = 0.5
"""The same for a user without one: clients publish microphone and camera one after the other."""
WAIT_FOR_SOUND_SECONDS = 0.2
"""Pictures wait so long for sound, which may have begun a little earlier."""
REJOIN_SECONDS = 15.0
RETRY_SECONDS = 10.0
"""After the disk refused, the next file is tried so much later."""
HELD_FRAMES_LIMIT = 3000
"""A minute of sound, which is all that is held beside an open file. What is older is given up and counted."""
KEY_FRAME_RETRY_SECONDS = 1.0
CUT_BACK_SECONDS = 0.2
"""A next file begins so much before its first picture and what sound is behind at most: where the sound of the old
file ends."""


class FileSeries:
    """Files that follow one another. At most one is open, at most one track of each kind feeds it."""

    def __init__(self, user: User, policy: SeriesPolicy) -> None:
        self.user = user
        self._policy = policy
        self._segment: Segment | None = None
        self._held: list[EncodedFrame] = []
        """Frames for the next file: of every kind before the first one, sound only while one is open."""
        self._tracks: dict[MediaKind, RecordedTrack] = {}
        self._muted: set[str] = set()
        self._left_at: float | None = None
        self._retry_at = 0.0
        self._key_frame_asked_at = -KEY_FRAME_RETRY_SECONDS

    @property
    def is_idle(self) -> bool:
        """Nothing open, nothing held, nobody attached: can be forgotten."""
        return self._segment is None and not self._held and not self._tracks

    def track(self, kind: MediaKind) -> RecordedTrack | None:
        return self._tracks.get(kind)

    def attach(self, track: RecordedTrack) -> None:
        """A track feeds this series from now on, in place of another of its kind if there is one."""
        self._left_at = None
        before = self._tracks.get(track.kind)
        if before is not None:
            self._muted.discard(before.sid)
        self._tracks[track.kind] = track
        if track.muted:
            self._muted.add(track.sid)

    def detach(self, sid: str, at_seconds: float) -> None:
        """The track ended. A shared screen is over with its last track; a user is not."""
        for kind, track in tuple(self._tracks.items()):
            if track.sid == sid:
                del self._tracks[kind]
                self._muted.discard(sid)
                if self._policy.is_screen and not self._tracks:
                    self._left_at = at_seconds

    def mute(self, sid: str, muted: bool) -> None:
        (self._muted.add if muted else self._muted.discard)(sid)

    def leave(self, at_seconds: float) -> None:
        """The user left, with every track: the file waits for a return."""
        self._tracks.clear()
        if self._left_at is None:
            self._left_at = at_seconds

    def come_back(self) -> None:
        """The user is there again; a shared screen is when it has a track."""
        if not self._policy.is_screen:
            self._left_at = None

    # Frames

    def write_video(self, frame: EncodedFrame) -> None:
        """Hot path."""
        segment = self._segment
        if segment is None or self._held or segment.pictures is None or segment.pictures.codec is not frame.codec:
            self._begin_with_video(frame)
        else:
            self._put_video(segment, segment.pictures, frame)

    def write_audio(self, frame: EncodedFrame) -> None:
        """Hot path."""
        segment = self._segment
        if segment is None or segment.sound is None:
            self._hold_audio(frame)
            return
        try:
            segment.sound.write(frame)
        except StorageError as error:
            self._fail(segment, error, frame.time_seconds)

    def write(self, frame: EncodedFrame) -> None:
        """A frame of either kind."""
        (self.write_video if frame.codec.kind is MediaKind.VIDEO else self.write_audio)(frame)

    # Time

    def advance(self, now_seconds: float) -> None:
        self._open_if_ready(now_seconds)
        segment, left_at = self._segment, self._left_at
        if segment is not None:
            segment.advance(now_seconds)
        if segment is not None and segment.sound is not None:
            heard = now_seconds - self._sound_hold(segment.sound)
            self._fill_sound(segment, segment.sound, heard if left_at is None else min(heard, left_at))
        if left_at is not None and now_seconds >= left_at + REJOIN_SECONDS:
            self.close(left_at)
        elif self._held and self._segment is not None:
            self._ask_for_key_frame(now_seconds)

    def close(self, at_seconds: float) -> None:
        """Write what is held and close. The file ends where the presence ended."""
        if self._left_at is not None:
            at_seconds = min(at_seconds, self._left_at)
        self._close_segment(at_seconds)
        while self._held:  # twice if its pictures turn out to be none
            self._open_held()
            self._close_segment(at_seconds)

    def _sound_hold(self, sound: SoundLane) -> float:
        """How long the place of sound is kept."""
        return REPAIR_SECONDS if sound.is_flowing and self._is_live(MediaKind.AUDIO) else SOUND_HOLD_SECONDS

    # How a file begins

    def _begin_with_video(self, frame: EncodedFrame) -> None:
        """A picture that the open file, if there is one, cannot take; or one that held sound waits for."""
        segment = self._segment
        if segment is None:
            self._hold_video(frame)
        elif frame.key_frame and frame.time_seconds >= self._retry_at:
            self._next_file(segment, frame)
        elif segment.pictures is not None and segment.pictures.codec is frame.codec:
            self._put_video(segment, segment.pictures, frame)
        else:
            self._ask_for_key_frame(frame.time_seconds)

    def _put_video(self, segment: Segment, pictures: PictureLane, frame: EncodedFrame) -> None:
        try:
            pictures.write(frame)
        except StorageError as error:
            self._fail(segment, error, frame.time_seconds)

    def _hold_video(self, frame: EncodedFrame) -> None:
        if frame.time_seconds < self._retry_at:
            return
        if not frame.key_frame and not any(held.codec is frame.codec for held in self._held):
            self._ask_for_key_frame(frame.time_seconds)
            return
        self._hold(frame)
        self._open_if_ready(frame.time_seconds)

    def _hold_audio(self, frame: EncodedFrame) -> None:
        self._hold(frame)
        if self._segment is None:
            self._open_if_ready(frame.time_seconds)
        else:
            self._ask_for_key_frame(frame.time_seconds)

    def _hold(self, frame: EncodedFrame) -> None:
        if frame.time_seconds < self._retry_at or not self._tracks:
            return  # the disk refused a moment ago, or the user left
        self._held.append(frame)
        if len(self._held) > HELD_FRAMES_LIMIT:
            gone = self._held.pop(0)
            self._held[0].lost_packets += gone.lost_packets + 1

    def _open_if_ready(self, now_seconds: float) -> None:
        if self._segment is not None or not self._held:
            return
        waited = now_seconds - min(frame.time_seconds for frame in self._held)
        if waited >= self._longest_wait() or len(self._held) == HELD_FRAMES_LIMIT:
            self._open_held()

    def _longest_wait(self) -> float:
        """How long what is held waits for what may come."""
        kinds = {frame.codec.kind for frame in self._held}
        if MediaKind.VIDEO not in kinds:
            if not self._policy.may_have_video:
                return 0.0
            return WAIT_FOR_CAMERA_SECONDS if self._is_live(MediaKind.VIDEO) else WAIT_FOR_TRACK_SECONDS
        if MediaKind.AUDIO not in kinds and self._is_live(MediaKind.AUDIO):
            return WAIT_FOR_SOUND_SECONDS
        return 0.0

    def _is_live(self, kind: MediaKind) -> bool:
        track = self._tracks.get(kind)
        return track is not None and track.sid not in self._muted

    def _open_held(self) -> None:
        """The first file, or one after a failure: zero is the earliest frame."""
        held, self._held = self._held, []
        zero = min(frame.time_seconds for frame in held)
        first = next((frame for frame in held if frame.codec is not Codec.OPUS), None)
        sound = [frame for frame in held if frame.codec is Codec.OPUS]
        try:
            self._segment = self._open(first, self._declares_sound(first, bool(sound)), zero, codec_switch=False)
        except MalformedError:
            self._held = sound
            self._ask_for_key_frame(zero)
            return
        for frame in held if self._segment is not None else ():
            self.write(frame)

    def _next_file(self, old: Segment, key_frame: EncodedFrame) -> None:
        """Begin the next file with `key_frame`. The sound moves over with it, nothing lost or doubled."""
        held, self._held = self._held, []
        cut = key_frame.time_seconds
        zero = min((cut, *(frame.time_seconds for frame in held)))
        if old.sound is not None:
            # What was not heard yet goes to the new file, what was heard stays in the old one.
            earliest = cut - self._sound_hold(old.sound) - CUT_BACK_SECONDS
            zero = min(zero, max(old.sound.end_seconds, earliest))
        has_sound = self._declares_sound(key_frame, bool(held) or old.sound is not None)
        switch = old.pictures is not None and old.pictures.codec is not key_frame.codec
        try:
            segment = self._open(key_frame, has_sound, zero, codec_switch=switch)
        except MalformedError:
            self._ask_for_key_frame(cut)
            segment = None
        if segment is None:
            self._held = held
            return
        self._segment = segment
        try:
            old.cut(cut, zero)
        except StorageError as error:
            self._report_failure(old, error, cut)
        for frame in (*held, key_frame):
            self.write(frame)

    def _declares_sound(self, video: EncodedFrame | None, has_sound: bool) -> bool:
        if video is None or has_sound:
            return True
        if not self._policy.may_have_audio:
            return False
        return not self._policy.is_screen or MediaKind.AUDIO in self._tracks

    def _open(self, video: EncodedFrame | None, has_sound: bool, zero: float, *, codec_switch: bool) -> Segment | None:
        """None: the disk refused (`_retry_at` is set then). Raises `MalformedError` for a key frame that is none."""
        try:
            return open_segment(self.user, self._policy, video, has_sound, zero, codec_switch=codec_switch)
        except StorageError as error:
            self._retry_at = zero + RETRY_SECONDS
            self._policy.emit(StorageFailed(at_seconds=zero, name="", message=str(error), final=is_final(error)))
            return None

    # How a file ends

    def _close_segment(self, at_seconds: float) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        try:
            segment.close(at_seconds)
        except StorageError as error:
            self._report_failure(segment, error, at_seconds)

    def _fail(self, segment: Segment, error: StorageError, at_seconds: float) -> None:
        self._segment = None
        self._retry_at = at_seconds + RETRY_SECONDS
        self._report_failure(segment, error, at_seconds)

    def _report_failure(self, segment: Segment, error: StorageError, at_seconds: float) -> None:
        name, final = segment.info.name, is_final(error)
        self._policy.emit(StorageFailed(at_seconds=at_seconds, name=name, message=str(error), final=final))
        segment.abandon(at_seconds)

    def _fill_sound(self, segment: Segment, sound: SoundLane, until_seconds: float) -> None:
        try:
            sound.fill_to(until_seconds)
        except StorageError as error:
            self._fail(segment, error, until_seconds)

    def _ask_for_key_frame(self, now_seconds: float) -> None:
        track = self._tracks.get(MediaKind.VIDEO)
        if track is not None and now_seconds >= self._key_frame_asked_at + KEY_FRAME_RETRY_SECONDS:
            self._key_frame_asked_at = now_seconds
            self._policy.key_frame_wanted(track.sid)
