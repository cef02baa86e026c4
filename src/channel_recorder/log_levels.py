"""How much goes to the log, in the classic SDK's levels."""

from __future__ import annotations

import logging

from channel_recorder.errors import ConfigError

_LOG_LEVELS = {
    1: logging.CRITICAL,
    2: logging.ERROR,
    3: logging.WARNING,
    4: logging.INFO,
    5: logging.INFO,
    6: logging.DEBUG,
}


def set_log_level(level: int) -> None:
    """Classic levels: 1 fatal, 2 error, 3 warning, 4 notice, 5 info, 6 debug. For the whole process."""
    if level not in _LOG_LEVELS:
        raise ConfigError(f"log level {level!r} is not acceptable: give 1 (fatal) to 6 (debug)")
    logging.getLogger("channel_recorder").setLevel(_LOG_LEVELS[level])
