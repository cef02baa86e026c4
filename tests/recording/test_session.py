from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from channel_recorder.config import TriggerMode
from channel_recorder.errors import StateError
from channel_recorder.events import LeaveReason
from channel_recorder.handler import LeavePath, OfflineReason
from channel_recorder.model import ChannelProfile, Participant
from channel_recorder.recording.session import (
    REJOIN_GRACE_SECONDS,
    Action,
    EndSpan,
    Leave,
    Session,
    SessionState,
    StartSpan,
    UserCame,
    UserWent,
)

ALICE = Participant(sid="PA_a", identity="7")
BOB = Participant(sid="PA_b", identity="bob")
VIEWER = Participant(sid="PA_v", identity="9", can_publish=False)
OTHER_RECORDER = Participant(sid="PA_r", identity="rec", is_recorder=True)


def _session(
    *, live: bool = False, manual: bool = False, idle_limit_seconds: float = 300.0, now: float = 0.0
) -> Session:
    return Session(
        profile=ChannelProfile.LIVE_BROADCASTING if live else ChannelProfile.COMMUNICATION,
        trigger_mode=TriggerMode.MANUAL if manual else TriggerMode.AUTOMATIC,
        idle_limit_seconds=idle_limit_seconds,
        now=now,
    )


def test_recording_starts_when_somebody_comes():
    session = _session()
    assert session.state is SessionState.WAITING
    assert session.participant_joined(ALICE, 5.0) == [UserCame(participant=ALICE), StartSpan(number=0)]
    assert session.state is SessionState.RECORDING
    assert session.participant_joined(BOB, 6.0) == [UserCame(participant=BOB)]
    assert session.present == (ALICE, BOB)


def test_it_leaves_after_nobody_was_there_for_the_idle_limit():
    session = _session(idle_limit_seconds=10.0)
    session.participant_joined(ALICE, 5.0)
    assert session.next_timer() is None
    assert session.participant_left(ALICE, 50.0) == [UserWent(participant=ALICE, reason=OfflineReason.QUIT)]
    assert session.state is SessionState.IDLE
    assert session.next_timer() == 60.0
    assert session.handle_timer(59.9) == []
    assert session.handle_timer(60.0) == [EndSpan(), Leave(path=LeavePath.NOBODY_LEFT)]
    assert session.state is SessionState.LEAVING
    session.left(60.5)
    assert session.state is SessionState.ENDED
    assert session.leave_path is LeavePath.NOBODY_LEFT


def test_it_leaves_a_channel_to_which_nobody_ever_came_without_a_span():
    session = _session(idle_limit_seconds=10.0, now=100.0)
    assert session.next_timer() == 110.0
    assert session.handle_timer(110.0) == [Leave(path=LeavePath.NOBODY_LEFT)]


def test_who_comes_back_in_time_goes_on_in_the_same_span():
    session = _session(idle_limit_seconds=10.0)
    session.participant_joined(ALICE, 0.0)
    session.participant_left(ALICE, 20.0)
    back = Participant(sid="PA_a2", identity="7")
    assert session.participant_joined(back, 29.0) == [UserCame(participant=back)]
    assert session.next_timer() is None
    session.participant_left(back, 40.0)
    assert session.next_timer() == 50.0, "the countdown begins anew"


def test_a_dropped_user_is_told_from_one_who_quit():
    session = _session()
    session.participant_joined(ALICE, 0.0)
    went = session.participant_left(ALICE, 1.0, dropped=True)
    assert went == [UserWent(participant=ALICE, reason=OfflineReason.DROPPED)]


def test_the_late_good_bye_of_a_replaced_connection_means_nothing():
    session = _session()
    session.participant_joined(ALICE, 0.0)
    again = Participant(sid="PA_new", identity="7")
    assert session.participant_joined(again, 1.0) == []
    assert session.participant_left(ALICE, 2.0) == []
    assert session.present == (again,)


