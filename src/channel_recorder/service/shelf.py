"""What can be said of a recording that lies on the disk, whole, growing or cut."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from channel_recorder.errors import MalformedError
from channel_recorder.recording.journal import parse_journal
from channel_recorder.recording.manifest import Manifest, read_manifest
from channel_recorder.service.library import Entry, StoredFile, is_media, stored_files
from channel_recorder.service.models import (
    FileKind,
    FileStream,
    Mode,
    RecordedUser,
    Recording,
    RecordingFile,
    RecordingState,
)
from channel_recorder.storage.names import DONE_MARKER, JOURNAL, MANIFEST, MediaName

JOURNAL_MAX_BYTES = 2**20
"""As much of a journal is read: of later files names and sizes are known."""
ELSEWHERE_SECONDS = 15.0
"""A recording without an end whose files changed so recently is being made by another process."""
CONTENT_TYPES = {
    "webm": "video/webm",
    "mp4": "video/mp4",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "mkv": "video/x-matroska",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
}

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What is known only of a recording that this process makes."""

    duration: float
    is_stopping: bool
    problems: tuple[str, ...]
    facts: Mapping[str, Fields]
    """By file name, as in a journal."""


def describe(entry: Entry, live: Live | None, unix_seconds: Callable[[], float]) -> Recording:
    stored = stored_files(entry.path)
    manifest = None if live else _manifest(entry)
    media = [file for file in stored if is_media(file.name)]
    state = _state(stored, live, manifest, unix_seconds)
    return Recording(
        id=entry.id,
        channel=entry.channel,
        mode=Mode.COMPOSITE if any(_uid(file.name) == 0 for file in media) else Mode.INDIVIDUAL,
        state=state,
        started_at=entry.started_at,
        duration=_duration(entry, live, manifest, state, unix_seconds),
        reason=manifest.reason if manifest else None,
        users=_users(media, _facts(entry, live, manifest)),
        file_count=len(media),
        bytes=sum(file.bytes for file in media),
        can_stop=live is not None and not live.is_stopping,
        problems=list(live.problems) if live else [],
    )


def list_files(entry: Entry, live: Live | None) -> list[RecordingFile]:
    """Media by their first instant, then logs."""
    facts = _facts(entry, live, None if live else _manifest(entry))
    files = [_file(entry, file, facts.get(file.name)) for file in stored_files(entry.path)]
    return sorted(files, key=lambda file: (file.kind is FileKind.LOG, file.started_at or entry.started_at, file.name))


def content_type(name: str) -> str:
    return CONTENT_TYPES.get(name.rpartition(".")[2]) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def _manifest(entry: Entry) -> Manifest | None:
    try:
        return read_manifest(entry.path / MANIFEST)
    except (OSError, MalformedError):
        return None


def _state(
    stored: list[StoredFile], live: Live | None, manifest: Manifest | None, unix_seconds: Callable[[], float]
) -> RecordingState:
    if live is not None:
        return RecordingState.STOPPING if live.is_stopping else RecordingState.RECORDING
    if manifest is not None or any(file.name == DONE_MARKER for file in stored):
        return RecordingState.FINISHED
    changed_at = max((file.changed_at for file in stored), default=0.0)
    if abs(unix_seconds() - changed_at) < ELSEWHERE_SECONDS:
        return RecordingState.RECORDING
    return RecordingState.INTERRUPTED


def _duration(
    entry: Entry,
    live: Live | None,
    manifest: Manifest | None,
    state: RecordingState,
    unix_seconds: Callable[[], float],
) -> float | None:
    if live is not None:
        return live.duration
    if manifest is not None:
        return manifest.duration
    if state is RecordingState.RECORDING:
        return max(0.0, unix_seconds() - entry.started_at.timestamp())
    return None


def _users(media: Iterable[StoredFile], facts: Mapping[str, Fields]) -> list[RecordedUser]:
    """Everybody who has a file, in the order of the names."""
    accounts = {_uid(file.name): _account(facts.get(file.name, {})) for file in media}
    return [RecordedUser(uid=uid, account=account) for uid, account in accounts.items()]


def _account(facts: Fields) -> str:
    account = facts.get("account")
    return account if isinstance(account, str) else ""


def _uid(name: str) -> int:
    return MediaName.decode(name).uid


def _facts(entry: Entry, live: Live | None, manifest: Manifest | None) -> Mapping[str, Fields]:
    """What is known of each file beside its name and size."""
    if live is not None:
        return live.facts
    return _facts_of_journal(entry) if manifest is None else _facts_of_manifest(manifest)


def _facts_of_manifest(manifest: Manifest) -> dict[str, Fields]:
    return {file.name: file.model_dump() | {"is_closed": True} for file in manifest.files}


def _facts_of_journal(entry: Entry) -> dict[str, Fields]:
    """By file name. Of a file that was closed all, of an open one who and what."""
    try:
        with (entry.path / JOURNAL).open("rb") as journal:
            content = parse_journal(journal.read(JOURNAL_MAX_BYTES))
    except OSError:
        return {}
    facts: dict[str, Fields] = {}
    for fact in content.entries:
        if fact["fact"] in ("file_created", "file_closed") and isinstance(name := fact.get("name"), str):
            facts[name] = {**facts.get(name, {}), **fact, "is_closed": fact["fact"] == "file_closed"}
    return facts


def _file(entry: Entry, stored: StoredFile, facts: Fields | None) -> RecordingFile:
    plain: dict[str, Any] = {
        "name": stored.name,
        "content_type": content_type(stored.name),
        "bytes": stored.bytes,
        "url": f"/api/recordings/{entry.id}/files/{quote(stored.name)}",
    }
    if not is_media(stored.name):
        return RecordingFile(**plain, kind=FileKind.LOG, is_complete=True)
    name = MediaName.decode(stored.name)
    plain |= {"kind": FileKind.MEDIA, "uid": name.uid, "started_at": name.recorded_at}
    plain |= {"source": "screen_share" if name.is_screen else None}
    return _with_facts(plain, facts or {})


def _with_facts(plain: dict[str, Any], facts: Fields) -> RecordingFile:
    """A journal is a file that anybody may have written: what is of the wrong type is left out."""
    known = {
        "is_complete": facts.get("is_closed", False),
        **{key: facts[key] for key in ("account", "source", "duration", "sha256") if facts.get(key) is not None},
    }
    try:
        streams = [FileStream.model_validate(stream) for stream in facts.get("streams", [])]
        return RecordingFile(**(plain | known), streams=streams)
    except (ValidationError, TypeError):
        return RecordingFile(**plain, is_complete=False)
