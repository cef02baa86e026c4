"""Puts the page where the service serves it from: web/ and the one library that it needs.

    python3 scripts/build_page.py

Copies `web/` and the official `livekit-client` into `src/channel_recorder/service/page/`, which git ignores and the
wheel holds. The library is pinned by version and SHA-256, and the only thing that comes from elsewhere.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from steps.base import ROOT, SetupError
from steps.livekit_client import PAGE_VERSION, set_up_client

SOURCE = ROOT / "web"
TARGET = ROOT / "src" / "channel_recorder" / "service" / "page"
SUFFIXES = frozenset({".html", ".css", ".js", ".svg"})
LIBRARY_FILES = {
    # The minified build. Its licence goes with it.
    "livekit-client.umd.js": (
        "livekit-client.js",
        "fb646f2260d84f91238d0a2dc10726c456631d6a26c7cafc43cfee5959b4d31d",
    ),
    "LICENSE": ("livekit-client.LICENSE.txt", "09e8a9bcec8067104652c168685ab0931e7868f9c8284b66f5ae6edae5f1130b"),
}
"""As it was brought: name on the page, SHA-256."""


def build_page() -> None:
    """Raises SetupError, OSError."""
    wanted = {path.name: path for path in SOURCE.iterdir() if path.suffix in SUFFIXES} | _library()
    TARGET.mkdir(parents=True, exist_ok=True)
    for old in TARGET.iterdir():
        if old.name not in wanted:
            old.unlink()
    for name, path in wanted.items():
        _copy(path, TARGET / name)


def _library() -> dict[str, Path]:
    folder = set_up_client(PAGE_VERSION)
    files: dict[str, Path] = {}
    for brought, (name, digest) in LIBRARY_FILES.items():
        path = folder / brought
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            path.unlink()
            raise SetupError(f"{brought} of livekit-client {PAGE_VERSION} is not what it was: not used")
        files[name] = path
    return files


def _copy(source: Path, target: Path) -> None:
    """Whole or not at all: a server may be reading it."""
    draft = target.with_name(f".{target.name}.draft")
    shutil.copyfile(source, draft)
    draft.replace(target)


def main() -> int:
    try:
        build_page()
    except (SetupError, OSError) as error:
        print(f"setup: the page cannot be built: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
