"""Debian packages: a browser and FFmpeg's tools."""

from __future__ import annotations

import os
import shutil
import subprocess

from steps.base import CACHE, SetupError, locked, run, say

DEBIAN_PACKAGES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "ffmpeg": ("ffmpeg",),
}
"""Package: programs, any of which will do."""


def set_up_debian_packages() -> None:
    missing = [package for package, programs in DEBIAN_PACKAGES.items() if not any(map(shutil.which, programs))]
    if missing:
        install_debian_packages(missing)


def install_debian_packages(packages: list[str]) -> None:
    names = " ".join(packages)
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if not shutil.which("apt-get") or (as_root and not may_sudo()):
        raise SetupError(
            f"these are missing, and cannot be installed from here: {names}\n  sudo apt-get install {names}"
        )
    say(f"installing Debian packages: {names}")
    with locked(CACHE / "apt-get.lock", "Debian packages"):
        quiet = ["-qq", "-o", "DPkg::Lock::Timeout=600"]
        run(*as_root, "apt-get", *quiet, "update")
        install = ["apt-get", *quiet, "install", "--yes", "--no-install-recommends", *packages]
        run(*as_root, "env", "DEBIAN_FRONTEND=noninteractive", *install)


def may_sudo() -> bool:
    if not shutil.which("sudo"):
        return False
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
