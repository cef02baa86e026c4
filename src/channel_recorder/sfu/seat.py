"""A member with all that it publishes and receives."""

from __future__ import annotations

from livekit.protocol import models

from channel_recorder.sfu.data import DataInlet
from channel_recorder.sfu.limits import Limits, RateLimit
from channel_recorder.sfu.media import MediaLink
from channel_recorder.sfu.member import Member
from channel_recorder.sfu.publishing import Publishing
from channel_recorder.sfu.subscribing import Subscriptions
from channel_recorder.sfu.tracks import PublishedTrack


class Seat:
    """From the join to the leave. What happens at it is the room's business."""

    def __init__(
        self, member: Member, media: MediaLink, *, auto_subscribe: bool, limits: Limits, now_seconds: float
    ) -> None:
        self.member = member
        self.media = media
        self.auto_subscribe = auto_subscribe
        self.publishing = Publishing(member.sid, member.identity, limits)
        self.subscriptions = Subscriptions(media, member.send, self._may_have, limits.subscriptions_per_member)
        self.subscriptions.allow(member.permission.can_subscribe, ())
        self.data = DataInlet(limits, now_seconds)
        self.requests = RateLimit(limits.requests_per_second, limits.request_burst, now_seconds)
        self.joined_seconds = now_seconds
        self.heard_seconds = now_seconds
        self.token_seconds = now_seconds
        """When the client got its newest token."""
        self.signal_lost_seconds: float | None = None
        self.media_closed_seconds: float | None = None
        self.is_active = False
        """It had a media connection."""
        self.has_left = False

    @property
    def identity(self) -> str:
        return self.member.identity

    @property
    def sid(self) -> str:
        return self.member.sid

    def info(self) -> models.ParticipantInfo:
        return self.member.info(self.publishing.tracks.values())

    def level(self) -> float | None:
        """Of the loudest sound since the last call; None for who publishes none."""
        levels = [track.incoming.take_level() for track in self.publishing.tracks.values() if _is_sound(track)]
        return max(levels, default=None)

    def _may_have(self, track: PublishedTrack) -> bool:
        """Recorders and agents may have everything, as on livekit-server."""
        return self.member.is_dependent or track.rules.allow(self.identity, self.sid, track.sid)


def _is_sound(track: PublishedTrack) -> bool:
    return track.info.type == models.TrackType.AUDIO and not track.info.muted