def test_another_recorder_is_nobody():
    session = _session(idle_limit_seconds=3.0)
    assert session.participant_joined(OTHER_RECORDER, 0.0) == []
    assert session.participant_left(OTHER_RECORDER, 1.0) == []
    assert session.handle_timer(3.0) == [Leave(path=LeavePath.NOBODY_LEFT)]


def test_in_communication_everybody_counts_even_who_may_not_publish():
    session = _session()
    assert session.participant_joined(VIEWER, 0.0) == [UserCame(participant=VIEWER), StartSpan(number=0)]


def test_in_a_live_broadcast_an_audience_alone_is_idle():
    session = _session(live=True, idle_limit_seconds=10.0)
    assert session.participant_joined(VIEWER, 1.0) == []
    assert session.state is SessionState.WAITING
    session.participant_joined(ALICE, 2.0)
    session.participant_left(ALICE, 30.0)
    assert session.state is SessionState.IDLE
    assert session.handle_timer(40.0)[-1] == Leave(path=LeavePath.NOBODY_LEFT)


def test_a_host_who_becomes_audience_goes_and_an_audience_that_becomes_host_comes():
    session = _session(live=True)
    session.participant_joined(ALICE, 0.0)
    audience = Participant(sid="PA_a", identity="7", can_publish=False)
    went = session.participant_updated(audience, 5.0)
    assert went == [UserWent(participant=ALICE, reason=OfflineReason.BECAME_AUDIENCE)]
    assert session.state is SessionState.IDLE
    assert session.participant_updated(ALICE, 6.0) == [UserCame(participant=ALICE)]
    assert session.state is SessionState.RECORDING
    assert session.participant_updated(Participant(sid="PA_a", identity="7", name="A"), 7.0) == []


def test_manual_mode_writes_between_start_and_stop_and_begins_new_files_each_time():
    session = _session(manual=True)
    assert session.participant_joined(ALICE, 0.0) == [UserCame(participant=ALICE)]
    assert session.state is SessionState.PAUSED
    assert session.start_service(1.0) == [StartSpan(number=0)]
    assert session.start_service(1.5) == []
    assert session.stop_service(2.0) == [EndSpan()]
    assert session.stop_service(2.5) == []
    assert session.state is SessionState.PAUSED
    assert session.start_service(3.0) == [StartSpan(number=1)]


def test_manual_mode_counts_idle_time_only_after_start_service():
    session = _session(manual=True, idle_limit_seconds=10.0)
    assert session.next_timer() is None
    assert session.handle_timer(1000.0) == []
    session.start_service(1000.0)
    assert session.state is SessionState.WAITING
    assert session.next_timer() == 1010.0
    session.stop_service(1005.0)
    assert session.next_timer() is None
    session.start_service(2000.0)
    assert session.handle_timer(2010.0) == [Leave(path=LeavePath.NOBODY_LEFT)]


def test_manual_mode_with_nobody_there_begins_its_files_with_the_first_user():
    session = _session(manual=True)
    assert session.start_service(1.0) == []
    assert session.participant_joined(ALICE, 2.0) == [UserCame(participant=ALICE), StartSpan(number=0)]


def test_an_automatic_recording_cannot_be_paused():
    session = _session()
    with pytest.raises(StateError, match="start_service needs trigger_mode manual"):
        session.start_service(0.0)
    with pytest.raises(StateError, match="can't be paused"):
        session.stop_service(0.0)


def test_nothing_can_be_started_after_leaving():
    session = _session(manual=True)
    session.leave(LeavePath.CLIENT_INITIATED, 1.0)
    with pytest.raises(StateError, match="has left its channel"):
        session.start_service(2.0)


