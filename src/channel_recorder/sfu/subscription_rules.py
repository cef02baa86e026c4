"""Who may have a member's tracks, as the member itself says (SubscriptionPermission)."""

from __future__ import annotations

from itertools import islice

from livekit.protocol import rtc as pb

MAX_RULES = 2000
MAX_TRACKS_PER_RULE = 1000


class SubscriptionRules:
    """Everybody may, until the member says otherwise. Rules beyond the limits are as if not given: they allow less."""

    def __init__(self) -> None:
        self._everybody = True
        self._allowed: dict[str, frozenset[str] | None] = {}
        """By identity or participant sid; None: all tracks."""

    def set(self, permission: pb.SubscriptionPermission) -> bool:
        """False if nothing changed by it."""
        before = self._everybody, self._allowed
        self._everybody = permission.all_participants
        rules = islice(permission.track_permissions, 0 if self._everybody else MAX_RULES)
        self._allowed = {
            key: None if rule.all_tracks else frozenset(islice(rule.track_sids, MAX_TRACKS_PER_RULE))
            for rule in rules
            for key in (rule.participant_identity, rule.participant_sid)
            if key
        }
        return before != (self._everybody, self._allowed)

    def allow(self, identity: str, sid: str, track_sid: str) -> bool:
        if self._everybody:
            return True
        for key in (identity, sid):
            if key in self._allowed:
                tracks = self._allowed[key]
                return tracks is None or track_sid in tracks
        return False
