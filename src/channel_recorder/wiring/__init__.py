"""Where the rooms are plugged together. The only code that knows them all."""

from channel_recorder.wiring.join import JoinRequest
from channel_recorder.wiring.live import LiveRecording

__all__ = ["JoinRequest", "LiveRecording"]
