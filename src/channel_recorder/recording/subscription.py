"""Whose sound and whose pictures are recorded: a value, replaced as a whole when it changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from channel_recorder.config import RecordingConfig, StreamType
from channel_recorder.model import MediaKind, Track, User

Member = int | str
"""A uid or an account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    everybody: bool = True
    """False: only the members listed."""
    audio_members: frozenset[Member] = frozenset()
    video_members: frozenset[Member] = frozenset()
    audio: bool = True
    video: bool = True
    stream_type: StreamType = StreamType.HIGH

    @classmethod
    def from_config(cls, config: RecordingConfig) -> Self:
        return cls(
            everybody=config.auto_subscribe,
            audio_members=frozenset(config.subscribe_audio_uids),
            video_members=frozenset(config.subscribe_video_uids),
            audio=not config.is_video_only,
            video=not config.is_audio_only,
            stream_type=config.stream_type,
        )

    def wanted(self, user: User, track: Track) -> bool:
        """Whether a user's track is to be recorded. A shared screen goes with the other pictures or sound."""
        is_audio = track.kind is MediaKind.AUDIO
        if not (self.audio if is_audio else self.video):
            return False
        members = self.audio_members if is_audio else self.video_members
        return self.everybody or user.uid in members or user.account in members

    def with_audio_members(self, members: Iterable[Member]) -> Self:
        """Replaces the list, as the classic SDK does."""
        return replace(self, audio_members=frozenset(members))

    def with_video_members(self, members: Iterable[Member]) -> Self:
        return replace(self, video_members=frozenset(members))
