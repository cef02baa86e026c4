"""Records WebRTC calls and live broadcasts on your own Linux machines."""

__version__ = "0.1.0"
