"""People who mean harm: what no official client would send to a channel server."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pylibsrtp
from livekit.protocol import rtc as pb
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from testbed.hand_made import HandMadePublisher
from testbed.server_process import ServerProcess

PATHS = ("/rtc", "/rtc/v1")
LIMIT_SECONDS = 10.0


def _noise(seed: int) -> random.Random:
    return random.Random(seed)


async def statuses_of(server: ServerProcess, tokens: Sequence[str]) -> set[int]:
    """Of joins, over both paths, with a token each that should be refused."""
    statuses: set[int] = set()
    for token in tokens:
        for path in PATHS:
            try:
                async with connect(f"{server.url}{path}", additional_headers={"Authorization": f"Bearer {token}"}):
                    statuses.add(101)
            except InvalidStatus as refused:
                statuses.add(refused.response.status_code)
    return statuses


@asynccontextmanager
async def joined(server: ServerProcess, channel: str, identity: str) -> AsyncGenerator[ClientConnection]:
    """A WebSocket over the older path whose JoinResponse was read, and that does nothing else by itself."""
    headers = {"Authorization": f"Bearer {server.token(channel, identity)}"}
    async with connect(f"{server.url}/rtc?protocol=16&sdk=other", additional_headers=headers, max_size=None) as socket_:
        await asyncio.wait_for(socket_.recv(), LIMIT_SECONDS)
        yield socket_


async def is_closed(connection: ClientConnection) -> bool:
    """Within a while; what comes before is passed over."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                await connection.recv()
    except ConnectionClosed:
        return True
    except TimeoutError:
        return False


async def send_frame(server: ServerProcess, channel: str, identity: str, frame: bytes | str) -> bool:
    """Whether the server closed the connection over it."""
    async with joined(server, channel, identity) as connection:
        try:
            await connection.send(frame)
        except ConnectionClosed:
            return True
        return await is_closed(connection)


async def send_garbage_frames(server: ServerProcess, channel: str, count: int) -> None:
    """Each from a member of its own."""
    noise = _noise(1)
    for number in range(count):
        async with joined(server, channel, f"garbage-{number}") as connection:
            try:
                for _ in range(50):
                    await connection.send(noise.randbytes(noise.randint(1, 400)))
            except ConnectionClosed:
                continue


async def flood_requests(server: ServerProcess, channel: str, identity: str, count: int) -> None:
    """As fast as the server reads: wishes that cost the others an update each."""
    async with joined(server, channel, identity) as connection:
        try:
            for number in range(count):
                request = pb.SignalRequest(update_metadata=pb.UpdateParticipantMetadata(metadata=f"{number}" * 200))
                await connection.send(request.SerializeToString())
        except ConnectionClosed:
            return


async def join_in_masses(server: ServerProcess, channel: str, count: int, at_once: int) -> int:
    """How many were let in. Nobody waits for anything, nobody says good-bye."""
    gate = asyncio.Semaphore(at_once)

    async def join(number: int) -> bool:
        async with gate:
            headers = {"Authorization": f"Bearer {server.token(channel, f'mass-{number}')}"}
            try:
                connection = await connect(f"{server.url}/rtc?protocol=16", additional_headers=headers)
            except (WebSocketException, OSError, TimeoutError):
                return False
            connection.transport.abort()
            return True

    return sum(await asyncio.gather(*(join(number) for number in range(count))))


async def ask_for_too_much(server: ServerProcess) -> list[int]:
    """Statuses of requests that are too big or too strange."""
    token = server.token("elsewhere", "greedy")
    base = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=base, timeout=LIMIT_SECONDS) as client:
        asked = [
            client.get("/rtc/v1/validate", params={"access_token": token, "join_request": "A" * 40_000}),
            client.get("/rtc/validate", params={"access_token": "A" * 40_000}),
            client.post("/twirp/livekit.RoomService/ListRooms", content=b"\xff" * 20_000_000),
            client.get("/../../../../etc/passwd"),
        ]
        return [await _status(one) for one in asked]


async def _status(asked: Coroutine[Any, Any, httpx.Response]) -> int:
    """413 too where the server hangs up before it has read all."""
    try:
        return (await asked).status_code
    except (httpx.ReadError, httpx.WriteError):
        return 413


def flood_port(port: int, count: int, kind: socket.SocketKind = socket.SOCK_DGRAM) -> None:
    """Random bytes, and bytes that begin like STUN, DTLS, RTP and RTCP, from nobody that the server knows."""
    noise = _noise(2)
    with socket.socket(socket.AF_INET, kind) as stranger:
        stranger.connect(("127.0.0.1", port))
        try:
            for number in range(count):
                first = (0, 1, 22, 128, 200, 255)[number % 6]
                stranger.send(bytes([first]) + noise.randbytes(noise.randint(1, 1100)))
        except OSError:
            return  # the server hung up


async def send_garbage(sender: HandMadePublisher, count: int, ssrcs: Sequence[int]) -> None:
    """RTP and RTCP with nonsense inside, from its own and from others' SSRCs, correctly encrypted."""
    noise = _noise(3)
    for number in range(count):
        ssrc = noise.choice(ssrcs) if ssrcs and number % 2 else noise.choice((sender.ssrc("audio"), 7))
        first = noise.choice((0x80, 0x90, 0xB0, 0x8F))
        kind = noise.choice((96, 111, 127, 0, 200, 201, 205, 206))
        header = struct.pack("!BBHII", first, kind, number & 0xFFFF, noise.getrandbits(32), ssrc)
        with contextlib.suppress(pylibsrtp.Error):  # it encrypts only what it can make sense of
            await sender.send(header + noise.randbytes(noise.randint(4, 900)))
        if number % 50 == 0:
            await asyncio.sleep(0.005)
