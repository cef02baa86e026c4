"""Exit statuses, and the exception of a command line that makes no sense."""

from __future__ import annotations

FAILURE = 1
USAGE = 2
INTERRUPTED = 130


class UsageError(Exception):
    """The command line contradicts itself or lacks something. Its text is the sentence for the user."""
