"""What one member publishes: announced by AddTrack, offered as an m-line, and put together here, in either order."""

from __future__ import annotations

from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.model import MediaKind
from channel_recorder.rtc.serve.contract import IncomingTrack, PublishOptions
from channel_recorder.sfu.limits import Limits
from channel_recorder.sfu.permissions import may_publish
from channel_recorder.sfu.subscription_rules import SubscriptionRules
from channel_recorder.sfu.tracks import PublishedTrack, describe_media, describe_track, kind_of, publish_options

FALLBACK_SECONDS = 1.0
"""How long an m-line waits for an AddTrack that names it, before it is taken for the first one announced of its kind.
Browsers send AddTrack and offer in parallel; some name their m-lines otherwise than their tracks."""
ANNOUNCED_SECONDS = 60.0
"""How long an announced track may do without m-line."""
MAX_REFUSED = 64
_NOT_ACCEPTED = PublishOptions(accepted=False)


class TrackRefusedError(Exception):
    def __init__(self, reason: pb.RequestResponse.Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class _Announced:
    """An AddTrack without m-line."""

    __slots__ = ("cids", "info", "kind", "options", "since_seconds")

    def __init__(self, request: pb.AddTrackRequest, kind: MediaKind, now_seconds: float) -> None:
        self.cids = {request.cid} | {codec.cid for codec in request.simulcast_codecs if codec.cid}
        self.info = describe_track(request)
        self.options = publish_options(request)
        self.kind = kind
        self.since_seconds = now_seconds


class _Offered:
    """An m-line without AddTrack."""

    __slots__ = ("since_seconds", "track")

    def __init__(self, track: IncomingTrack, now_seconds: float) -> None:
        self.track = track
        self.since_seconds = now_seconds


class Publishing:
    def __init__(self, sid: str, identity: str, limits: Limits) -> None:
        self.tracks: dict[str, PublishedTrack] = {}
        """By track sid."""
        self.rules = SubscriptionRules()
        self._sid = sid
        self._identity = identity
        self._limits = limits
        self._announced: list[_Announced] = []
        self._offered: list[_Offered] = []
        self._refused: dict[str, None] = {}
        """Client track ids whose m-lines are not accepted."""

    def announce(
        self, request: pb.AddTrackRequest, permission: models.ParticipantPermission, now_seconds: float
    ) -> models.TrackInfo:
        """Raises TrackRefusedError."""
        for known in self._announced:
            if request.cid in known.cids and request.type == known.info.type:
                return known.info
        try:
            kind = self._check(request, permission)
        except TrackRefusedError:
            self._refuse(request.cid)
            raise
        announced = _Announced(request, kind, now_seconds)
        for cid in announced.cids:
            self._refused.pop(cid, None)
        self._announced.append(announced)
        return announced.info

    def options(self, kind: MediaKind, track_id: str, permission: models.ParticipantPermission) -> PublishOptions:
        """How an offered m-line is answered."""
        if not permission.can_publish:
            return _NOT_ACCEPTED
        # First what is new: who publishes a camera again names it as before.
        for announced in self._announced:
            if track_id in announced.cids and announced.kind is kind:
                return announced.options
        for track in self.tracks.values():
            if track.incoming.media.track_id == track_id and track.kind is kind:
                return track.options
        if track_id in self._refused:
            return _NOT_ACCEPTED
        if self._is_full():
            return _NOT_ACCEPTED
        return next((announced.options for announced in self._announced if announced.kind is kind), PublishOptions())

    def offer(self, track: IncomingTrack, now_seconds: float) -> None:
        """An m-line carries a track from now on."""
        self._offered.append(_Offered(track, now_seconds))

    def match(self, now_seconds: float) -> list[PublishedTrack]:
        """The tracks that are published now, because both their parts are there."""
        published: list[PublishedTrack] = []
        for offered in tuple(self._offered):
            announced = self._announcement_of(offered, now_seconds)
            if announced is not None:
                self._announced.remove(announced)
                self._offered.remove(offered)
                published.append(self._publish(announced, offered.track))
        return published

    def end(self, incoming: IncomingTrack) -> PublishedTrack | None:
        """The m-line is gone. None if it carried nothing that was published."""
        self._offered = [offered for offered in self._offered if offered.track is not incoming]
        for track in self.tracks.values():
            if track.incoming is incoming:
                return self.tracks.pop(track.sid)
        return None

    def withdraw_forbidden(self, permission: models.ParticipantPermission) -> list[PublishedTrack]:
        """Takes away what the member may not publish any more."""
        forbidden = [track for track in self.tracks.values() if not may_publish(permission, track.info.source)]
        for track in forbidden:
            del self.tracks[track.sid]
            self._refuse(track.incoming.media.track_id)
        self._announced = [known for known in self._announced if may_publish(permission, known.info.source)]
        return forbidden

    def expire(self, now_seconds: float) -> list[str]:
        """Sids of announced tracks that never came."""
        too_old = [known for known in self._announced if now_seconds - known.since_seconds > ANNOUNCED_SECONDS]
        for announced in too_old:
            self._announced.remove(announced)
        return [announced.info.sid for announced in too_old]

    def description(self, sid: str) -> models.TrackInfo | None:
        """Of a track published or announced."""
        track = self.tracks.get(sid)
        if track is not None:
            return track.info
        return next((announced.info for announced in self._announced if announced.info.sid == sid), None)

    def clear(self) -> None:
        self.tracks.clear()
        self._announced.clear()
        self._offered.clear()

    def _check(self, request: pb.AddTrackRequest, permission: models.ParticipantPermission) -> MediaKind:
        reasons = pb.RequestResponse
        kind = kind_of(request.type)
        longest = self._limits.name_characters
        if kind is None or request.sid:
            raise TrackRefusedError(reasons.UNSUPPORTED_TYPE, "this server takes sound and pictures, in one codec each")
        if not may_publish(permission, request.source):
            raise TrackRefusedError(reasons.NOT_ALLOWED, "does not have permission to publish this")
        if not request.cid:
            raise TrackRefusedError(reasons.INVALID_REQUEST, "the track has no client id")
        if max(len(request.cid), len(request.name), len(request.stream)) > longest:
            raise TrackRefusedError(reasons.LIMIT_EXCEEDED, f"names are limited to {longest} characters")
        if self._is_full():
            raise TrackRefusedError(reasons.LIMIT_EXCEEDED, f"{self._limits.tracks_per_member} tracks are the limit")
        return kind

    def _is_full(self) -> bool:
        return max(len(self._announced), len(self._offered)) + len(self.tracks) >= self._limits.tracks_per_member

    def _refuse(self, track_id: str) -> None:
        if not track_id or len(track_id) > self._limits.name_characters:
            return
        self._offered = [offered for offered in self._offered if offered.track.media.track_id != track_id]
        self._refused[track_id] = None
        if len(self._refused) > MAX_REFUSED:
            del self._refused[next(iter(self._refused))]

    def _announcement_of(self, offered: _Offered, now_seconds: float) -> _Announced | None:
        media = offered.track.media
        candidates = [known for known in self._announced if known.kind is media.kind]
        for announced in candidates:
            if media.track_id in announced.cids:
                return announced
        if media.track_id and now_seconds - offered.since_seconds < FALLBACK_SECONDS:
            return None
        named = {other.track.media.track_id for other in self._offered}
        return next((known for known in candidates if known.cids.isdisjoint(named)), None)

    def _publish(self, announced: _Announced, incoming: IncomingTrack) -> PublishedTrack:
        describe_media(announced.info, incoming.media)
        track = PublishedTrack(self._sid, self._identity, announced.info, announced.options, incoming, self.rules)
        self.tracks[track.sid] = track
        return track
