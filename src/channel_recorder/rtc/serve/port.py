"""The UDP port, and the TCP port beside it, that all peer connections of the server share."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Iterable, Iterator, Sequence

from aioice.candidate import candidate_foundation, candidate_priority

from channel_recorder.errors import ConfigError
from channel_recorder.rtc.peer.sockets import WILDCARDS, bind_at, host_addresses
from channel_recorder.rtc.serve.registry import Registry
from channel_recorder.rtc.serve.tcp import TcpListener
from channel_recorder.rtc.serve.udp import UdpEndpoint

_COMPONENT = 1
_UDP_PREFERENCE = 65535
_TCP_PREFERENCE = 4 * 8192 + 8191
"""RFC 6544 section 4.2: direction preference of a passive candidate. Always below those of UDP."""
_FREE_PORT_ATTEMPTS = 20
_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class MediaPort:
    """`open` it once; every ServingTransport lives on it. Close those first."""

    def __init__(
        self,
        registry: Registry,
        endpoints: Sequence[UdpEndpoint],
        listener: TcpListener | None,
        addresses: Sequence[str],
    ) -> None:
        self.registry = registry
        self.udp_port = endpoints[0].port
        self.tcp_port = listener.port if listener else None
        self.candidates = tuple(_candidates(addresses, self.udp_port, self.tcp_port))
        """For every description, as after `candidate:`."""
        self._endpoints = endpoints
        self._listener = listener

    @classmethod
    async def open(
        cls, host: str, udp_port: int, *, tcp_port: int | None = None, advertise: Sequence[str] = ()
    ) -> MediaPort:
        """`host`: an address or a name to bind to; "0.0.0.0" is all of IPv4, "::" and "" are all of both families.
        Port 0 is any free one. `advertise`: the addresses that far sides are told, where they are others than those
        bound to: a public address in front of NAT. Raises OSError, or ConfigError for addresses that are none.

        Of several addresses in one network only the one that the kernel sends from works where all are bound to:
        far sides refuse an answer from another address than they asked. Name the wanted one as `host`."""
        hosts = await _resolve(host)
        addresses = _advertised(advertise, hosts)
        udp = _bind_all(socket.SOCK_DGRAM, hosts, udp_port)
        try:
            tcp = [] if tcp_port is None else _bind_all(socket.SOCK_STREAM, hosts, tcp_port)
        except OSError:
            _close_all(udp)
            raise
        registry = Registry()
        endpoints = [UdpEndpoint(bound, registry) for bound in udp]
        families = {bound.family for bound in udp}
        reachable = [address for address in addresses if _family(address) in families]
        port = cls(registry, endpoints, TcpListener(tcp, registry) if tcp else None, reachable)
        try:
            await port._start()
        except BaseException:
            await port.close()
            _close_all((*udp, *tcp))
            raise
        return port

    @property
    def drops(self) -> dict[str, int]:
        """What was not used or not sent, by reason."""
        return {reason.value: count for reason, count in self.registry.drops.items()}

    async def close(self) -> None:
        for endpoint in self._endpoints:
            await endpoint.close()
        if self._listener is not None:
            await self._listener.close()

    async def _start(self) -> None:
        for endpoint in self._endpoints:
            await endpoint.open()
        if self._listener is not None:
            await self._listener.open()


async def _resolve(host: str) -> list[str]:
    """Addresses to bind to, one of a family."""
    if host in ("", WILDCARDS[socket.AF_INET6]):
        return [WILDCARDS[socket.AF_INET], WILDCARDS[socket.AF_INET6]]
    found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), None, type=socket.SOCK_DGRAM)
    by_family = {family: str(address[0]) for family, *_, address in reversed(found)}
    return [by_family[family] for family in WILDCARDS if family in by_family]


def _advertised(advertise: Sequence[str], hosts: Sequence[str]) -> list[str]:
    if advertise:
        addresses = [_parse_address(address) for address in advertise]
        for address in addresses:
            if _family(address) not in map(_family, hosts):
                raise ConfigError(f"{address} can't be advertised: nothing of its family is bound to")
        return addresses
    ipv4, ipv6 = host_addresses()
    own = {WILDCARDS[socket.AF_INET]: ipv4, WILDCARDS[socket.AF_INET6]: ipv6}
    return [address for host in hosts for address in own.get(host, [host])]


def _parse_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise ConfigError(f"no IP address to advertise: {text[:60]!r}") from error


def _bind_all(kind: socket.SocketKind, hosts: Sequence[str], port: int) -> list[socket.socket]:
    """The same port at each address. A machine without one of the families has the other."""
    for attempt in range(_FREE_PORT_ATTEMPTS):
        try:
            return list(_bind_each(kind, hosts, port))
        except OSError as error:
            # A free port of one family may be taken in the other.
            if error.errno != errno.EADDRINUSE or port or attempt + 1 == _FREE_PORT_ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def _bind_each(kind: socket.SocketKind, hosts: Sequence[str], port: int) -> list[socket.socket]:
    bound: list[socket.socket] = []
    for host in hosts:
        try:
            bound.append(bind_at(kind, host, port))
        except OSError as error:
            is_last = host == hosts[-1]
            if error.errno in _NO_SUCH_FAMILY and (bound or not is_last):
                continue
            _close_all(bound)
            raise
        port = int(bound[0].getsockname()[1])
    return bound


def _close_all(sockets: Iterable[socket.socket]) -> None:
    for each in sockets:
        each.close()


def _candidates(addresses: Sequence[str], udp_port: int, tcp_port: int | None) -> Iterator[str]:
    for i, address in enumerate(addresses):
        yield _candidate("udp", address, udp_port, _UDP_PREFERENCE - i)
    if tcp_port is not None:
        for i, address in enumerate(addresses):
            yield _candidate("tcp", address, tcp_port, _TCP_PREFERENCE - i) + " tcptype passive"


def _candidate(transport: str, address: str, port: int, local_preference: int) -> str:
    foundation = candidate_foundation("host", transport, address)
    priority = candidate_priority(_COMPONENT, "host", local_preference)
    return f"{foundation} {_COMPONENT} {transport} {priority} {address} {port} typ host"


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
