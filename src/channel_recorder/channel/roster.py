"""Who is there: the server's participant lists compared with what was known, told as differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from livekit.protocol import models as pb

from channel_recorder.events import (
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    TrackPublished,
    TrackUnpublished,
    TrackUpdated,
)
from channel_recorder.model import Participant, Track
from channel_recorder.protocol.messages import has_left, participant_from, was_dropped

RosterEvent = (
    ParticipantJoined | ParticipantUpdated | ParticipantLeft | TrackPublished | TrackUpdated | TrackUnpublished
)

_REMEMBERED_SIDS = 4096
"""Of participants and tracks that are gone: updates about them may still be under way."""


class _Member:
    """A participant as last told, and the version of that telling."""

    __slots__ = ("participant", "version")

    def __init__(self, participant: Participant, version: int) -> None:
        self.participant = participant
        self.version = version


class Roster:
    """Everybody in the room but ourselves, by identity."""

    def __init__(self, own_sid: str, own_identity: str) -> None:
        self._own_sid = own_sid
        self._own_identity = own_identity
        self._members: dict[str, _Member] = {}
        self._gone: dict[str, None] = {}
        self.stale_updates = 0

    def update(self, infos: Iterable[pb.ParticipantInfo]) -> Iterator[RosterEvent]:
        """The differences, in the order that `channel_recorder.events` promises."""
        for info in infos:
            participant = participant_from(info)
            if participant is not None and not self._is_own(participant):
                yield from self._update(participant, info)

    def set_muted(self, track_sid: str, muted: bool) -> Iterator[RosterEvent]:
        for member in self._members.values():
            track = member.participant.tracks.get(track_sid)
            if track is not None and track.muted != muted:
                changed = replace(track, muted=muted)
                tracks = {**member.participant.tracks, track_sid: changed}
                member.participant = replace(member.participant, tracks=tracks)
                yield TrackUpdated(participant=member.participant, track=changed, previous=track)

    def identity_of(self, participant_sid: str) -> str | None:
        for identity, member in self._members.items():
            if member.participant.sid == participant_sid:
                return identity
        return None

    def has_heard_of(self, track_sid: str) -> bool:
        """The track was announced, be it gone by now."""
        return track_sid in self._gone or any(track_sid in m.participant.tracks for m in self._members.values())

    def _is_own(self, participant: Participant) -> bool:
        return participant.sid == self._own_sid or participant.identity == self._own_identity

    def _update(self, participant: Participant, info: pb.ParticipantInfo) -> Iterator[RosterEvent]:
        if participant.sid in self._gone:
            self.stale_updates += 1
            return
        member = self._members.get(participant.identity)
        if member is None or member.participant.sid != participant.sid:
            yield from self._appear(participant, info)
        elif info.version < member.version:
            self.stale_updates += 1
        elif has_left(info):
            yield from self._leave(participant.identity, dropped=was_dropped(info))
        else:
            member.version = info.version
            yield from self._change(member, participant)

    def _appear(self, participant: Participant, info: pb.ParticipantInfo) -> Iterator[RosterEvent]:
        if has_left(info):
            return
        # A new sid under a known identity: the same user came back, and the server never tells of the old one.
        if participant.identity in self._members:
            yield from self._leave(participant.identity, dropped=True)
        self._members[participant.identity] = _Member(participant, info.version)
        yield ParticipantJoined(participant=participant)
        for track in participant.tracks.values():
            yield TrackPublished(participant=participant, track=track)

    def _leave(self, identity: str, *, dropped: bool) -> Iterator[RosterEvent]:
        participant = self._members.pop(identity).participant
        bare = replace(participant, tracks={})
        for track in participant.tracks.values():
            yield self._unpublish(bare, track)
        self._remember(participant.sid)
        yield ParticipantLeft(participant=bare, dropped=dropped)

    def _change(self, member: _Member, participant: Participant) -> Iterator[RosterEvent]:
        previous, member.participant = member.participant, participant
        if replace(previous, tracks=participant.tracks) != participant:
            yield ParticipantUpdated(participant=participant)
        for sid, track in previous.tracks.items():
            if sid not in participant.tracks:
                yield self._unpublish(participant, track)
        for sid, track in participant.tracks.items():
            before = previous.tracks.get(sid)
            if before is None:
                yield TrackPublished(participant=participant, track=track)
            elif before != track:
                yield TrackUpdated(participant=participant, track=track, previous=before)

    def _unpublish(self, participant: Participant, track: Track) -> TrackUnpublished:
        self._remember(track.sid)
        return TrackUnpublished(participant=participant, track=track)

    def _remember(self, sid: str) -> None:
        self._gone[sid] = None
        if len(self._gone) > _REMEMBERED_SIDS:
            del self._gone[next(iter(self._gone))]
