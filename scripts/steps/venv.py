"""The virtual environment of this clone."""

from __future__ import annotations

import hashlib
import importlib.util
import sys

from steps.base import ROOT, VENV, locked, run, say
from steps.debian import install_debian_packages


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
