"""Sockets for media and the addresses they are reached at.

A connection of the recorder has one socket per address family, bound to the wildcard address: the kernel then picks
the source address by the route to the far side, a change of addresses during a call does no harm, and there is one
socket to poll however many interfaces (bridges, VPNs) the machine has. It is never shared between connections, since
those to one LiveKit node all have the same remote address. The server's one port is bound by `bind_at`.
"""

from __future__ import annotations

import errno
import ipaddress
import random
import socket
from collections.abc import Iterator

import ifaddr

RECEIVE_BUFFER_BYTES = 1 << 20
"""A key frame arrives in a burst; the kernel caps this at net.core.rmem_max."""
SHARED_BUFFER_BYTES = 8 << 20
"""Of the server's UDP port, to receive and to send: many senders' key frames, each sent on to everybody."""
WILDCARDS = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}


def host_addresses() -> tuple[list[str], list[str]]:
    """This machine's IPv4 and IPv6 addresses that others may reach; loopback where there is nothing else."""
    found = sorted({*_all_addresses()})
    addresses = [ipaddress.ip_address(text) for text in found]
    usable = [address for address in addresses if not address.is_loopback and not _is_link_local_v6(address)]
    ipv4 = [str(address) for address in usable if address.version == 4]
    ipv6 = [str(address) for address in usable if address.version == 6]
    return ipv4 or ([] if ipv6 else ["127.0.0.1"]), ipv6


def bind_udp(family: socket.AddressFamily, port_range: tuple[int, int] | None) -> socket.socket:
    """A non-blocking UDP socket at the wildcard address, on a free port of the range. Raises OSError."""
    for port in _ports(port_range):
        try:
            return _bind(family, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, f"no free UDP port in the range {port_range}")


def route_source(host: str, port: int) -> str | None:
    """The local address that datagrams to this one leave from. Nothing is sent."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, port))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def bind_at(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    """A non-blocking socket for the many: UDP with large buffers, or TCP. `host`: an IP address. Raises OSError."""
    bound = _bind(socket.AF_INET6 if ":" in host else socket.AF_INET, port, kind, host)
    if kind == socket.SOCK_DGRAM:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SHARED_BUFFER_BYTES)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SHARED_BUFFER_BYTES)
    return bound


def _bind(
    family: socket.AddressFamily,
    port: int,
    kind: socket.SocketKind = socket.SOCK_DGRAM,
    host: str | None = None,
) -> socket.socket:
    bound = socket.socket(family, kind)
    try:
        bound.setblocking(False)
        if kind == socket.SOCK_STREAM:
            # A server that starts again right away finds connections of its predecessor in TIME_WAIT.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host or WILDCARDS[family], port))
    except OSError:
        bound.close()
        raise
    return bound


def _ports(port_range: tuple[int, int] | None) -> Iterator[int]:
    """Every port of the range once, from a random start: many connections rarely try the same one."""
    if port_range is None:
        yield 0
        return
    low, high = port_range
    count = high - low + 1
    start = random.randrange(count)
    for offset in range(count):
        yield low + (start + offset) % count


def _all_addresses() -> Iterator[str]:
    for adapter in ifaddr.get_adapters():
        for each in adapter.ips:
            # IPv4 as text, IPv6 as (address, flow info, scope id).
            yield each.ip if isinstance(each.ip, str) else each.ip[0]


def _is_link_local_v6(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.version == 6 and address.is_link_local
