"""What the journal of a recording tells of it, whoever wrote it and however it ended.

A journal may be cut, damaged or somebody else's: what is of the wrong type is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from pydantic import ValidationError

from channel_recorder.errors import MalformedError
from channel_recorder.model import MAX_UID, MediaKind, Source, User
from channel_recorder.recording.journal import Entry
from channel_recorder.recording.manifest import ManifestFile, ManifestSealedTrack, ManifestStream
from channel_recorder.recording.sealed_books import TRACK_FACT, SealedBooks
from channel_recorder.storage.names import MediaName

_SECONDS_MAX = 1e9
CONTINUED = "continued"
RECOVERED = "recovered"
ENDED = "ended"


@dataclass(slots=True)
class FileRemains:
    """What is known of one file."""

    name: str
    user: User
    source: Source
    start_seconds: float
    """Recording time of the file's zero."""
    closed: ManifestFile | None = None
    """Without check sum. None: nobody closed it."""
    duration_seconds: float = 0.0
    """At the last report of an open file."""
    streams: dict[MediaKind, ManifestStream] = field(default_factory=dict[MediaKind, ManifestStream])
    """The counts of that report."""
    lost_packets: int = 0
    """Of sound, in gaps after that report."""
    gap_seconds: float = 0.0
    """Pictures missing for lost packets after that report, as time."""
    rotation: int = 0
    width: int = 0
    height: int = 0
    """The last that was told."""


@dataclass(slots=True)
class Remains:
    """All of a recording."""

    channel: str = ""
    account: str = ""
    """Whom the recorder joined as."""
    started_at: datetime | None = None
    """Recording time zero; None: nothing was recorded."""
    end_reason: str | None = None
    """Why it ended. None: it did not."""
    is_recovered: bool = False
    """It was finished by a recovery, and not continued since."""
    last_seconds: float = 0.0
    last_wall: datetime | None = None
    files: dict[str, FileRemains] = field(default_factory=dict[str, FileRemains])
    sealed: SealedBooks = field(default_factory=SealedBooks)
    """Of tracks that no key opened."""


def read_remains(entries: Iterable[Entry]) -> Remains:
    """Of any facts in the order of the journal."""
    remains = Remains()
    for entry in entries:
        at_seconds = _seconds(entry.get("at"))
        if at_seconds is not None:
            _take(remains, entry, at_seconds)
    return remains


def _take(remains: Remains, entry: Entry, at_seconds: float) -> None:
    remains.last_seconds = max(remains.last_seconds, at_seconds)
    remains.last_wall = _instant(entry.get("wall")) or remains.last_wall
    match entry["fact"]:
        case "joined":
            remains.channel = _text(entry, "channel") or remains.channel
            remains.account = _text(entry, "account") or remains.account
        case "recording_started":
            remains.started_at = _instant(entry.get("started_at")) or _instant(entry.get("wall")) or remains.started_at
        case "ended" | "recovered" as fact:
            remains.end_reason = _text(entry, "reason") or "interrupted"
            remains.is_recovered = fact == RECOVERED
        case "continued":
            remains.end_reason, remains.is_recovered = None, False
        case "sealed_track" | "sealed_file" as fact:
            _take_sealed(remains.sealed, fact, entry)
        case fact:
            _take_file_fact(remains, fact, entry, at_seconds)


def _take_sealed(books: SealedBooks, fact: str, entry: Entry) -> None:
    if fact == TRACK_FACT:
        try:
            ManifestSealedTrack.model_validate({**entry, "files": []})
        except ValidationError:
            return
    if _text(entry, "sid") and (fact == TRACK_FACT or _text(entry, "name")):
        books.note(fact, {key: value for key, value in entry.items() if key not in ("at", "wall", "fact")})


def _take_file_fact(remains: Remains, fact: str, entry: Entry, at_seconds: float) -> None:
    name = _text(entry, "name")
    if fact == "file_created":
        file = _file(entry, name, at_seconds)
        if file is not None:
            remains.files[name] = file
    elif (file := remains.files.get(name)) is not None:
        _take_detail(file, fact, entry)


def _take_detail(file: FileRemains, fact: str, entry: Entry) -> None:
    match fact:
        case "file_progress":
            file.duration_seconds = _seconds(entry.get("duration")) or file.duration_seconds
            file.streams = {stream.kind: stream for stream in _streams(entry)}
            file.lost_packets = 0
            file.gap_seconds = 0.0
        case "file_closed":
            file.closed = _closed(file, entry)
        case "gap":
            _take_gap(file, entry)
        case "video_info":
            if not file.width:
                file.rotation = _count(entry, "rotation") % 360
            file.width, file.height = _count(entry, "width"), _count(entry, "height")
        case _:
            pass


def _take_gap(file: FileRemains, entry: Entry) -> None:
    lost = _count(entry, "lost_packets")
    if entry.get("kind") != MediaKind.VIDEO:
        file.lost_packets += lost
    elif lost:
        file.gap_seconds += max(0.0, _seconds(entry.get("duration")) or 0.0)


def _file(entry: Entry, name: str, at_seconds: float) -> FileRemains | None:
    """None: a name that no recording gives, and that might lead anywhere."""
    try:
        named = MediaName.decode(name)
    except MalformedError:
        return None
    said = _text(entry, "source")
    source = Source(said) if said in set(Source) else _guessed_source(named)
    uid = entry.get("uid")
    if not isinstance(uid, int) or not 0 <= uid <= MAX_UID:
        uid = named.uid
    user = User(uid=uid, account=_text(entry, "account") or str(uid))
    return FileRemains(name, user, source, at_seconds)


def unknown_file(name: str, started_at: datetime) -> FileRemains:
    """Of which the journal says nothing: a power failure took its end. Raises `MalformedError`."""
    named = MediaName.decode(name)
    start = (named.recorded_at - started_at.astimezone(UTC)).total_seconds()
    return FileRemains(name, User(uid=named.uid, account=str(named.uid)), _guessed_source(named), start)


def _guessed_source(named: MediaName) -> Source:
    has_pictures = named.extension in ("webm", "mp4")
    if named.is_screen:
        return Source.SCREEN_SHARE if has_pictures else Source.SCREEN_SHARE_AUDIO
    return Source.CAMERA if has_pictures else Source.MICROPHONE


def _closed(file: FileRemains, entry: Entry) -> ManifestFile | None:
    fields = {key: entry.get(key) for key in ("start", "duration", "bytes", "streams")}
    who = {"name": file.name, "uid": file.user.uid, "account": file.user.account, "source": file.source}
    try:
        return ManifestFile.model_validate(fields | who)
    except ValidationError:
        return None


def _streams(entry: Entry) -> list[ManifestStream]:
    streams = entry.get("streams")
    if not isinstance(streams, list):
        return []
    try:
        return [ManifestStream.model_validate(stream) for stream in cast("list[Any]", streams)]
    except ValidationError:
        return []


def _text(entry: Entry, key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _count(entry: Entry, key: str) -> int:
    value = entry.get(key)
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


def _seconds(value: Any) -> float | None:
    """None for what is no time: JSON knows NaN and numbers of any size."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _SECONDS_MAX:
        return float(value)
    return None


def _instant(value: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return at.astimezone(UTC) if at.tzinfo is not None else None
