"""What a received packet costs, from the encrypted datagram to the muxed file on disk: processor time of all threads.

Twenty recordings at once, a user with one track each, in virtual time as fast as it goes: the same objects and calls
as in a recording, and a batch of the writer thread for every 100 ms of media. Feedback to the sender is left out: it
is paid for each connection and second, not for each packet, and is in bench.capacity.

The stages are differences of runs that end earlier on the path. The last figures add the socket: loopback UDP on
uvloop with one packet waiting in each of 200 sockets, as it is when many calls run; sending is not counted.

python -m bench.packet_path
"""

from __future__ import annotations

import asyncio
import gc
import socket
import tempfile
import time
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

import uvloop

from bench import report
from bench.media import Stream, sender_session
from bench.paths import START, Paths, Stage, Virtual
from bench.recordings import check_recorded
from channel_recorder.model import Codec
from channel_recorder.rtc.peer.sockets import bind_udp

GOAL_US = 10.0
ROUNDS = 5
CONNECTIONS = 20
SECONDS = 10
SOCKETS = 200
SOCKET_SECONDS = 3
WARM_UP_SECONDS = 1
Picture = tuple[Codec, int]
"""Codec and bytes of a frame."""
Batch = list[tuple[float, bytes]]
"""Encrypted packets, and when they come."""
USERS = {
    "microphone alone": None,
    "and VP8, 1 packet a picture": (Codec.VP8, 1100),
    "and VP8, 3 packets a picture": (Codec.VP8, 3400),
    "and H.264, 2 packets a picture": (Codec.H264, 1667),
}
STAGES = {
    Stage.SRTP: "datagram, decrypted",
    Stage.FRAME: "RTP, whole frame",
    Stage.QUEUE: "recording time, writer's queue",
    Stage.FILE: "muxed into the file",
}


def measure() -> list[report.Figure]:
    figures = [_figure_of(name, picture) for name, picture in USERS.items()]
    rounds = [uvloop.run(_through_sockets(stage)) for _ in range(ROUNDS) for stage in (Stage.NOTHING, Stage.FILE)]
    figures += [
        report.Figure(what="socket and uvloop alone, a packet", value=report.median(rounds[::2]), unit="us"),
        report.Figure(what="socket to file, a packet (VP8)", value=report.median(rounds[1::2]), unit="us"),
    ]
    return figures


def _figure_of(name: str, picture: Picture | None) -> report.Figure:
    rounds = [{stage: uvloop.run(_in_memory(picture, stage)) for stage in STAGES} for _ in range(ROUNDS)]
    costs = {stage: report.median(each[stage] for each in rounds) for stage in STAGES}
    before, shares = 0.0, list[str]()
    for stage, words in STAGES.items():
        shares.append(f"{words} {costs[stage] - before:.1f}")
        before = costs[stage]
    what = f"datagram to file, a packet ({name})"
    return report.Figure(what=what, value=before, unit="us", at_most=GOAL_US, note=", ".join(shares))


async def _in_memory(picture: Picture | None, stage: Stage) -> float:
    """Microseconds a packet."""
    streams = _streams(picture)
    batches = _encrypted_batches(streams, WARM_UP_SECONDS + SECONDS)
    clock = Virtual()
    with tempfile.TemporaryDirectory() as folder:
        paths = Paths(Path(folder), streams, stage, CONNECTIONS, clock)
        paths.end_batch()
        begin = 0.0
        for tenth, batch in enumerate(batches):
            if tenth == 10 * WARM_UP_SECONDS:
                gc.collect()
                begin = time.process_time()
            _feed(paths, batch, clock)
            clock.now = START + (tenth + 1) / 10
            paths.end_batch()
        spent = time.process_time() - begin
        _check(paths, sum(map(len, batches)) * CONNECTIONS)
        await paths.close()
        if stage is Stage.FILE:
            frames = sum(stream.rate_hz for stream in streams) * (WARM_UP_SECONDS + SECONDS)
            check_recorded(Path(folder), frames * CONNECTIONS)
    return spent / CONNECTIONS / sum(map(len, batches[10 * WARM_UP_SECONDS :])) * 1e6


def _feed(paths: Paths, batch: Batch, clock: Virtual) -> None:
    address = ("127.0.0.1", 7882)
    for at_seconds, packet in batch:
        clock.now = START + at_seconds
        for protocol in paths.protocols:
            protocol.datagram_received(packet, address)


async def _through_sockets(stage: Stage) -> float:
    """Microseconds a packet."""
    streams = _streams((Codec.VP8, 1100))
    batches = _encrypted_batches(streams, WARM_UP_SECONDS + SOCKET_SECONDS)
    spent, counted = 0.0, 0
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        paths = Paths(Path(folder), streams, stage, SOCKETS, clock := Virtual())
        addresses = [await _open_socket(protocol) for protocol in paths.protocols]
        for tenth, batch in enumerate(batches):
            if tenth == 10 * WARM_UP_SECONDS:
                gc.collect()
                spent, counted = 0.0, 0
            for at_seconds, packet in batch:
                clock.now = START + at_seconds
                for address in addresses:
                    sender.sendto(packet, address)
                begin = time.process_time()
                await asyncio.sleep(0)  # one turn of the loop reads what waits
                await asyncio.sleep(0)
                spent += time.process_time() - begin
            clock.now = START + (tenth + 1) / 10
            begin = time.process_time()
            paths.end_batch()
            spent += time.process_time() - begin
            counted += len(batch) * SOCKETS
        _check(paths, sum(map(len, batches)) * SOCKETS)
        for protocol in paths.protocols:
            protocol.transport.abort()
        await paths.close()
        if stage is Stage.FILE:
            frames = sum(stream.rate_hz for stream in streams) * (WARM_UP_SECONDS + SOCKET_SECONDS)
            check_recorded(Path(folder), frames * SOCKETS)
    return spent / counted * 1e6


async def _open_socket(protocol: asyncio.DatagramProtocol) -> tuple[str, int]:
    udp = bind_udp(socket.AF_INET, None)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: protocol, sock=udp)
    return "127.0.0.1", udp.getsockname()[1]


def _streams(picture: Picture | None) -> list[Stream]:
    streams = [Stream(Codec.OPUS, 0x1001, mid="1")]
    if picture is not None:
        streams.append(Stream(picture[0], 0x1002, mid="2", frame_bytes=picture[1]))
    return streams


def _encrypted_batches(streams: Sequence[Stream], seconds: int) -> list[Batch]:
    """The packets of every 100 ms."""
    session = sender_session()
    batches: list[Batch] = []
    for tenth in range(10 * seconds):
        batch: Batch = []
        for stream in streams:
            for frame in range(tenth * stream.rate_hz // 10, (tenth + 1) * stream.rate_hz // 10):
                packets = stream.frame(frame, key_frame=frame == 0)
                batch += [(frame / stream.rate_hz, session.protect(packet)) for packet in packets]
        batches.append(sorted(batch, key=itemgetter(0)))
    return batches


def _check(paths: Paths, sent: int) -> None:
    if paths.packets != sent:
        raise RuntimeError(f"{paths.packets} of {sent} packets came through")


if __name__ == "__main__":
    report.run("A received packet", measure)
