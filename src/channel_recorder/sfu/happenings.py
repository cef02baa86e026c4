"""What happens in the rooms, as LiveKit's webhook events."""

from __future__ import annotations

from collections.abc import Callable

from livekit.protocol import models
from livekit.protocol.webhook import WebhookEvent

from channel_recorder.sfu.sids import event_id


class Happenings:
    def __init__(self, on_event: Callable[[WebhookEvent], None], wall_seconds: Callable[[], float]) -> None:
        self._on_event = on_event
        self._wall_seconds = wall_seconds

    def room_started(self, room: models.Room) -> None:
        self._tell(WebhookEvent(event="room_started", room=room))

    def room_finished(self, room: models.Room, reason: models.RoomEndReason) -> None:
        self._tell(WebhookEvent(event="room_finished", room=room, room_end_reason=reason))

    def participant_joined(self, room: models.Room, participant: models.ParticipantInfo) -> None:
        self._tell(WebhookEvent(event="participant_joined", room=room, participant=participant))

    def participant_left(self, room: models.Room, participant: models.ParticipantInfo, *, was_active: bool) -> None:
        """Who never had a media connection did not leave, but failed to come."""
        event = "participant_left" if was_active else "participant_connection_aborted"
        self._tell(WebhookEvent(event=event, room=room, participant=participant))

    def track_published(self, room: models.Room, participant: models.ParticipantInfo, track: models.TrackInfo) -> None:
        self._tell(WebhookEvent(event="track_published", room=room, participant=participant, track=track))

    def track_unpublished(
        self, room: models.Room, participant: models.ParticipantInfo, track: models.TrackInfo
    ) -> None:
        self._tell(WebhookEvent(event="track_unpublished", room=room, participant=participant, track=track))

    def _tell(self, event: WebhookEvent) -> None:
        event.id = event_id()
        event.created_at = int(self._wall_seconds())
        self._on_event(event)
