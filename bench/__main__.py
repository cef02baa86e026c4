"""All benches, each in a process of its own, and their figures in one table.

python -m bench
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from bench import report

BENCHES = ("packet_path", "encryption", "capacity", "join", "stop", "memory", "forwarding", "serving", "client_joins")
ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    figures: list[report.Figure] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in BENCHES:
            report.console.print(f"bench.{name} ...")
            path = Path(folder) / f"{name}.json"
            command = [sys.executable, "-m", f"bench.{name}", "--figures", str(path)]
            if subprocess.run(command, cwd=ROOT, check=False).returncode:
                failed.append(name)
            else:
                figures += report.read(path)
    report.show("channel-recorder", figures)
    for name in failed:
        report.console.print(f"bench.{name} failed: see its output above")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
