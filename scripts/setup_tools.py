"""Sets up everything that `make demo` and `make test` need, on a machine with nothing but Python, make and git.

    python3 scripts/setup_tools.py demo|test

Makes .venv with the package in it, and the page that the package serves. For the tests it builds livekit-server and
brings livekit-client into the cache folder of the user, and installs Debian packages. What is there already is left
alone, so a second run is quick and needs no network; two clones may run it at once.
"""

from __future__ import annotations

import sys

from build_page import build_page
from steps.base import SetupError
from steps.debian import set_up_debian_packages
from steps.livekit_client import CLIENT_VERSIONS, set_up_client
from steps.livekit_server import LIVEKIT_VERSIONS, set_up_livekit
from steps.venv import set_up_venv

PYTHON_AT_LEAST = (3, 11)
PURPOSES = ("demo", "test")


def set_up(purpose: str) -> None:
    """Raises SetupError."""
    if sys.version_info < PYTHON_AT_LEAST:
        raise SetupError("Python 3.11 or newer is needed: make PYTHON=python3.12 ...")
    set_up_venv(purpose)
    build_page()
    if purpose == "test":
        for version in LIVEKIT_VERSIONS:
            set_up_livekit(version)
        for version in CLIENT_VERSIONS:
            set_up_client(version)
        set_up_debian_packages()


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in PURPOSES:
        print("usage: python3 scripts/setup_tools.py demo|test", file=sys.stderr)
        return 2
    try:
        set_up(arguments[0])
    except (SetupError, OSError) as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
