"""ICE (RFC 8445, RFC 8838): aioice's checks and consent, our own sockets, gathering and packet path.

- Role: controlling if the far side is ice-lite (section 6.1.1), else controlled, since it made the offer.
- The answer never waits for a server: host candidates are known at once. STUN and TURN servers are asked only if
  no pair has worked after a head start, so that an unreachable server or resolver costs an ordinary call nothing,
  and no relay is allocated in vain. What they give is trickled.
- So is the address that the route to a remote candidate starts from, if it is no host candidate yet: loopback, or
  a VPN that came up later. A full ICE agent may distrust an address it was not told (pion waits a second).
- aioice queues every datagram and parses each as STUN first; here the first byte decides (RFC 7983) and SRTP goes
  to its receiver in a straight call.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from aioice import stun
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aioice.ice import Connection, StunProtocol

from channel_recorder.errors import MalformedError
from channel_recorder.model import IceServer
from channel_recorder.rtc.peer.relay import RELAY_ERRORS, open_relay
from channel_recorder.rtc.peer.sections import RemoteTransport
from channel_recorder.rtc.peer.servers import ServerAddress, usable_servers
from channel_recorder.rtc.peer.sockets import bind_udp, host_addresses, route_source

GATHER_HEAD_START_SECONDS = 0.2
"""pion accepts a server-reflexive pair after 0.5 s; the candidate is there by then."""
SERVER_TIMEOUT_SECONDS = 5.0
MAX_REMOTE_CANDIDATES = 128
_CHECK_INTERVALS_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
_CONSENT_INTERVALS_SECONDS = (1.0,)
_COMPONENT = 1
# What aioice's parser raises at STUN attributes of the wrong length, or at checks that lack one.
_FOREIGN_STUN_ERRORS = (struct.error, LookupError, AssertionError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class IceHandlers:
    """What an IceTransport calls, straight from the loop."""

    on_media: Callable[[bytes], None]
    """SRTP or SRTCP. Hot path."""
    on_dtls: Callable[[bytes], None]
    on_connected: Callable[[], None]
    on_failed: Callable[[str], None]
    on_candidate: Callable[[str], None]
    """A server-reflexive or relayed candidate, `candidate:...`."""


class IceTransport:
    """One ICE session: one set of credentials, one set of sockets. A restart is a new one."""

    def __init__(
        self,
        remote: RemoteTransport,
        handlers: IceHandlers,
        *,
        servers: Sequence[IceServer] = (),
        port_range: tuple[int, int] | None = None,
    ) -> None:
        self.remote = remote
        self._handlers = handlers
        self._servers = tuple(usable_servers(servers))
        self._port_range = port_range
        self._connection = _Connection(handlers.on_failed, ice_controlling=remote.ice_lite)
        self._connection.remote_is_lite = remote.ice_lite
        self._connection.remote_username = remote.ice_ufrag
        self._connection.remote_password = remote.ice_pwd
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = False

    @property
    def ufrag(self) -> str:
        return self._connection.local_username

    @property
    def password(self) -> str:
        return self._connection.local_password

    @property
    def candidates(self) -> tuple[str, ...]:
        """Host candidates, for the answer."""
        return tuple(candidate.to_sdp() for candidate in self._connection.local_candidates)

    async def open(self) -> None:
        """Bind the sockets. Raises OSError."""
        ipv4, ipv6 = host_addresses()
        for family, addresses in ((socket.AF_INET, ipv4), (socket.AF_INET6, ipv6)):
            if addresses:
                await self._open_socket(family, addresses)
        self._connection.end_gathering()
        for candidate in self.remote.candidates:
            self.add_remote_candidate(candidate)
        for remote in self._connection.remote_candidates:
            self._add_route_to(remote)

    def start(self) -> None:
        """Begin the checks; the answer has been written."""
        self._started = True
        self._spawn(self._run())
        if self._servers:
            self._spawn(self._gather())

    def add_remote_candidate(self, candidate: str) -> None:
        """As in SDP, with or without `candidate:`. What cannot be used is passed over (RFC 8839 section 5.1)."""
        try:
            remote = parse_candidate(candidate)
        except MalformedError:
            return
        if self._connection.pair_with(remote):
            self._add_route_to(remote)

    def send(self, data: bytes) -> None:
        """To the selected pair; dropped where there is none."""
        self._connection.send_now(data)

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._connection.close()

    async def _open_socket(self, family: socket.AddressFamily, addresses: Sequence[str]) -> None:
        udp = bind_udp(family, self._port_range)
        _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(self._make_protocol, sock=udp)
        port = udp.getsockname()[1]
        # RFC 8445 section 5.1.2.1: each candidate has a local preference of its own.
        candidates = [_host_candidate(address, port, 65535 - i) for i, address in enumerate(addresses)]
        self._connection.add_protocol(protocol, candidates)

    def _add_route_to(self, remote: Candidate) -> None:
        address = route_source(remote.host, remote.port)
        local = self._connection.add_host_address(address) if address is not None else None
        if local is not None and self._started:
            self._announce(local)

    def _make_protocol(self) -> _Protocol:
        return _Protocol(self._connection, self._handlers)

    async def _run(self) -> None:
        try:
            await self._connection.connect()
        except ConnectionError:
            self._handlers.on_failed("ICE: no candidate pair works")
            return
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        self._connection.close_unused_relays()
        self._handlers.on_connected()
        await self._connection.get_event()
        # RFC 7675: 30 s without an answer.
        self._handlers.on_failed("ICE: the far side no longer answers")

    async def _gather(self) -> None:
        await asyncio.sleep(GATHER_HEAD_START_SECONDS)
        for address, server in self._servers:
            ask = self._allocate(address, server) if address.is_relay else self._reflect(address)
            self._spawn(ask)

    async def _reflect(self, address: ServerAddress) -> None:
        """Server-reflexive candidate of the IPv4 socket (IPv6 needs none)."""
        protocol = self._connection.ipv4_protocol
        if protocol is None:
            return
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        try:
            async with asyncio.timeout(SERVER_TIMEOUT_SECONDS):
                response, _ = await protocol.request(request, await _resolve(address))
            host, port = response.attributes["XOR-MAPPED-ADDRESS"]
        except (*RELAY_ERRORS, LookupError):
            return
        base = protocol.local_candidate
        self._announce(_derived_candidate("srflx", (host, port), (base.host, base.port)))

    async def _allocate(self, address: ServerAddress, server: IceServer) -> None:
        try:
            async with asyncio.timeout(SERVER_TIMEOUT_SECONDS):
                protocol = await open_relay(address, server, self._make_protocol)
        except RELAY_ERRORS:
            return
        relayed = protocol.transport.get_extra_info("sockname")
        related = protocol.transport.get_extra_info("related_address")
        candidate = _derived_candidate("relay", relayed, related)
        self._connection.add_protocol(protocol, [candidate])
        self._announce(candidate)

    def _announce(self, candidate: Candidate) -> None:
        self._handlers.on_candidate("candidate:" + candidate.to_sdp())

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Protocol(StunProtocol):
    """A socket or relay of one connection."""

    def __init__(self, connection: _Connection, handlers: IceHandlers) -> None:
        super().__init__(connection)
        self._on_media = handlers.on_media
        self._on_dtls = handlers.on_dtls

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """RFC 7983 section 7: the first byte tells the protocol."""
        if not data:
            return
        first = data[0]
        if 127 < first < 192:
            self._on_media(data)
        elif 19 < first < 64:
            self._on_dtls(data)
        elif first < 4:
            try:
                super().datagram_received(data, addr)
            except _FOREIGN_STUN_ERRORS:
                return

    async def request(
        self,
        request: stun.Message,
        addr: tuple[str, int],
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[stun.Message, tuple[str, int]]:
        """Repeat sooner than aioice, which waits 0.5 s: a far side that has not read our answer yet drops the first
        check (RFC 8445 section 14.3 lets the timeout follow the pacing)."""
        if integrity_key is not None:
            request.add_message_integrity(integrity_key)
        intervals = _CONSENT_INTERVALS_SECONDS if retransmissions == 0 else _CHECK_INTERVALS_SECONDS
        transaction = _Transaction(request, addr, self, integrity_key, intervals)
        self.transactions[request.transaction_id] = transaction
        try:
            return await transaction.run()
        finally:
            del self.transactions[request.transaction_id]


class _Transaction(stun.Transaction):
    """A STUN request and its repetitions."""

    def __init__(
        self,
        request: stun.Message,
        addr: tuple[str, int],
        protocol: _Protocol,
        integrity_key: bytes | None,
        intervals_seconds: Sequence[float],
    ) -> None:
        super().__init__(request, addr, protocol)
        self._request = request
        self._addr = addr
        self._protocol = protocol
        self._integrity_key = integrity_key
        self._intervals_seconds = intervals_seconds
        self._response: asyncio.Future[tuple[stun.Message, tuple[str, int]]] = asyncio.Future()

    async def run(self) -> tuple[stun.Message, tuple[str, int]]:
        for seconds in self._intervals_seconds:
            self._protocol.send_stun(self._request, self._addr)
            await asyncio.wait({self._response}, timeout=seconds)
            if self._response.done():
                message, _ = self._response.result()
                if message.message_class == stun.Class.ERROR:
                    raise stun.TransactionFailed(message)
                return self._response.result()
        raise stun.TransactionTimeout

    def response_received(self, message: stun.Message, addr: tuple[str, int]) -> None:
        is_genuine = self._integrity_key is None or message.check_message_integrity(self._integrity_key)
        if is_genuine and not self._response.done():
            self._response.set_result((message, addr))


class _Connection(Connection):
    """aioice's agent, with sockets that come from outside and no queue."""

    def __init__(self, on_lost: Callable[[str], None], *, ice_controlling: bool) -> None:
        super().__init__(ice_controlling=ice_controlling)
        self._on_lost = on_lost

    @property
    def ipv4_protocol(self) -> StunProtocol | None:
        hosts = (p for p in self._protocols if p.local_candidate.type == "host" and ":" not in p.local_candidate.host)
        return next(hosts, None)

    def add_protocol(self, protocol: StunProtocol, candidates: Sequence[Candidate]) -> None:
        """A socket with the candidates it is reached at; pairs are made with the first."""
        protocol.local_candidate = candidates[0]
        self._protocols.append(protocol)
        self._local_candidates += candidates
        for remote in self._remote_candidates:
            self._pair_remote_candidate(remote)
        self.sort_check_list()

    def end_gathering(self) -> None:
        self._local_candidates_end = True

    def add_host_address(self, address: str) -> Candidate | None:
        """One more address that the socket of its family is reached at; None if it is known already."""
        hosts = [candidate for candidate in self._local_candidates if candidate.type == "host"]
        same_family = [candidate for candidate in hosts if (":" in candidate.host) == (":" in address)]
        if not same_family or address in [candidate.host for candidate in same_family]:
            return None
        candidate = _host_candidate(address, same_family[0].port, 65535 - len(same_family))
        self._local_candidates.append(candidate)
        return candidate

    def pair_with(self, remote: Candidate) -> bool:
        """Whether the candidate was taken. Once a pair is selected, checks of others would go nowhere."""
        if self._closing or self._nominated or len(self._remote_candidates) >= MAX_REMOTE_CANDIDATES:
            return False
        self._add_remote_candidate(remote, remote.host)
        return True

    def send_now(self, data: bytes) -> None:
        pair = self._nominated.get(_COMPONENT)
        if pair is not None:
            pair.protocol.transport.sendto(data, pair.remote_addr)

    def close_unused_relays(self) -> None:
        used = {pair.protocol for pair in self._nominated.values()}
        for protocol in [p for p in self._protocols if p.local_candidate.type == "relay" and p not in used]:
            self._protocols.remove(protocol)
            protocol.transport.close()

    def data_received(self, data: bytes, component: int) -> None:
        """What looked like STUN and is none."""

    def protocol_lost(self, protocol: StunProtocol) -> None:
        if not self._closing and any(pair.protocol is protocol for pair in self._nominated.values()):
            self._on_lost("ICE: the relay was lost")


