"""A bad network between one member and its channel server, on any machine, without rights.

The member is given `ImpairedPath.url` for the server's. What it says there goes on to the server, and every
candidate that the server names is replaced by a port of ours, so that media passes through here too, and is lost,
delayed, doubled or cut as `tests.sim.network` decides. The member's own candidates are left out: the server learns
where it is from its checks.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from math import inf
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
from aiohttp import web
from google.protobuf.message import Message
from livekit.protocol import rtc as pb

from testbed.server_process import ServerProcess
from tests.sim.network import NetworkConditions, SimulatedNetwork

Address = tuple[str, int]
LOOPBACK = "127.0.0.1"
_CANDIDATE = re.compile(r"(candidate:\S+ \d+ udp \d+) (\S+) (\d+) (typ host)", re.IGNORECASE)
_CANDIDATE_LINES = re.compile(r"a=(candidate:|end-of-candidates)[^\r\n]*\r?\n")
_HOP_HEADERS = frozenset({"host", "connection", "upgrade", "content-length", "transfer-encoding"})
_CUT = ((0.0, inf),)


class ImpairedPath:
    """`async with ImpairedPath(server, seed=1, down=..., up=...) as path:` media passes while the block lasts."""

    def __init__(
        self, server: ServerProcess, *, seed: int = 1, down: NetworkConditions, up: NetworkConditions | None = None
    ) -> None:
        """`up`: as `down` unless it is given."""
        self._server = server
        self._seed = seed
        self._down, self._up = down, up or down
        self._relays: dict[Address, _Relay] = {}
        """By the server's address."""
        self._open = asyncio.Event()
        self._open.set()
        self._port = 0

    @property
    def url(self) -> str:
        return f"ws://{LOOPBACK}:{self._port}"

    @property
    def sent(self) -> int:
        """Datagrams, both ways."""
        return sum(network.sent for network in self._networks())

    @property
    def lost(self) -> int:
        return sum(network.lost for network in self._networks())

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession()
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.set()
        await self._client.close()
        await self._runner.cleanup()
        for relay in self._relays.values():
            relay.close()

    # What happens to the network

    def cut(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self._open.clear()
        self._set(replace(self._down, cuts=_CUT), replace(self._up, cuts=_CUT))

    def mend(self) -> None:
        """As it was. What was said on the WebSocket meanwhile arrives now, as TCP has it."""
        self._open.set()
        self._set(self._down, self._up)

    def rebind(self) -> None:
        """A NAT forgets: the server sees the member's packets come from another port."""
        for relay in self._relays.values():
            relay.rebind()

    def _set(self, down: NetworkConditions, up: NetworkConditions) -> None:
        for relay in self._relays.values():
            relay.set(down, up)

    def _networks(self) -> list[SimulatedNetwork]:
        return [network for relay in self._relays.values() for network in relay.networks()]

    # Signalling

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        url = f"http://{LOOPBACK}:{self._server.port}{request.raw_path}"
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP_HEADERS}
        headers = {key: value for key, value in headers.items() if not key.lower().startswith("sec-websocket")}
        await self._open.wait()
        if request.transport is None or request.transport.is_closing():
            # Given up during a cut: as a connection that never came about, it must not join after a later one.
            return web.Response(status=502)
        if request.headers.get("upgrade", "").lower() == "websocket":
            return await self._serve_socket(request, url, headers)
        try:
            async with self._client.request(request.method, url, headers=headers, data=await request.read()) as answer:
                content_type = answer.headers.get("content-type", "text/plain")
                return web.Response(
                    status=answer.status, body=await answer.read(), headers={"content-type": content_type}
                )
        except aiohttp.ClientError:
            return web.Response(status=502)

    async def _serve_socket(self, request: web.Request, url: str, headers: dict[str, str]) -> web.StreamResponse:
        try:
            server = await self._client.ws_connect(url, headers=headers, autoping=False, max_msg_size=0)
        except aiohttp.WSServerHandshakeError as refused:
            return web.Response(status=refused.status, text=refused.message)
        except aiohttp.ClientError:
            return web.Response(status=502)
        member = web.WebSocketResponse(autoping=False, max_msg_size=0)
        try:
            await member.prepare(request)
        except ConnectionResetError:  # it has given up meanwhile
            await server.close()
            return member
        pumps = [
            asyncio.create_task(self._pump(server, member, self._to_member)),
            asyncio.create_task(self._pump(member, server, self._to_server)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.wait(pumps)
        await server.close()
        await member.close()
        return member

    async def _pump(self, source: Any, sink: Any, rewrite: Callable[[bytes], Message | None]) -> None:
        """Until either end closes. `source`, `sink`: WebSockets of aiohttp, a server's and a client's."""
        async for message in source:
            await self._open.wait()
            if message.type is aiohttp.WSMsgType.BINARY:
                rewritten = rewrite(message.data)
                if rewritten is not None:
                    await sink.send_bytes(rewritten.SerializeToString())
            elif message.type is aiohttp.WSMsgType.PING:
                await sink.ping(message.data)
            elif message.type is aiohttp.WSMsgType.PONG:
                await sink.pong(message.data)

    def _to_member(self, data: bytes) -> Message | None:
        response = pb.SignalResponse.FromString(data)
        match response.WhichOneof("message"):
            case "offer":
                response.offer.sdp = self._with_our_candidates(response.offer.sdp)
            case "answer":
                response.answer.sdp = self._with_our_candidates(response.answer.sdp)
            case "trickle":
                init = json.loads(response.trickle.candidateInit or "{}")
                candidate = self._ours(init.get("candidate", ""))
                if candidate is None:
                    return None
                response.trickle.candidateInit = json.dumps(init | {"candidate": candidate})
            case _:
                pass
        return response

    def _to_server(self, data: bytes) -> Message | None:
        request = pb.SignalRequest.FromString(data)
        match request.WhichOneof("message"):
            case "offer":
                request.offer.sdp = _CANDIDATE_LINES.sub("", request.offer.sdp)
            case "answer":
                request.answer.sdp = _CANDIDATE_LINES.sub("", request.answer.sdp)
            case "trickle" if not request.trickle.final:
                return None
            case _:
                pass
        return request

    def _with_our_candidates(self, sdp: str) -> str:
        lines = [self._ours(line) if line.startswith("a=candidate:") else line for line in sdp.split("\r\n")]
        return "\r\n".join(line for line in lines if line is not None)

    def _ours(self, candidate: str) -> str | None:
        """With a port of ours in place of the server's; None for one that is no UDP."""
        if not candidate:
            return candidate
        found = _CANDIDATE.search(candidate)
        if found is None:
            return None
        address = (found[2], int(found[3]))
        relay = self._relays.get(address)
        if relay is None:
            relay = self._relays[address] = _Relay(address, self._seed, self._down, self._up)
        host, port = relay.address
        return f"{candidate[: found.start()]}{found[1]} {host} {port} {found[4]}{candidate[found.end() :]}"


class _Relay:
    """Media of one address of the server's, from as many ports of the member's as it tries."""

    def __init__(self, server: Address, seed: int, down: NetworkConditions, up: NetworkConditions) -> None:
        self._server = server
        self._seed = seed
        self._conditions = (down, up)
        self._flows: dict[Address, _Flow] = {}
        """By the member's address."""
        self._front = _Socket(self._from_member)
        self.address = self._front.address

    def networks(self) -> list[SimulatedNetwork]:
        return [link.network for flow in self._flows.values() for link in (flow.down, flow.up)]

    def set(self, down: NetworkConditions, up: NetworkConditions) -> None:
        self._conditions = (down, up)
        for flow in self._flows.values():
            flow.down.network.conditions, flow.up.network.conditions = down, up

    def rebind(self) -> None:
        for flow in self._flows.values():
            flow.rebind()

    def close(self) -> None:
        self._front.close()
        for flow in self._flows.values():
            flow.close()

    def _from_member(self, datagram: bytes, member: Address) -> None:
        flow = self._flows.get(member)
        if flow is None:
            seed = self._seed + 2 * len(self._flows)
            flow = self._flows[member] = _Flow(self._server, member, self._front, seed, *self._conditions)
        flow.up.send(datagram)


class _Flow:
    """One port of the member's, as the server sees it."""

    def __init__(
        self,
        server: Address,
        member: Address,
        front: _Socket,
        seed: int,
        down: NetworkConditions,
        up: NetworkConditions,
    ) -> None:
        self._server = server
        self._back = _Socket(lambda datagram, _server: self.down.send(datagram))
        self.down = _Link(SimulatedNetwork(seed, down), lambda datagram: front.send(datagram, member))
        self.up = _Link(SimulatedNetwork(seed + 1, up), lambda datagram: self._back.send(datagram, self._server))

    def rebind(self) -> None:
        self._back.close()
        self._back = _Socket(lambda datagram, _server: self.down.send(datagram))

    def close(self) -> None:
        self._back.close()
        self.down.close()
        self.up.close()


class _Link:
    """One direction: a simulated network on the loop's clock."""

    def __init__(self, network: SimulatedNetwork, deliver: Callable[[bytes], None]) -> None:
        self.network = network
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def send(self, datagram: bytes) -> None:
        self.network.send(datagram, self._loop.time())
        self._arm()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        due = self.network.next_seconds
        if due == inf:
            return
        if self._timer is None or self._timer.when() > due:
            self.close()
            self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        for datagram in self.network.receive(self._loop.time()):
            self._deliver(datagram)
        self._arm()


class _Socket:
    """A UDP port on loopback."""

    def __init__(self, receive: Callable[[bytes, Address], None]) -> None:
        self._receive = receive
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        self._socket.bind((LOOPBACK, 0))
        self.address = cast("Address", self._socket.getsockname())
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._on_readable)

    def send(self, datagram: bytes, to: Address) -> None:
        try:
            self._socket.sendto(datagram, to)
        except OSError:
            return  # nobody listens there any more, or the buffer is full: lost, as on any network

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _on_readable(self) -> None:
        while True:
            try:
                datagram, sender = self._socket.recvfrom(65536)
            except ConnectionError:
                continue  # an answer to something sent where nobody listens
            except BlockingIOError:
                return
            self._receive(datagram, cast("Address", sender))
