"""What the members of a room are to be told, gathered and told at once.

The order matters: clients must read of a participant and its tracks before they are offered them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.sfu import responses
from channel_recorder.sfu.seat import Seat

MIN_PROTOCOL_SILENT_REPLACEMENT = 12
"""From here on clients see by the new sid that an identity has a new seat, and are told of no leave."""


@dataclass(slots=True)
class _Change:
    """Somebody is to be told of anew."""

    seat: Seat
    to_self: bool = False
    was_replaced: bool = False


class News:
    def __init__(
        self, seats: Mapping[str, Seat], describe_room: Callable[[], models.Room], now: Callable[[], float]
    ) -> None:
        self._seats = seats
        self._describe_room = describe_room
        self._now = now
        self._changes: dict[str, _Change] = {}
        """By participant sid."""
        self._to_negotiate: dict[Seat, None] = {}
        self._of_room = False
        self._is_flushing = False

    def change(self, seat: Seat, *, to_self: bool = False, was_replaced: bool = False) -> None:
        """The others are to be told of `seat` anew."""
        seat.member.touch()
        change = self._changes.setdefault(seat.sid, _Change(seat))
        change.to_self |= to_self
        change.was_replaced |= was_replaced

    def renegotiate(self, seat: Seat) -> None:
        """What `seat` is to be sent may have changed."""
        self._to_negotiate[seat] = None

    def announce_room(self) -> None:
        self._of_room = True

    def flush(self) -> None:
        if self._is_flushing:
            return
        self._is_flushing = True
        try:
            while self._changes or self._to_negotiate or self._of_room:
                self.tell_changes()
                self._tell_of_room()
                self._negotiate()
        finally:
            self._is_flushing = False

    def forget(self) -> None:
        self._changes.clear()
        self._to_negotiate.clear()
        self._of_room = False

    def broadcast(self, response: pb.SignalResponse) -> None:
        for seat in tuple(self._seats.values()):
            seat.member.send(response)

    def tell_changes(self) -> None:
        """One message for all, but for the few whom it is about."""
        changes, self._changes = self._changes, {}
        visible = [change for change in changes.values() if not change.seat.member.is_hidden]
        for_old = _update(visible)
        for_new = _update(change for change in visible if not change.was_replaced)
        for seat in tuple(self._seats.values()):
            own = changes.get(seat.sid)
            is_old = seat.member.protocol < MIN_PROTOCOL_SILENT_REPLACEMENT
            response = for_old if is_old else for_new
            if own is not None:
                response = _update(_for(own, visible, is_old=is_old))
            if response is not None:
                seat.member.send(response)

    def _tell_of_room(self) -> None:
        if self._of_room:
            self._of_room = False
            self.broadcast(responses.room_update(self._describe_room()))

    def _negotiate(self) -> None:
        seats, self._to_negotiate = self._to_negotiate, {}
        for seat in seats:
            # Without WebSocket nobody would answer; the seat is about to be given up.
            if seat.member.has_signal:
                seat.media.negotiate(self._now())


def _update(changes: Iterable[_Change]) -> pb.SignalResponse | None:
    infos = [change.seat.info() for change in changes]
    return responses.participants(infos) if infos else None


def _for(own: _Change, visible: Iterable[_Change], *, is_old: bool) -> list[_Change]:
    """For one who is in the list: of itself only what it cannot know, hidden or not."""
    others = [change for change in visible if change is not own and (is_old or not change.was_replaced)]
    return [*others, own] if own.to_self else others