@pytest.mark.parametrize("path", [LeavePath.SIGNAL, LeavePath.CLIENT_INITIATED, LeavePath.CONNECTION_FAILED])
def test_leaving_closes_the_files_and_says_why_once(path: LeavePath):
    session = _session()
    session.participant_joined(ALICE, 0.0)
    assert session.leave(path, 1.0) == [EndSpan(), Leave(path=path)]
    assert session.leave(LeavePath.SIGNAL, 2.0) == []
    assert session.participant_joined(BOB, 3.0) == []
    assert session.participant_left(ALICE, 3.0) == []
    assert session.connection_lost(4.0) == []
    assert session.next_timer() is None
    assert session.handle_timer(1e9) == []
    assert session.leave_path is path


def test_a_room_the_server_closed_behind_the_last_user_is_a_normal_end():
    session = _session()
    session.participant_joined(ALICE, 0.0)
    session.participant_left(ALICE, 1.0)
    actions = session.channel_ended(LeaveReason.ROOM_CLOSED, 21.0)
    assert actions == [EndSpan(), Leave(path=LeavePath.CHANNEL_ENDED | LeavePath.NOBODY_LEFT)]


def test_a_recorder_that_was_removed_leaves():
    session = _session()
    session.participant_joined(ALICE, 0.0)
    actions = session.channel_ended(LeaveReason.PARTICIPANT_REMOVED, 1.0)
    assert actions[-1] == Leave(path=LeavePath.CHANNEL_ENDED)


def test_while_the_connection_is_lost_nobody_goes_and_no_idle_time_counts():
    session = _session(idle_limit_seconds=10.0)
    session.participant_joined(ALICE, 0.0)
    session.participant_left(ALICE, 20.0)
    session.connection_lost(26.0)
    assert session.next_timer() is None
    assert session.handle_timer(600.0) == []
    session.connection_regained(1000.0)
    session.handle_timer(1000.0 + REJOIN_GRACE_SECONDS)
    assert session.next_timer() == 1004.0, "6 of 10 seconds had passed before"
    assert session.handle_timer(1004.0)[-1] == Leave(path=LeavePath.NOBODY_LEFT)


def test_after_a_rejoin_who_is_not_announced_again_was_dropped():
    session = _session()
    session.participant_joined(ALICE, 0.0)
    session.participant_joined(BOB, 0.0)
    session.connection_lost(10.0)
    session.connection_regained(15.0)
    assert session.participant_joined(ALICE, 15.1) == []
    assert session.next_timer() == 15.0 + REJOIN_GRACE_SECONDS
    went = session.handle_timer(15.0 + REJOIN_GRACE_SECONDS)
    assert went == [UserWent(participant=BOB, reason=OfflineReason.DROPPED)]
    assert session.present == (ALICE,)
    assert session.state is SessionState.RECORDING


def test_a_connection_lost_again_before_everybody_was_announced_drops_nobody():
    session = _session()
    session.participant_joined(ALICE, 0.0)
    session.connection_lost(10.0)
    session.connection_regained(15.0)
    session.connection_lost(15.5)
    assert session.handle_timer(60.0) == []
    session.connection_regained(70.0)
    session.participant_joined(ALICE, 70.1)
    assert session.handle_timer(80.0) == []
    assert session.present == (ALICE,)


