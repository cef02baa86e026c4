"""One recording from join to end: who counts as present, when files are written, when to leave. Sans-IO.

Every input returns the actions that follow, to be carried out in order before the next input:

    actions = session.participant_joined(participant, now)     # in
    actions = session.handle_timer(now)                        # at session.next_timer()

The rules are the two tables below. All times are seconds of the monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from channel_recorder.config import TriggerMode
from channel_recorder.errors import StateError
from channel_recorder.events import LeaveReason
from channel_recorder.handler import LeavePath, OfflineReason
from channel_recorder.model import ChannelProfile, Participant

REJOIN_GRACE_SECONDS = 1.0
"""After a rejoin the channel announces everybody again; who is not among them by then has gone."""


class SessionState(Enum):
    PAUSED = "paused"
    """Manual mode, before start_service and after stop_service."""
    WAITING = "waiting"
    """Nobody was there yet, nothing is written."""
    RECORDING = "recording"
    IDLE = "idle"
    """Nobody is there any more; files wait for a return."""
    LEAVING = "leaving"
    ENDED = "ended"


_STATES = {
    # (service on, span open, somebody there)
    (False, False, False): SessionState.PAUSED,
    (False, False, True): SessionState.PAUSED,
    (True, False, False): SessionState.WAITING,
    (True, False, True): SessionState.RECORDING,
    (True, True, True): SessionState.RECORDING,
    (True, True, False): SessionState.IDLE,
}


@dataclass(frozen=True, slots=True)
class _Rule:
    span: bool | None
    """A span of files is open: yes, no, or as it is."""
    counts_idle: bool
    """Time in this state counts towards the idle limit, while connected."""
    is_joined: bool = True


_RULES = {
    SessionState.PAUSED: _Rule(span=False, counts_idle=False),
    SessionState.WAITING: _Rule(span=None, counts_idle=True),
    SessionState.RECORDING: _Rule(span=True, counts_idle=False),
    SessionState.IDLE: _Rule(span=None, counts_idle=True),
    SessionState.LEAVING: _Rule(span=False, counts_idle=False, is_joined=False),
    SessionState.ENDED: _Rule(span=False, counts_idle=False, is_joined=False),
}

_COUNTS_AS_PRESENT: dict[ChannelProfile, Callable[[Participant], bool]] = {
    # Who sends nothing, or is muted, is there as well. Another recorder never is.
    ChannelProfile.COMMUNICATION: lambda participant: not participant.is_recorder,
    ChannelProfile.LIVE_BROADCASTING: lambda participant: not participant.is_recorder and participant.can_publish,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCame:
    """Somebody who counts is there: classic onUserJoined."""

    participant: Participant


@dataclass(frozen=True, slots=True, kw_only=True)
class UserWent:
    """Classic onUserOffline."""

    participant: Participant
    reason: OfflineReason


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSpan:
    """Files are written from now on. The first span names the directory; every span begins new files."""

    number: int
    """From 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSpan:
    """Close all files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Leave the channel, finish the recording, then call `Session.left`."""

    path: LeavePath


Action = UserCame | UserWent | StartSpan | EndSpan | Leave


