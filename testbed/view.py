"""What a participant sees and hears of a room, as the official SDK shows it to an application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenTrack:
    """One publication of somebody else. What is counted is counted since `forget`."""

    sid: str
    muted: bool
    subscribed: bool
    mime_type: str
    encrypted: bool
    pictures: int
    """That were shown."""
    unreadable: int
    """Of these: no whole counter."""
    counter: int | None
    """Of the newest picture that shows one."""
    skipped: int
    """Counters that were passed over between two pictures: a browser shows what its screen has time for."""
    repeated: int
    """Pictures whose counter was not above that of the one before."""
    longest_pause_seconds: float
    """Between two pictures."""
    width: int
    height: int
    tone_hz: float
    """The loudest below the beeps, over the last tenths of a second; 0: nothing is audible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPerson:
    identity: str
    sid: str
    name: str
    metadata: str
    attributes: dict[str, str]
    speaking: bool
    quality: str
    """The connection's, in lower case, as the server tells it."""
    tracks: dict[str, SeenTrack]
    """By source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenMessage:
    sender: str
    kind: str
    """`data`, or `text` for a text stream."""
    topic: str
    text: str
    reliable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    identity: str
    sid: str
    is_connected: bool
    joined_in_seconds: float
    """How long the SDK took to connect."""
    first_picture_in_seconds: float | None
    """From the same instant to the first picture of anybody; None: none came yet."""
    is_recorded: bool
    """The room's mark that somebody records."""
    people: dict[str, SeenPerson]
    """Everybody else, by identity."""
    messages: tuple[SeenMessage, ...]
    events: tuple[str, ...]
    """In order, since the process or page began: `joined bob`, `muted bob camera`, `disconnected REASON` ..."""

    def track(self, identity: str, source: str) -> SeenTrack | None:
        person = self.people.get(identity)
        return person.tracks.get(source) if person else None


def view_of(told: dict[str, Any]) -> View:
    people = {identity: _person(person) for identity, person in told.pop("people").items()}
    messages = tuple(SeenMessage(**message) for message in told.pop("messages"))
    events = tuple(told.pop("events"))
    return View(people=people, messages=messages, events=events, **told)


def _person(told: dict[str, Any]) -> SeenPerson:
    tracks = {source: SeenTrack(**track) for source, track in told.pop("tracks").items()}
    return SeenPerson(**told, tracks=tracks)
