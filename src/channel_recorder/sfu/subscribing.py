"""Which tracks one member gets, and how much of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.rtc.serve.contract import OutgoingTrack
from channel_recorder.sfu import responses
from channel_recorder.sfu.layers import HIGHEST_LAYER, wanted_layer
from channel_recorder.sfu.media import MediaLink
from channel_recorder.sfu.tracks import PublishedTrack


class _Subscription:
    """A track that is wanted. `outgoing` is None while the member may not have it."""

    __slots__ = ("disabled", "layer", "outgoing", "track")

    def __init__(self, track: PublishedTrack) -> None:
        self.track = track
        self.outgoing: OutgoingTrack | None = None
        self.layer = HIGHEST_LAYER
        self.disabled = False

    def apply(self) -> None:
        if self.outgoing is not None:
            self.outgoing.set_layer(self.layer)
            # Nothing of a muted track goes out, whatever its publisher's client does.
            self.outgoing.set_paused(self.disabled or self.track.info.muted)


class Subscriptions:
    def __init__(
        self,
        media: MediaLink,
        send: Callable[[pb.SignalResponse], None],
        may_have: Callable[[PublishedTrack], bool],
        limit: int,
    ) -> None:
        self._media = media
        self._send = send
        self._may_have = may_have
        """What the publisher of a track lets the member have."""
        self._limit = limit
        self._wanted: dict[str, _Subscription] = {}
        self._awaited: set[str] = set()
        """Sids of tracks that were announced to their publishers, and are wanted as soon as they come."""
        self._allowed = True

    def __contains__(self, track_sid: str) -> bool:
        """The track is being sent, or waits for its m-line."""
        subscription = self._wanted.get(track_sid)
        return subscription is not None and subscription.outgoing is not None

    @property
    def publisher_sids(self) -> set[str]:
        return {wanted.track.publisher_sid for wanted in self._wanted.values() if wanted.outgoing is not None}

    def allow(self, allowed: bool, tracks: Iterable[PublishedTrack]) -> None:
        """The member may subscribe at all (canSubscribe), or may not any more."""
        self._allowed = allowed
        for track in tracks:
            self.review(track)

    def expect(self, track_sid: str) -> None:
        """The track is announced only: it is wanted when it is there."""
        if len(self._awaited) < self._limit:
            self._awaited.add(track_sid)

    def expects(self, track_sid: str) -> bool:
        return track_sid in self._awaited

    def add(self, track: PublishedTrack) -> None:
        self._awaited.discard(track.sid)
        if track.sid in self._wanted:
            return
        if len(self._wanted) >= self._limit:
            self._send(responses.subscription_failed(track.sid, models.SubscriptionError.SE_UNKNOWN))
            return
        self._wanted[track.sid] = _Subscription(track)
        self.review(track)
        if self._allowed and not self._may_have(track):
            self._send(responses.subscription_permission(track.publisher_sid, track.sid, False))

    def drop(self, track_sid: str) -> bool:
        """True if there was such a track."""
        self._awaited.discard(track_sid)
        subscription = self._wanted.pop(track_sid, None)
        if subscription is None:
            return False
        self._stop(subscription)
        return True

    def review(self, track: PublishedTrack) -> bool:
        """What the member may have changed. True if it did for this track."""
        subscription = self._wanted.get(track.sid)
        if subscription is None:
            return False
        allowed = self._allowed and self._media.is_usable and self._may_have(track)
        if allowed == (subscription.outgoing is not None):
            return False
        if allowed:
            self._start(subscription)
        else:
            self._stop(subscription)
        return True

    def configure(self, settings: pb.UpdateTrackSettings) -> None:
        for sid in settings.track_sids:
            subscription = self._wanted.get(sid)
            if subscription is not None:
                subscription.disabled = settings.disabled or settings.quality == models.VideoQuality.OFF
                subscription.layer = wanted_layer(subscription.track.info, settings)
                subscription.apply()

    def apply(self, track_sid: str) -> None:
        """The track was muted or unmuted."""
        subscription = self._wanted.get(track_sid)
        if subscription is not None:
            subscription.apply()

    def clear(self) -> None:
        wanted, self._wanted = self._wanted, {}
        for subscription in wanted.values():
            self._stop(subscription)

    def _start(self, subscription: _Subscription) -> None:
        track = subscription.track
        subscription.outgoing = self._media.send_track(track.incoming, stream_id=track.stream_id, track_id=track.sid)
        subscription.apply()

    def _stop(self, subscription: _Subscription) -> None:
        outgoing, subscription.outgoing = subscription.outgoing, None
        if outgoing is not None:
            self._media.stop_track(outgoing)