class Session:
    """Begins when the channel was joined."""

    def __init__(
        self, *, profile: ChannelProfile, trigger_mode: TriggerMode, idle_limit_seconds: float, now: float
    ) -> None:
        self._counts = _COUNTS_AS_PRESENT[profile]
        self._is_manual = trigger_mode is TriggerMode.MANUAL
        self._idle_limit_seconds = idle_limit_seconds
        self._serving = not self._is_manual
        self._present: dict[str, Participant] = {}
        """Who counts, by identity."""
        self._unconfirmed: set[str] = set()
        """Were there before the connection was lost, and not announced again so far."""
        self._confirm_until: float | None = None
        self._connected = True
        self._idle_before = 0.0
        """Idle seconds up to the last interruption of the connection."""
        self._idle_since: float | None = None
        self._span_open = False
        self._spans = 0
        self.leave_path: LeavePath | None = None
        """Why it ends, once it does."""
        self.state = SessionState.PAUSED
        self._enter(self._due_state(), now)

    @property
    def present(self) -> tuple[Participant, ...]:
        """Who counts, in the order they came."""
        return tuple(self._present.values())

    # Who is there

    def participant_joined(self, participant: Participant, now: float) -> list[Action]:
        """Also for those who were there before us, and again for everybody after a rejoin."""
        return self._update(participant, now)

    def participant_updated(self, participant: Participant, now: float) -> list[Action]:
        """The permission to publish may have changed, which makes an audience of a host or the reverse."""
        return self._update(participant, now)

    def participant_left(self, participant: Participant, now: float, *, dropped: bool = False) -> list[Action]:
        """`dropped`: without a good-bye. Of one who came back under a new sid in between, it means nothing."""
        present = self._present.get(participant.identity)
        if not self._is_joined or present is None or present.sid != participant.sid:
            return []
        went = self._remove(present, OfflineReason.DROPPED if dropped else OfflineReason.QUIT)
        return [went, *self._move(now)]

    # What the application wants

    def start_service(self, now: float) -> list[Action]:
        """Manual mode: write from now on, or from the moment somebody is there. Raises `StateError`."""
        self._check_manual("start_service")
        self._serving = True
        return self._move(now)

    def stop_service(self, now: float) -> list[Action]:
        """Manual mode: close all files and write no more. Raises `StateError`."""
        self._check_manual("stop_service")
        self._serving = False
        return self._move(now)

    def leave(self, path: LeavePath, now: float) -> list[Action]:
        """No effect while leaving already."""
        if not self._is_joined:
            return []
        self.leave_path = path
        return [*self._enter(SessionState.LEAVING, now), Leave(path=path)]

    def left(self, now: float) -> None:
        """The `Leave` was carried out: every file is whole."""
        self._enter(SessionState.ENDED, now)

    # The connection

    def connection_lost(self, now: float) -> list[Action]:
        """Who is there is not known until the rejoin: nobody goes, no idle time counts."""
        if self._connected and self._is_joined:
            self._pause_idle(now)
            self._connected = False
            self._confirm_until = None
        return []

    def connection_regained(self, now: float) -> list[Action]:
        """Rejoined: everybody is announced again now."""
        if not self._connected and self._is_joined:
            self._connected = True
            self._unconfirmed = set(self._present)
            self._confirm_until = now + REJOIN_GRACE_SECONDS
            self._resume_idle(now)
        return []

    def channel_ended(self, reason: LeaveReason, now: float) -> list[Action]:
        """The server ended it for good: a closed room, a removal, our uid taken by another."""
        path = LeavePath.CHANNEL_ENDED
        if reason in (LeaveReason.ROOM_CLOSED, LeaveReason.ROOM_DELETED) and not self._present:
            path |= LeavePath.NOBODY_LEFT
        return self.leave(path, now)

    # Time

    def next_timer(self) -> float | None:
        """When to call `handle_timer`, as things are."""
        times = [time for time in (self._idle_deadline(), self._confirm_until) if time is not None]
        return min(times, default=None)

    def handle_timer(self, now: float) -> list[Action]:
        """May be called at any time."""
        actions = self._drop_unconfirmed(now)
        deadline = self._idle_deadline()
        if deadline is not None and now >= deadline:
            actions += self.leave(LeavePath.NOBODY_LEFT, now)
        return actions

    # How it works

    @property
    def _is_joined(self) -> bool:
        return _RULES[self.state].is_joined

    def _check_manual(self, call: str) -> None:
        if not self._is_joined:
            raise StateError(f"{call}: this recording has left its channel")
        if not self._is_manual:
            raise StateError(f"{call} needs trigger_mode manual: an automatic recording can't be paused")

    def _update(self, participant: Participant, now: float) -> list[Action]:
        if not self._is_joined:
            return []
        before = self._present.get(participant.identity)
        if not self._counts(participant):
            if before is None:
                return []
            return [self._remove(before, OfflineReason.BECAME_AUDIENCE), *self._move(now)]
        self._present[participant.identity] = participant
        self._unconfirmed.discard(participant.identity)
        if before is not None:
            return []
        return [UserCame(participant=participant), *self._move(now)]

    def _remove(self, participant: Participant, reason: OfflineReason) -> Action:
        del self._present[participant.identity]
        self._unconfirmed.discard(participant.identity)
        return UserWent(participant=participant, reason=reason)

    def _drop_unconfirmed(self, now: float) -> list[Action]:
        if self._confirm_until is None or now < self._confirm_until:
            return []
        self._confirm_until = None
        gone = [who for identity, who in self._present.items() if identity in self._unconfirmed]
        return [*(self._remove(who, OfflineReason.DROPPED) for who in gone), *self._move(now)]

    def _due_state(self) -> SessionState:
        return _STATES[self._serving, self._span_open and self._serving, bool(self._present)]

    def _move(self, now: float) -> list[Action]:
        return self._enter(self._due_state(), now) if self._is_joined else []

    def _enter(self, state: SessionState, now: float) -> list[Action]:
        rule, counted = _RULES[state], _RULES[self.state].counts_idle
        self.state = state
        if rule.counts_idle and not counted:
            self._idle_before = 0.0
            self._resume_idle(now)
        elif not rule.counts_idle:
            self._idle_since = None
        if not rule.is_joined:
            self._confirm_until = None
        return self._set_span(rule.span)

    def _set_span(self, is_open: bool | None) -> list[Action]:
        if is_open is None or is_open == self._span_open:
            return []
        self._span_open = is_open
        if not is_open:
            return [EndSpan()]
        self._spans += 1
        return [StartSpan(number=self._spans - 1)]

    def _pause_idle(self, now: float) -> None:
        if self._idle_since is not None:
            self._idle_before += now - self._idle_since
            self._idle_since = None

    def _resume_idle(self, now: float) -> None:
        if self._connected and _RULES[self.state].counts_idle:
            self._idle_since = now

    def _idle_deadline(self) -> float | None:
        if self._idle_since is None:
            return None
        return self._idle_since + self._idle_limit_seconds - self._idle_before