def parse_candidate(text: str) -> Candidate:
    """A candidate that can be paired: UDP, an IP address, the one component. Raises MalformedError for others."""
    try:
        candidate = Candidate.from_sdp(text.strip().removeprefix("candidate:"))
        address = ipaddress.ip_address(candidate.host)
    except ValueError as error:
        # Names (.local) too: the far side's checks make it a peer-reflexive candidate.
        raise MalformedError(f"unusable candidate: {text[:60]!r}") from error
    is_udp = candidate.transport.lower() == "udp" and candidate.component == _COMPONENT
    is_known = candidate.type in ("host", "srflx", "relay") and 0 <= candidate.priority < 2**32
    if not is_udp or not is_known or not 0 < candidate.port < 65536 or "%" in candidate.host:
        raise MalformedError(f"unusable candidate: {text[:60]!r}")
    candidate.host = str(address)
    return candidate


def _host_candidate(address: str, port: int, local_preference: int) -> Candidate:
    return Candidate(
        foundation=candidate_foundation("host", "udp", address),
        component=_COMPONENT,
        transport="udp",
        priority=candidate_priority(_COMPONENT, "host", local_preference),
        host=address,
        port=port,
        type="host",
    )


def _derived_candidate(kind: str, address: tuple[str, int], related: tuple[str, int]) -> Candidate:
    return Candidate(
        foundation=candidate_foundation(kind, "udp", related[0]),
        component=_COMPONENT,
        transport="udp",
        priority=candidate_priority(_COMPONENT, kind),
        host=address[0],
        port=address[1],
        type=kind,
        related_address=related[0],
        related_port=related[1],
    )


async def _resolve(address: ServerAddress) -> tuple[str, int]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address.host, address.port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
    host, port = found[0][4][:2]
    return str(host), int(port)