class SessionMachine(RuleBasedStateMachine):
    """Any order of inputs: the spans alternate, users come before they go, idle time is what really was idle."""

    @initialize(live=st.booleans(), manual=st.booleans(), limit=st.integers(3, 20))
    def join(self, live: bool, manual: bool, limit: int) -> None:
        self.now = 0.0
        self.live, self.manual, self.limit = live, manual, limit
        self.session = _session(live=live, manual=manual, idle_limit_seconds=limit)
        self.serving = not manual
        self.span_open = False
        self.spans = 0
        self.there: dict[str, Participant] = {}
        self.connected = True
        self.idle_seconds = 0.0
        self.leave_path: LeavePath | None = None
        self.grace_until: float | None = None

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            assert self.leave_path is None, "nothing comes after Leave"
            match action:
                case UserCame(participant=who):
                    assert who.identity not in self.there
                    self.there[who.identity] = who
                case UserWent(participant=who):
                    assert self.there.pop(who.identity).identity == who.identity
                case StartSpan(number=number):
                    assert not self.span_open
                    assert number == self.spans
                    assert self.serving
                    assert self.there
                    self.span_open, self.spans = True, self.spans + 1
                case EndSpan():
                    assert self.span_open
                    self.span_open = False
                case Leave(path=path):
                    assert not self.span_open
                    self.leave_path = path
        if self.there or not self.serving:
            self.idle_seconds = 0.0

    @rule(who=st.sampled_from("abc"), sid=st.integers(0, 2), host=st.booleans(), recorder=st.booleans())
    def somebody_joins_or_changes(self, who: str, sid: int, host: bool, recorder: bool) -> None:
        person = Participant(sid=f"PA_{who}{sid}", identity=who, can_publish=host, is_recorder=recorder)
        counts = not recorder and (host or not self.live)
        left = self.leave_path is not None
        self._carry_out(self.session.participant_updated(person, self.now))
        assert left or (who in self.there) == counts

    @rule(who=st.sampled_from("abc"), sid=st.integers(0, 2), dropped=st.booleans())
    def somebody_leaves(self, who: str, sid: int, dropped: bool) -> None:
        person = Participant(sid=f"PA_{who}{sid}", identity=who)
        self._carry_out(self.session.participant_left(person, self.now, dropped=dropped))

    @rule(start=st.booleans())
    def service(self, start: bool) -> None:
        call = self.session.start_service if start else self.session.stop_service
        if self.leave_path is not None or not self.manual:
            with pytest.raises(StateError):
                call(self.now)
            return
        self.serving = start
        self._carry_out(call(self.now))

    @rule()
    def connection_changes(self) -> None:
        if self.leave_path is not None:
            return
        self.connected = not self.connected
        if self.connected:
            self.grace_until = self.now + REJOIN_GRACE_SECONDS
            self._carry_out(self.session.connection_regained(self.now))
        else:
            self.grace_until = None
            self._carry_out(self.session.connection_lost(self.now))

    @rule(seconds=st.floats(0.0, 15.0))
    def time_passes(self, seconds: float) -> None:
        """Timers are served when they are due, as the driver does it."""
        until = self.now + seconds
        while True:
            timer = self.session.next_timer()
            step = until if timer is None else min(max(timer, self.now), until)
            if self.connected and self.serving and not self.there and self.leave_path is None:
                self.idle_seconds += step - self.now
            self.now = step
            self._carry_out(self.session.handle_timer(self.now))
            if timer is None or timer > until or self.leave_path is not None:
                self.now = until
                return

    @rule(path=st.sampled_from([LeavePath.SIGNAL, LeavePath.CLIENT_INITIATED]))
    @precondition(lambda self: self.now > 30.0)
    def leave(self, path: LeavePath) -> None:
        left = self.leave_path is not None
        self._carry_out(self.session.leave(path, self.now))
        assert left or self.leave_path is path

    @invariant()
    def it_is_where_the_rules_say(self) -> None:
        if not hasattr(self, "session"):
            return
        state = self.session.state
        if self.leave_path is not None:
            assert state is SessionState.LEAVING
        elif not self.serving:
            assert state is SessionState.PAUSED
        elif self.there:
            assert state is SessionState.RECORDING
            assert self.span_open
        else:
            assert state is (SessionState.IDLE if self.span_open else SessionState.WAITING)

    @invariant()
    def it_leaves_when_idle_for_the_limit_and_not_before(self) -> None:
        if not hasattr(self, "session"):
            return
        if self.leave_path is LeavePath.NOBODY_LEFT:
            assert self.idle_seconds == pytest.approx(self.limit, abs=1e-6)
        elif self.leave_path is None:
            assert self.idle_seconds <= self.limit + 1e-6


TestSession = SessionMachine.TestCase
TestSession.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)
