"""Kills recorders of a live call at random instants, recovers what they left, and tells what was lost.

python -m testbed.torture --kills 100

The call: official clients send VP8, H.264 and AV1 pictures with sound, and sound alone, through the embedded server.
Some of the recoveries are killed too, and done again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from testbed.embedded import EmbeddedServer
from testbed.publisher import Publisher
from testbed.readback import read_back
from testbed.recorder import Recorder
from testbed.server_process import ServerProcess

CHANNEL = "torture"
PEOPLE = {"11": "vp8", "12": "h264", "13": "av1", "14": ""}
"""Uid, and codec of the camera if there is one."""
LONGEST_SECONDS = 8.0
LOST_LIMIT_SECONDS = 1.0
STARVED_WITHIN_SECONDS = 3.0
START_LIMIT_SECONDS = 2.5
"""A recorder that was killed earlier may have nothing of somebody: the first sound waits 1 s for the first picture."""
KILLED_RECOVERIES = 0.25
RECOVERY_SECONDS = 1.0
RECOVERY_LIMIT_SECONDS = 30.0
AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Loss:
    """Of one user and one kind of stream."""

    uid: str
    kind: str
    seconds: float
    """From its last instant in the file to the kill."""


@dataclass
class Kill:
    """What one kill left."""

    after_seconds: float
    """Since the join."""
    starved_seconds: float = 0.0
    """How long the machine kept a thread of recorder, server or clients waiting for a processor just before: what they
    had not got to yet is lost by the machine, not by the kill."""
    losses: list[Loss] = field(default_factory=list[Loss])
    faults: list[str] = field(default_factory=list[str])
    files: int = 0
    recovery_was_killed: bool = False


@asynccontextmanager
async def call(server: ServerProcess) -> AsyncGenerator[list[int]]:
    """The processes of the clients."""
    processes: list[int] = []
    async with AsyncExitStack() as stack:
        for identity, codec in PEOPLE.items():
            person = await stack.enter_async_context(Publisher(server, CHANNEL, identity))
            if codec:
                await person.publish_camera(codec, width=160, height=120)
            await person.publish_microphone(int(identity) * 40)
            processes.append(person.process_id)
        yield processes


def waited_seconds(process_id: int) -> dict[str, float]:
    """By thread: how long the kernel has let it wait for a processor. Empty where the kernel does not tell."""
    waited: dict[str, float] = {}
    for path in Path(f"/proc/{process_id}/task").glob("*/schedstat"):
        with suppress(OSError):
            waited[path.parent.name] = int(path.read_text().split()[1]) / 1e9
    return waited


def starved_seconds(before: Sequence[dict[str, float]], after: Sequence[dict[str, float]]) -> float:
    """Of the thread, in any of these processes, that waited longest."""
    waits = [
        later[thread] - earlier.get(thread, 0.0)
        for earlier, later in zip(before, after, strict=True)
        for thread in later
    ]
    return max(waits, default=0.0)


async def kill_one(
    server: ServerProcess, people: Sequence[int], root: Path, number: int, chance: random.Random
) -> Kill:
    """Records, kills, recovers and reads back. `people`: the processes of the clients."""
    after = chance.uniform(0.0, LONGEST_SECONDS)
    killed_recovery = chance.uniform(0.0, RECOVERY_SECONDS) if chance.random() < KILLED_RECOVERIES else None
    recorder = await Recorder.start(server, CHANNEL, root, uid=900 + number)
    folder = recorder.storage_dir
    chain = [recorder.process_id, server.process_id, *people]
    await asyncio.sleep(max(0.0, after - STARVED_WITHIN_SECONDS))
    before = [waited_seconds(process) for process in chain]
    await asyncio.sleep(min(after, STARVED_WITHIN_SECONDS))
    starved = starved_seconds(before, [waited_seconds(process) for process in chain])
    recorder.send_signal(signal.SIGKILL)
    killed_at = time.time()
    await recorder.ended()
    kill = Kill(after, starved, recovery_was_killed=killed_recovery is not None)
    kill.faults += [f"orphan: {process}" for process in processes_about(root)]
    if killed_recovery is not None:
        await recover(root, kill_after=killed_recovery)
    said = await recover(root)
    if not (folder / "recording2-done.txt").exists():
        if after > START_LIMIT_SECONDS:
            kill.faults.append(f"not recovered: {said}")
        return kill
    await asyncio.to_thread(examine, folder, killed_at, kill)
    return kill


async def recover(root: Path, kill_after: float | None = None) -> list[dict[str, Any]]:
    """`channel-recorder recover`, perhaps killed itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "channel_recorder.cli", "recover", str(root), "--json"), stdout=asyncio.subprocess.PIPE
    )
    reading = asyncio.create_task(process.communicate())
    try:
        await asyncio.wait({reading}, timeout=kill_after if kill_after is not None else RECOVERY_LIMIT_SECONDS)
        if process.returncode is None:
            process.kill()
        output, _ = await reading
    finally:
        reading.cancel()
    return [json.loads(line) for line in output.decode().splitlines()] if kill_after is None else []


