"""How many may stand at the doors at once, and how often one may knock in vain. Times come in as numbers."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from channel_recorder.sfu.limits import RateLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    connections: int = 8192
    """In all."""
    strangers: int = 1024
    """Connections of whom no good token has been seen yet."""
    strangers_per_address: int = 64
    """Not for loopback: there a reverse proxy may stand for everybody."""
    head_bytes: int = 256 * 1024
    """Request line and headers. An offer inside a join makes some 2.5 KB of query, metadata in a token up to 90 KB."""
    head_seconds: float = 10.0
    """From the connection, or from a request's first byte, to the end of its headers."""
    message_bytes: int = 2 * 1024 * 1024
    """A WebSocket message, inflated."""
    message_bytes_per_second: float = 1e6
    message_burst_bytes: int = 16_000_000
    """What one client signals, inflated. Compressed, a flood of it costs its sender little."""
    stall_seconds: float = 15.0
    """Who takes nothing for so long of what we send is disconnected."""
    waiting_bytes: int = 4 * 1024 * 1024
    """Who leaves more than this waiting is disconnected; a single message may be longer."""
    refusals_per_second: float = 2.0
    refusal_burst: int = 60
    """Per address, loopback excepted. A good token always gets in: somebody else behind the same address may be bad."""
    addresses: int = 10_000
    """Remembered; the oldest is forgotten."""


class Crowd:
    """Counts connections by what is known of them."""

    def __init__(self, limits: DoorLimits) -> None:
        self._limits = limits
        self._connections = 0
        self._strangers = 0
        self._by_address: Counter[str] = Counter()

    def enter(self, address: str) -> Visit | None:
        """None: there are too many already."""
        limits = self._limits
        if self._connections >= limits.connections or self._strangers >= limits.strangers:
            return None
        is_limited = not is_loopback(address)
        address = neighbourhood(address)
        if is_limited and self._by_address[address] >= limits.strangers_per_address:
            return None
        self._connections += 1
        self._strangers += 1
        self._by_address[address] += 1
        return Visit(self, address)

    def known(self, address: str) -> None:
        self._strangers -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def left(self) -> None:
        self._connections -= 1

    @property
    def connections(self) -> int:
        return self._connections


class Visit:
    """One connection, from its opening to its end."""

    __slots__ = ("_address", "_crowd", "_is_over", "_is_stranger")

    def __init__(self, crowd: Crowd, address: str) -> None:
        self._crowd = crowd
        self._address = address
        self._is_stranger = True
        self._is_over = False

    def is_known(self) -> None:
        """A good token was shown."""
        if self._is_stranger:
            self._is_stranger = False
            self._crowd.known(self._address)

    def end(self) -> None:
        """Twice is once."""
        if not self._is_over:
            self._is_over = True
            self.is_known()
            self._crowd.left()


class Refusals:
    """Who was refused too often is told to wait."""

    def __init__(self, limits: DoorLimits) -> None:
        self._limits = limits
        self._buckets: OrderedDict[str, RateLimit] = OrderedDict()

    def count(self, address: str, now_seconds: float) -> bool:
        """Counts one refusal. False: there were too many."""
        if is_loopback(address):
            return True
        address = neighbourhood(address)
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = RateLimit(self._limits.refusals_per_second, self._limits.refusal_burst, now_seconds)
            self._buckets[address] = bucket
            if len(self._buckets) > self._limits.addresses:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(address)
        return bucket.allows(1, now_seconds)


def neighbourhood(address: str) -> str:
    """What one person commands of the address space: an IPv4 address, or a /64 of IPv6."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed) >> 64 << 64, 64)))


def is_loopback(address: str) -> bool:
    """Also of no address at all, as a UNIX socket has."""
    try:
        return not address or ip_address(neighbourhood(address).removesuffix("/64")).is_loopback or address == "::1"
    except ValueError:
        return False
