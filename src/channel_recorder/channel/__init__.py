"""Who is there: the client's side of a channel's signalling, as a state machine and its WebSocket driver."""