def examine(folder: Path, killed_at: float, kill: Kill) -> None:
    """Every file plays, and lacks at most the last second."""
    manifest = json.loads((folder / "manifest.json").read_text())
    began = datetime.fromisoformat(manifest["started_at"]).timestamp()
    if manifest["reason"] != "interrupted":
        kill.faults.append(f"reason {manifest['reason']}")
    kill.files = len(manifest["files"])
    ends: dict[tuple[str, str], float] = {}
    for file in manifest["files"]:
        playback = read_back(folder / file["name"])
        kill.faults += [f"{file['name']}: {error}" for error in (*playback.decode_errors, *playback.sound_breaks)]
        for stream in file["streams"]:
            end = playback.sound_start_seconds + playback.sound_seconds
            if stream["kind"] == "video":
                end = max((one.seconds for one in playback.pictures), default=0.0)
            key = (file["account"], stream["kind"])
            ends[key] = max(ends.get(key, 0.0), began + file["start"] + end)
    for uid, codec in PEOPLE.items():
        for kind in ("video", "audio") if codec else ("audio",):
            if (end := ends.get((uid, kind))) is not None:
                kill.losses.append(Loss(uid, kind, killed_at - end))
            elif kill.after_seconds > START_LIMIT_SECONDS + kill.starved_seconds:
                kill.faults.append(f"nothing of {uid}'s {kind}, killed after {kill.after_seconds:.1f} s")
    kill.faults += [
        f"{loss.seconds:.2f} s of {loss.uid}'s {loss.kind} lost"
        for loss in kill.losses
        if loss.seconds > LOST_LIMIT_SECONDS + kill.starved_seconds
    ]


def processes_about(root: Path) -> list[str]:
    """Command lines that name the folder: nothing of a killed recorder lives on."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(root) in command:
            found.append(command)
    return found


async def torture(kills: int, seed: int, at_once: int = AT_ONCE) -> list[Kill]:
    """Several recorders of one call at a time."""
    chance = random.Random(seed)
    done: list[Kill] = []
    with EmbeddedServer() as server, TemporaryDirectory(prefix="torture-") as folder:
        async with call(server) as people:

            async def worker(numbers: Iterable[int], luck: random.Random) -> None:
                for number in numbers:
                    root = Path(folder) / f"kill-{number}-"
                    root.mkdir()
                    done.append(await kill_one(server, people, root, number, luck))
                    if not done[-1].faults:
                        shutil.rmtree(root)

            await asyncio.gather(
                *(worker(range(first, kills, at_once), random.Random(chance.random())) for first in range(at_once))
            )
    return done


def summary(kills: list[Kill]) -> str:
    lines = [f"{len(kills)} kills, {sum(kill.files for kill in kills)} files, seconds lost by stream:"]
    for uid, codec in PEOPLE.items():
        for kind in ("video", "audio") if codec else ("audio",):
            lost = sorted(
                loss.seconds for kill in kills for loss in kill.losses if (loss.uid, loss.kind) == (uid, kind)
            )
            if lost:
                name = f"{codec or 'opus alone'} {kind}"
                p95 = lost[round(0.95 * (len(lost) - 1))]
                lines.append(f"  {name:16} median {statistics.median(lost):.2f}  p95 {p95:.2f}  worst {lost[-1]:.2f}")
    starved = sorted(kill.starved_seconds for kill in kills)
    lines.append(
        f"the machine kept them waiting {statistics.median(starved):.2f} s before a kill, at worst {starved[-1]:.2f}"
    )
    lines.append(f"{sum(kill.recovery_was_killed for kill in kills)} recoveries were killed too")
    faults = [f"killed after {kill.after_seconds:.2f} s: {fault}" for kill in kills for fault in kill.faults]
    return "\n".join([*lines, f"{len(faults)} faults", *faults])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    arguments = parser.parse_args()
    sys.stdout.write(f"seed {arguments.seed}\n")
    kills = asyncio.run(torture(arguments.kills, arguments.seed))
    sys.stdout.write(summary(kills) + "\n")
    return 1 if any(kill.faults for kill in kills) else 0


if __name__ == "__main__":
    sys.exit(main())
