"""Who somebody is: what the others are told of a member, and what the member may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.sfu.contract import Credentials, JoinRequest, SignalSink
from channel_recorder.sfu.limits import Limits, attributes_size
from channel_recorder.sfu.permissions import changed_grants, kind_from, permission_from
from channel_recorder.sfu.sids import participant_sid
from channel_recorder.sfu.tracks import PublishedTrack

State = models.ParticipantInfo.State


class TooLargeError(Exception):
    """Says what is too large."""


class Member:
    def __init__(self, request: JoinRequest, sink: SignalSink, wall_seconds: float) -> None:
        credentials = request.credentials
        self.sid = participant_sid()
        self.identity = credentials.identity
        self.protocol = request.client.protocol
        self.kind = kind_from(credentials.kind)
        self.permission = permission_from(credentials.grants, credentials.kind)
        self.state: State = models.ParticipantInfo.JOINING
        self.leave_reason: models.DisconnectReason = models.DisconnectReason.UNKNOWN_REASON
        self._credentials = credentials
        self._name = credentials.name
        self._metadata = credentials.metadata
        self._attributes = dict(credentials.attributes)
        self._joined_unix_seconds = wall_seconds
        self._version = 0
        self._info: models.ParticipantInfo | None = None
        self._sink: SignalSink | None = sink

    @property
    def is_hidden(self) -> bool:
        return self.permission.hidden

    @property
    def is_recorder(self) -> bool:
        return self.permission.recorder

    @property
    def is_dependent(self) -> bool:
        """Is there for the others: does not count, and does not keep a room alive."""
        return self.permission.recorder or self.permission.agent or self.kind in _DEPENDENT_KINDS

    @property
    def has_signal(self) -> bool:
        return self._sink is not None

    @property
    def credentials(self) -> Credentials:
        """As they are now, for the member's next token."""
        return replace(
            self._credentials,
            name=self._name,
            metadata=self._metadata,
            attributes=dict(self._attributes),
            grants=changed_grants(self._credentials.grants, self.permission),
        )

    def send(self, response: pb.SignalResponse) -> None:
        if self._sink is not None:
            self._sink.send(response)

    def close_signal(self, last: pb.SignalResponse | None = None) -> None:
        sink, self._sink = self._sink, None
        if sink is None:
            return
        if last is not None:
            sink.send(last)
        sink.close()

    def drop_signal(self) -> None:
        """The WebSocket is gone already."""
        self._sink = None

    def info(self, tracks: Iterable[PublishedTrack]) -> models.ParticipantInfo:
        """Shared between all who are told; not to be changed."""
        if self._info is None:
            self._info = self._describe([track.info for track in tracks])
        return self._info

    def touch(self) -> None:
        """Something of it changed: the next `info` is a newer one."""
        self._info = None
        self._version += 1

    def update(self, name: str, metadata: str, attributes: Mapping[str, str], limits: Limits) -> None:
        """What is empty stays; an empty attribute goes. Raises TooLargeError, and changes nothing then."""
        changed = {key: value for key, value in {**self._attributes, **attributes}.items() if value}
        check_texts(name, metadata, changed, limits)
        self._name = name or self._name
        self._metadata = metadata or self._metadata
        self._attributes = changed
        self.touch()

    def _describe(self, tracks: list[models.TrackInfo]) -> models.ParticipantInfo:
        return models.ParticipantInfo(
            sid=self.sid,
            identity=self.identity,
            state=self.state,
            tracks=tracks,
            metadata=self._metadata,
            joined_at=int(self._joined_unix_seconds),
            joined_at_ms=int(self._joined_unix_seconds * 1000),
            name=self._name,
            version=self._version,
            permission=self.permission,
            is_publisher=bool(tracks),
            kind=self.kind,
            attributes=self._attributes,
            disconnect_reason=self.leave_reason,
        )


_DEPENDENT_KINDS = (models.ParticipantInfo.EGRESS, models.ParticipantInfo.AGENT)


def check_texts(name: str, metadata: str, attributes: Mapping[str, str], limits: Limits) -> None:
    """Raises TooLargeError."""
    if len(name) > limits.name_characters:
        raise TooLargeError(f"names are limited to {limits.name_characters} characters")
    if len(metadata.encode()) > limits.metadata_bytes:
        raise TooLargeError(f"metadata is limited to {limits.metadata_bytes} bytes")
    if attributes_size(attributes) > limits.attributes_bytes:
        raise TooLargeError(f"attributes are limited to {limits.attributes_bytes} bytes")
