"""The command line. Each command is one module with one function; `app` names them, `main` runs them."""

from channel_recorder.cli.app import main

__all__ = ["main"]
