"""A client that knows no manners: bytes over TCP, frames by hand."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Wire:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until_end(self) -> bytes:
        """All that comes until the far side closes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def head(self) -> bytes:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def close_code(self) -> int:
        """The code of the first close frame among what comes until the end."""
        rest = await self.until_end()
        while rest:
            opcode, length, offset = rest[0] & 0x0F, rest[1] & 0x7F, 2
            if length == 126:
                length, offset = struct.unpack(">H", rest[2:4])[0], 4
            elif length == 127:
                length, offset = struct.unpack(">Q", rest[2:10])[0], 10
            if opcode == 8:
                return int(struct.unpack(">H", rest[offset : offset + 2])[0])
            rest = rest[offset + length :]
        raise AssertionError("it ended without a close frame")


@asynccontextmanager
async def raw_connection(port: int) -> AsyncGenerator[Wire, None]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def raw_websocket(port: int, token: str, *, extensions: str = "") -> AsyncGenerator[Wire, None]:
    """A WebSocket that is open and has got the first message."""
    async with raw_connection(port) as wire:
        await wire.send(upgrade(f"/rtc?access_token={token}", extensions=extensions))
        assert (await wire.head()).startswith(b"HTTP/1.1 101")
        yield wire


def upgrade(path: str, *, extensions: str = "", headers: str = "") -> bytes:
    extra = f"Sec-WebSocket-Extensions: {extensions}\r\n" if extensions else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extra}{headers}\r\n"
    ).encode()


def frame(opcode: int, payload: bytes = b"", *, final: bool = True, compressed: bool = False) -> bytes:
    """Masked with zeros: the payload stays readable."""
    first = (0x80 if final else 0) | (0x40 if compressed else 0) | opcode
    if len(payload) < 126:
        head = struct.pack(">BB", first, 0x80 | len(payload))
    elif len(payload) < 0x10000:
        head = struct.pack(">BBH", first, 0x80 | 126, len(payload))
    else:
        head = struct.pack(">BBQ", first, 0x80 | 127, len(payload))
    return head + bytes(4) + payload
