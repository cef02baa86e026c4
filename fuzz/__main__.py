"""Runs every target, or those named, for a while; prints what was tried and what was found."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from fuzz.campaign import CORPUS, Campaign, Outcome
from fuzz.fuzzer import load_targets

MEMORY = Path("/dev/shm")
"""Some targets write files: thousands in a second."""


def main() -> int:
    options = _options()
    targets = load_targets()
    names = options.targets or list(targets)
    if unknown := [name for name in names if name not in targets]:
        sys.stderr.write(f"no such target: {', '.join(unknown)}; there are {', '.join(targets)}\n")
        return 2
    memory = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="channel-recorder-fuzz-", dir=memory) as scratch:
        # The same seed tries the same, hence begins with what is in the tree and forgets what it found.
        found = Path(scratch) / "found" if options.seed else CORPUS.parent / ".found"
        campaign = Campaign(targets, Path(scratch), found, seed=options.seed, jobs=options.jobs)
        outcomes = list(campaign.run(names, options.seconds))
    return _report(outcomes)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all unless some are named")
    parser.add_argument("--seconds", type=float, default=600.0, help="for all of them together (default 600)")
    parser.add_argument("--seed", type=int, default=0, help="try the same again (default: at random, and go on from"
                        " what earlier runs found)")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at a time (default: one per core)")
    return parser.parse_args()


def _report(outcomes: list[Outcome]) -> int:
    for outcome in sorted(outcomes, key=lambda outcome: outcome.name):
        sys.stdout.write(outcome.line() + "\n")
    failed = [outcome for outcome in outcomes if outcome.failed]
    for outcome in failed:
        sys.stdout.write(f"\n{outcome.name} failed\n{outcome.trace}\n")
        sys.stdout.writelines(f"  kept as {path}\n" for path in outcome.kept)
    runs = sum(outcome.runs for outcome in outcomes)
    sys.stdout.write(f"{runs} inputs, {len(outcomes)} targets, {len(failed)} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
