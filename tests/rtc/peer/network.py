"""Small servers for the tests, on loopback: an ice-lite agent, a STUN server, a TURN server (UDP and TCP)."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any

from aioice import stun
from aioice.turn import make_integrity_key

from channel_recorder.rtc.peer.negotiation import RemoteTransport
from channel_recorder.rtc.wire.sdp import Fingerprint

Address = tuple[str, int]
UFRAG, PASSWORD = "liteufrag", "lite-password-of-22-chars"


async def listen(protocol: asyncio.DatagramProtocol) -> tuple[asyncio.DatagramTransport, Address]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: protocol, local_addr=("127.0.0.1", 0))
    return transport, transport.get_extra_info("sockname")


def remote_transport(
    *candidates: Address,
    ufrag: str = UFRAG,
    fingerprint: Fingerprint = Fingerprint(algorithm="sha-256", value="AB"),  # noqa: B008 (immutable)
) -> RemoteTransport:
    """A far side that is ice-lite."""
    return RemoteTransport(
        ice_ufrag=ufrag,
        ice_pwd=PASSWORD,
        ice_lite=True,
        fingerprints=(fingerprint,),
        dtls_client=True,
        candidates=tuple(f"1 1 udp 2130706431 {host} {port} typ host" for host, port in candidates),
    )


class LiteAgent(asyncio.DatagramProtocol):
    """Answers genuine checks (RFC 8445 section 2.5), of those that `accepts` lets through; keeps the data."""

    def __init__(self, accepts: Callable[[Address], bool] = lambda _: True, ufrag: str = UFRAG) -> None:
        self.accepts = accepts
        self.ufrag = ufrag
        self.received: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
        self.nominated_by: Address | None = None
        self.checks = 0
        self.checked_often = asyncio.Event()

    async def open(self) -> Address:
        self.transport, address = await listen(self)
        return address

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self.accepts(addr):
            return
        if data[0] > 3:
            self.received.put_nowait((data, addr))
            return
        self.checks += 1
        if self.checks == 20:
            self.checked_often.set()
        request = stun.parse_message(data)
        assert request.attributes["USERNAME"].startswith(self.ufrag + ":")
        assert request.check_message_integrity(PASSWORD.encode())
        if "USE-CANDIDATE" in request.attributes:
            assert "ICE-CONTROLLING" in request.attributes
            self.nominated_by = addr
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = addr
        response.add_message_integrity(PASSWORD.encode())
        self.transport.sendto(bytes(response), addr)


class StunServer(asyncio.DatagramProtocol):
    """Tells everybody the same public address."""

    mapped: Address = ("203.0.113.9", 4321)
    requests = 0

    async def open(self) -> Address:
        self.transport, address = await listen(self)
        return address

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.requests += 1
        request = stun.parse_message(data)
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = self.mapped
        self.transport.sendto(bytes(response), addr)


class TurnServer:
    """RFC 8656, as much as one client needs: long-term credential, one allocation for each, channels only."""

    username, credential, realm = "user", "credential", "test"

    def __init__(self) -> None:
        self.allocations: dict[object, TurnAllocation] = {}
        self.relayed_addresses: set[Address] = set()
        self.deleted = 0

    async def open_udp(self) -> Address:
        protocol = _TurnUdp(self)
        protocol.transport, address = await listen(protocol)
        self._closers = [protocol.transport.close]
        return address

    async def open_tcp(self) -> Address:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while header := await reader.readexactly(4):
                    length = int.from_bytes(header[2:4], "big")
                    rest = length + 16 if header[0] < 4 else length + -length % 4
                    await self.receive(header + await reader.readexactly(rest), writer, writer.write)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self._closers = [server.close]
        return server.sockets[0].getsockname()

    def close(self) -> None:
        for close in self._closers:
            close()
        for allocation in self.allocations.values():
            allocation.transport.close()

    async def receive(self, data: bytes, client: object, reply: Callable[[bytes], None]) -> None:
        if data[0] & 0xC0 == 0x40:
            self.allocations[client].send(data)
            return
        request = stun.parse_message(data)
        response = stun.Message(request.message_method, stun.Class.RESPONSE, request.transaction_id)
        key = make_integrity_key(self.username, self.realm, self.credential)
        if not request.check_message_integrity(key):
            response.message_class = stun.Class.ERROR
            response.attributes.update({"ERROR-CODE": (401, "Unauthorized"), "NONCE": b"nonce", "REALM": self.realm})
            response.add_fingerprint()
        else:
            await self._serve(request, response, client, reply)
            response.add_message_integrity(key)
        reply(bytes(response))

    async def _serve(
        self, request: stun.Message, response: stun.Message, client: object, reply: Callable[[bytes], None]
    ) -> None:
        if request.message_method == stun.Method.ALLOCATE:
            allocation = self.allocations[client] = TurnAllocation(reply)
            allocation.transport, relayed = await listen(allocation)
            self.relayed_addresses.add(relayed)
            response.attributes["XOR-RELAYED-ADDRESS"] = relayed
            response.attributes["XOR-MAPPED-ADDRESS"] = ("203.0.113.9", 4321)
            response.attributes["LIFETIME"] = 600
        elif request.message_method == stun.Method.CHANNEL_BIND:
            allocation = self.allocations[client]
            allocation.peers[request.attributes["CHANNEL-NUMBER"]] = request.attributes["XOR-PEER-ADDRESS"]
        elif request.message_method == stun.Method.REFRESH:
            response.attributes["LIFETIME"] = request.attributes["LIFETIME"]
            if request.attributes["LIFETIME"] == 0:
                self.allocations.pop(client).transport.close()
                self.deleted += 1


class TurnAllocation(asyncio.DatagramProtocol):
    """A relayed address."""

    transport: asyncio.DatagramTransport

    def __init__(self, reply: Callable[[bytes], None]) -> None:
        self.peers: dict[int, Address] = {}
        self._reply = reply

    def send(self, data: bytes) -> None:
        channel, length = struct.unpack_from("!HH", data)
        self.transport.sendto(data[4 : 4 + length], self.peers[channel])

    def datagram_received(self, data: bytes, addr: Any) -> None:
        channel = next((number for number, peer in self.peers.items() if peer == addr), None)
        if channel is not None:
            self._reply(struct.pack("!HH", channel, len(data)) + data + bytes(-len(data) % 4))


class _TurnUdp(asyncio.DatagramProtocol):
    transport: asyncio.DatagramTransport

    def __init__(self, server: TurnServer) -> None:
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        task = asyncio.ensure_future(self._server.receive(data, addr, lambda reply: self.transport.sendto(reply, addr)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
