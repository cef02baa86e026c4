"""What the channel server costs over real sockets: `channel-recorder serve` held to one core, its members on another.

- processor time of the server per packet and listener: two talkers (microphone, and a camera of 700 kbit/s), twenty
  listeners; each packet is received once and sent to each, so receiving, signalling and timers are in it
- delay: from the talker's socket to the listener's receive path, for sound (both ends of the bench are in it too)
- a room of eight: eight talkers, each of whom seven others see and hear
- memory of each further member of that first room

python -m bench.serving
"""

from __future__ import annotations

import asyncio
import os
import statistics
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench import report
from bench.members import Listener, Received, Talker
from testbed.embedded import EmbeddedServer

PICTURE_BYTES = 6000
"""At 15 pictures/s: 700 kbit/s, 6 packets each."""
FEW, MANY = 5, 20
SETTLE_SECONDS = 3.0
SECONDS = 15.0
ROOM = 8
GOAL_MICROSECONDS = 15.0
GOAL_ROOM_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured over a while."""

    cpu_seconds: float
    packets: int
    """That the talkers sent."""
    received: Received
    late_seconds: float
    tracks: int


def cpu_seconds(process_id: int) -> float:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(process_id: int) -> int:
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Room:
    def __init__(self, server: EmbeddedServer, name: str) -> None:
        self._server, self._name = server, name
        self._talkers: list[Talker] = []
        self._listeners: list[Listener] = []
        self._received = Received()

    async def talk(self, count: int) -> None:
        for number in range(count):
            talker = Talker(self._server, self._name, f"talker-{number}", PICTURE_BYTES)
            await talker.join()
            self._talkers.append(talker)

    async def listen(self, count: int) -> None:
        for number in range(len(self._listeners), count):
            listener = Listener(self._server, self._name, f"listener-{number}", self._received)
            await listener.join()
            self._listeners.append(listener)

    async def measure(self) -> Load:
        await asyncio.sleep(SETTLE_SECONDS)
        pid, received = self._server.process_id, self._received
        packets, cpu = self._sent(), cpu_seconds(pid)
        received.__init__()
        for talker in self._talkers:
            talker.late_seconds = 0.0
        await asyncio.sleep(SECONDS)
        return Load(
            cpu_seconds(pid) - cpu,
            self._sent() - packets,
            Received(received.sounds, received.pictures, received.lost_packets, list(received.delays)),
            max(talker.late_seconds for talker in self._talkers),
            sum(listener.tracks for listener in self._listeners),
        )

    def _sent(self) -> int:
        return sum(talker.packets for talker in self._talkers)

    async def leave(self) -> None:
        for member in (*self._listeners, *self._talkers):
            await member.leave()


def forwarding(load: Load, listeners: int) -> list[report.Figure]:
    out = load.packets * listeners
    delays = sorted(load.received.delays)
    p99 = delays[round(0.99 * (len(delays) - 1))]
    note = (
        f"{load.packets / SECONDS:.0f} packets/s in, {out / SECONDS:.0f} out, "
        f"{load.cpu_seconds / SECONDS:.0%} of a core; packets lost {load.received.lost_packets}; "
        f"talkers late at worst {load.late_seconds * 1e3:.0f} ms"
    )
    return [
        report.Figure(
            what="server's processor time per packet and listener",
            value=load.cpu_seconds / out * 1e6,
            unit="us",
            at_most=GOAL_MICROSECONDS,
            note=note,
        ),
        report.Figure(what="delay of sound, median", value=statistics.median(delays) * 1e3, unit="ms"),
        report.Figure(what="delay of sound, 99 of 100", value=p99 * 1e3, unit="ms"),
    ]


def room_of_eight(load: Load) -> report.Figure:
    sounds = ROOM * 50 * SECONDS * (ROOM - 1)
    note = (
        f"{load.packets / SECONDS:.0f} packets/s in, {load.packets * (ROOM - 1) / SECONDS:.0f} out; packets lost "
        f"{load.received.lost_packets}; {load.received.sounds / sounds:.1%} of the sound arrived"
    )
    share = load.cpu_seconds / SECONDS * 100
    what = f"a room of {ROOM} with cameras and microphones, of a core"
    return report.Figure(what=what, value=share, unit="%", at_most=GOAL_ROOM_SHARE * 100, note=note)


async def run_room(name: str, talkers: int, listeners: int) -> tuple[Load, float]:
    """And bytes of the server's memory for each listener from the fifth on."""
    cores = sorted(os.sched_getaffinity(0))
    with EmbeddedServer() as server:
        os.sched_setaffinity(server.process_id, {cores[0]})
        room = Room(server, name)
        await room.talk(talkers)
        await room.listen(FEW)
        await asyncio.sleep(SETTLE_SECONDS)
        before = memory_bytes(server.process_id)
        await room.listen(listeners)
        load = await room.measure()
        growth = memory_bytes(server.process_id) - before
        await room.leave()
    if load.tracks != 2 * talkers * listeners:
        raise RuntimeError(f"{load.tracks} tracks arrived instead of {2 * talkers * listeners}")
    return load, growth / (listeners - FEW)


def measure() -> list[report.Figure]:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    try:
        two, bytes_each = uvloop.run(run_room("bench", 2, MANY))
        eight, _ = uvloop.run(run_room("eight", ROOM, ROOM - 1))
    finally:
        os.sched_setaffinity(0, set(cores))
    memory = report.Figure(what="server's memory for each further member", value=bytes_each / 2**20, unit="MB")
    return [*forwarding(two, MANY), room_of_eight(eight), memory]


if __name__ == "__main__":
    report.run("Channel server", measure)
