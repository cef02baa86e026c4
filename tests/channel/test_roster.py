"""Who is there, told as differences in the documented order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from livekit.protocol import models

from channel_recorder.channel.roster import Roster, RosterEvent
from channel_recorder.events import (
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    TrackPublished,
    TrackUnpublished,
    TrackUpdated,
)
from tests.channel.server_side import OWN_IDENTITY, OWN_SID, audio, gone, member, video


def roster_with(*members: models.ParticipantInfo) -> Roster:
    roster = Roster(OWN_SID, OWN_IDENTITY)
    list(roster.update(members))
    return roster


def names(events: list[RosterEvent]) -> list[tuple[str, str]]:
    return [
        (type(event).__name__, event.track.sid if isinstance(event, Tracked) else event.participant.identity)
        for event in events
    ]


Tracked = TrackPublished | TrackUpdated | TrackUnpublished


def test_a_member_joins_before_its_tracks_are_published() -> None:
    told = list(Roster(OWN_SID, OWN_IDENTITY).update([member("alice", video("TR_v"), audio("TR_a")), member("bob")]))
    assert names(told) == [
        ("ParticipantJoined", "alice"),
        ("TrackPublished", "TR_v"),
        ("TrackPublished", "TR_a"),
        ("ParticipantJoined", "bob"),
    ]
    assert isinstance(told[0], ParticipantJoined)
    assert list(told[0].participant.tracks) == ["TR_v", "TR_a"]


def test_a_leaving_member_unpublishes_first() -> None:
    roster = roster_with(member("alice", video("TR_v"), audio("TR_a")))
    told = list(roster.update([gone("alice")]))
    assert names(told) == [
        ("TrackUnpublished", "TR_v"),
        ("TrackUnpublished", "TR_a"),
        ("ParticipantLeft", "alice"),
    ]
    assert isinstance(told[-1], ParticipantLeft)
    assert (told[-1].dropped, told[-1].participant.tracks) == (False, {})
    assert list(roster.update([gone("alice")])) == []


def test_a_dropped_member_is_told_from_one_that_left() -> None:
    lost = models.DisconnectReason.CONNECTION_TIMEOUT
    (left,) = roster_with(member("alice")).update([gone("alice", disconnect_reason=lost)])
    assert isinstance(left, ParticipantLeft)
    assert left.dropped


def test_mute_resize_and_codec_are_updates_of_the_track() -> None:
    roster = roster_with(member("alice", video("TR_v", width=640), audio("TR_a")))
    changed = member("alice", video("TR_v", width=320), audio("TR_a", muted=True), version=2)
    first, second = roster.update([changed])
    assert isinstance(first, TrackUpdated)
    assert (first.previous.width, first.track.width) == (640, 320)
    assert isinstance(second, TrackUpdated)
    assert (second.previous.muted, second.track.muted) == (False, True)
    assert second.participant.tracks["TR_a"].muted


def test_what_is_unpublished_is_told_before_what_takes_its_place() -> None:
    roster = roster_with(member("alice", video("TR_1"), audio("TR_a")))
    told = list(roster.update([member("alice", video("TR_2"), audio("TR_a"), version=2, metadata="new")]))
    assert names(told) == [
        ("ParticipantUpdated", "alice"),
        ("TrackUnpublished", "TR_1"),
        ("TrackPublished", "TR_2"),
    ]


def test_a_host_that_becomes_audience_is_updated() -> None:
    roster = roster_with(member("alice", permission=models.ParticipantPermission(can_publish=True)))
    audience = member("alice", version=2, permission=models.ParticipantPermission(can_publish=False))
    (told,) = roster.update([audience])
    assert isinstance(told, ParticipantUpdated)
    assert not told.participant.can_publish


def test_the_same_again_is_no_news() -> None:
    info = member("alice", video("TR_v"), attributes={"a": "b"})
    assert list(roster_with(info).update([info])) == []


def test_a_stale_update_is_ignored_and_counted() -> None:
    roster = roster_with(member("alice", audio("TR_a"), version=5))
    assert list(roster.update([member("alice", version=4), gone("alice", version=4)])) == []
    assert roster.stale_updates == 2


def test_an_update_that_comes_after_the_good_bye_brings_nobody_back() -> None:
    roster = roster_with(member("alice"))
    list(roster.update([gone("alice")]))
    assert list(roster.update([member("alice", audio("TR_a"), version=100)])) == []
    assert roster.stale_updates == 1


def test_a_user_that_returns_under_a_new_sid_left_first() -> None:
    roster = roster_with(member("alice", audio("TR_1")))
    told = list(roster.update([member("alice", audio("TR_2"), sid="PA_new", version=0)]))
    assert names(told) == [
        ("TrackUnpublished", "TR_1"),
        ("ParticipantLeft", "alice"),
        ("ParticipantJoined", "alice"),
        ("TrackPublished", "TR_2"),
    ]
    assert isinstance(told[1], ParticipantLeft)
    assert told[1].dropped
    assert list(roster.update([gone("alice")])) == [], "the old session's good-bye comes late"
    assert roster.identity_of("PA_new") == "alice"


def test_we_ourselves_are_not_told() -> None:
    own = [member(OWN_IDENTITY, audio("TR_o")), member("other", sid=OWN_SID)]
    assert list(Roster(OWN_SID, OWN_IDENTITY).update(own)) == []


def test_one_that_was_never_there_does_not_leave() -> None:
    assert list(Roster(OWN_SID, OWN_IDENTITY).update([gone("ghost")])) == []


def test_a_mute_that_names_a_track_updates_it_once() -> None:
    roster = roster_with(member("alice", audio("TR_a")))
    (told,) = roster.set_muted("TR_a", True)
    assert isinstance(told, TrackUpdated)
    assert told.track.muted
    assert list(roster.set_muted("TR_a", True)) == []
    assert list(roster.set_muted("TR_unknown", True)) == []
    assert list(roster.update([member("alice", audio("TR_a", muted=True), version=2)])) == []


def test_a_track_that_is_gone_is_remembered() -> None:
    roster = roster_with(member("alice", audio("TR_a")))
    assert roster.has_heard_of("TR_a")
    assert not roster.has_heard_of("TR_b")
    list(roster.update([gone("alice")]))
    assert roster.has_heard_of("TR_a")


def _info(
    identity: str, session: int, version: int, tracks: set[str], muted: bool, leaves: bool
) -> models.ParticipantInfo:
    sid = f"PA_{identity}{session}"
    if leaves:
        return gone(identity, sid=sid, version=version)
    return member(identity, *(audio(track, muted=muted) for track in tracks), sid=sid, version=version)


MEMBERS = st.builds(
    _info,
    identity=st.sampled_from(["a", "b"]),
    session=st.integers(0, 2),
    version=st.integers(0, 4),
    tracks=st.sets(st.sampled_from(["TR_1", "TR_2", "TR_3"])),
    muted=st.booleans(),
    leaves=st.booleans(),
)


@given(st.lists(MEMBERS))
@settings(deadline=None)
def test_in_any_order_of_updates_the_story_is_consistent(updates: list[models.ParticipantInfo]) -> None:
    """Nobody leaves who is not there, no track of nobody, and the end is what the roster holds."""
    roster = Roster(OWN_SID, OWN_IDENTITY)
    present: dict[str, dict[str, bool]] = {}
    for info in updates:
        for event in roster.update([info]):
            identity = event.participant.identity
            match event:
                case ParticipantJoined():
                    assert identity not in present
                    present[identity] = {}
                case ParticipantLeft():
                    assert present.pop(identity) == {}
                case TrackPublished(track=track):
                    assert track.sid not in present[identity]
                    present[identity][track.sid] = track.muted
                case TrackUpdated(track=track, previous=previous):
                    assert present[identity][track.sid] == previous.muted != track.muted
                    present[identity][track.sid] = track.muted
                case TrackUnpublished(track=track):
                    assert present[identity].pop(track.sid) == track.muted
                case ParticipantUpdated():
                    assert identity in present
    assert {identity for identity in "ab" if roster.identity_of(_sid_of(roster, identity))} == set(present)


def _sid_of(roster: Roster, identity: str) -> str:
    return next((f"PA_{identity}{n}" for n in range(3) if roster.identity_of(f"PA_{identity}{n}")), "")
