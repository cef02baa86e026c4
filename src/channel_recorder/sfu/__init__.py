"""The embedded channel server: a LiveKit-client-compatible subset. Rooms, members and tracks; media is `rtc`'s."""
