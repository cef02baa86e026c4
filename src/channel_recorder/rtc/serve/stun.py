"""STUN (RFC 8489) as an ice-lite agent needs it: binding requests in, responses out.

Everybody who reaches the port may ask, so what it costs counts: aioice's STUN module takes twice as long for an
answer, 17 times as long for a datagram made to be slow (500 attributes in 2 KB: 0.1 ms), and reads 64 KB of them;
nor does it say which attributes it should have understood.
"""

from __future__ import annotations

import binascii
import hmac
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, inet_pton

from channel_recorder.errors import MalformedError

MAX_MESSAGE_BYTES = 2048
MAX_ATTRIBUTES = 32
_HEADER_BYTES = 20
_INTEGRITY_BYTES = 24
_FINGERPRINT_BYTES = 8
_COOKIE = 0x2112A442
_FINGERPRINT_XOR = 0x5354554E
_BINDING_REQUEST = 0x0001
_BINDING_SUCCESS = 0x0101
_BINDING_ERROR = 0x0111
_USERNAME = 0x0006
_MESSAGE_INTEGRITY = 0x0008
_ERROR_CODE = 0x0009
_UNKNOWN_ATTRIBUTES = 0x000A
_XOR_MAPPED_ADDRESS = 0x0020
_PRIORITY = 0x0024
_USE_CANDIDATE = 0x0025
_FINGERPRINT = 0x8028
_ICE_CONTROLLED = 0x8029
_UNDERSTOOD = frozenset({_USERNAME, _MESSAGE_INTEGRITY, _PRIORITY, _USE_CANDIDATE})
_OPTIONAL = 0x8000
"""Types from here on may be ignored by who does not know them (RFC 8489 section 14)."""
_MAX_UNKNOWN_NAMED = 8


@dataclass(frozen=True, slots=True)
class BindingRequest:
    """A connectivity check whose form and FINGERPRINT are right. Nothing is known of its origin before `is_signed`."""

    message: bytes
    username: bytes
    priority: int | None
    uses_candidate: bool
    from_controlled: bool
    """The far side believes that we are the controlling agent."""
    unknown: tuple[int, ...]
    """Attributes that must be understood, and are not."""
    integrity_offset: int
    """0: there is no MESSAGE-INTEGRITY."""

    @property
    def receiver_ufrag(self) -> bytes:
        """RFC 8445 section 7.2.2: the username fragment of who is asked, a colon, that of who asks."""
        return self.username.partition(b":")[0]

    @property
    def sender_ufrag(self) -> bytes:
        return self.username.partition(b":")[2]

    def is_signed(self, password: bytes) -> bool:
        """RFC 8489 section 14.5: as if the message ended with this attribute."""
        offset = self.integrity_offset
        if not offset:
            return False
        signature = self.message[offset + 4 : offset + _INTEGRITY_BYTES]
        return hmac.compare_digest(signature, _signature(self.message[:offset], password))


def parse_binding_request(message: bytes) -> BindingRequest:
    """Raises MalformedError, also for STUN messages of other kinds."""
    size = len(message)
    if not _HEADER_BYTES + _FINGERPRINT_BYTES <= size <= MAX_MESSAGE_BYTES or size % 4:
        raise MalformedError(f"STUN message of {size} bytes")
    kind, length, cookie = struct.unpack_from("!HHI", message)
    if kind != _BINDING_REQUEST or cookie != _COOKIE or length != size - _HEADER_BYTES:
        raise MalformedError("no STUN binding request")
    _check_fingerprint(message)
    attributes, unknown = _attributes(message)
    integrity = attributes.get(_MESSAGE_INTEGRITY)
    if integrity is not None and integrity[1] != _INTEGRITY_BYTES - 4:
        raise MalformedError("STUN message integrity of a wrong size")
    return BindingRequest(
        message=message,
        username=_value(message, attributes, _USERNAME) or b"",
        priority=_priority(message, attributes),
        uses_candidate=_USE_CANDIDATE in attributes,
        from_controlled=_ICE_CONTROLLED in attributes,
        unknown=unknown,
        integrity_offset=integrity[0] - 4 if integrity else 0,
    )


def success_response(request: BindingRequest, host: str, port: int, password: bytes) -> bytes:
    attributes = _attribute(_XOR_MAPPED_ADDRESS, _xor_address(request, host, port))
    return _finish(_BINDING_SUCCESS, request, attributes, password)


def error_response(request: BindingRequest, code: int, password: bytes | None = None) -> bytes:
    """Unsigned where the request was not, or not rightly. Without words, so that it is never longer than what it
    answers: nothing to be amplified."""
    attributes = _attribute(_ERROR_CODE, struct.pack("!HBB", 0, code // 100, code % 100))
    if code == 420:
        named = request.unknown[:_MAX_UNKNOWN_NAMED]
        attributes += _attribute(_UNKNOWN_ATTRIBUTES, struct.pack(f"!{len(named)}H", *named))
    return _finish(_BINDING_ERROR, request, attributes, password)


def _check_fingerprint(message: bytes) -> None:
    """RFC 8489 section 14.7, always there with ICE, always last: a cheap look before anything else."""
    kind, length, value = struct.unpack_from("!HHI", message, len(message) - _FINGERPRINT_BYTES)
    if kind != _FINGERPRINT or length != 4 or value != _fingerprint(message[:-_FINGERPRINT_BYTES]):
        raise MalformedError("STUN message without a right fingerprint")


def _attributes(message: bytes) -> tuple[Mapping[int, tuple[int, int]], tuple[int, ...]]:
    """Offset and length of each value, the first of a kind, up to what is signed; and the types not understood."""
    found: dict[int, tuple[int, int]] = {}
    unknown: list[int] = []
    end = len(message) - _FINGERPRINT_BYTES
    offset = _HEADER_BYTES
    for _ in range(MAX_ATTRIBUTES):
        # RFC 8489 section 14.5: what follows the signature is ignored.
        if offset == end or _MESSAGE_INTEGRITY in found:
            return found, tuple(unknown)
        if offset > end:
            break
        kind, length = struct.unpack_from("!HH", message, offset)
        found.setdefault(kind, (offset + 4, length))
        if kind < _OPTIONAL and kind not in _UNDERSTOOD:
            unknown.append(kind)
        offset += 4 + length + -length % 4
    raise MalformedError("STUN attributes beyond the end, or too many")


def _value(message: bytes, attributes: Mapping[int, tuple[int, int]], kind: int) -> bytes | None:
    position = attributes.get(kind)
    return message[position[0] : position[0] + position[1]] if position else None


def _priority(message: bytes, attributes: Mapping[int, tuple[int, int]]) -> int | None:
    value = _value(message, attributes, _PRIORITY)
    if value is None:
        return None
    if len(value) != 4:
        raise MalformedError("STUN priority of a wrong size")
    return int.from_bytes(value, "big")


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def _xor_address(request: BindingRequest, host: str, port: int) -> bytes:
    """RFC 8489 section 14.2."""
    is_v6 = ":" in host
    packed = inet_pton(AF_INET6 if is_v6 else AF_INET, host.partition("%")[0])
    # Cookie and transaction id, as they stand in the header.
    mask = request.message[4 : 4 + len(packed)]
    address = (int.from_bytes(packed, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(packed), "big")
    return struct.pack("!BBH", 0, 2 if is_v6 else 1, port ^ (_COOKIE >> 16)) + address


def _finish(kind: int, request: BindingRequest, attributes: bytes, password: bytes | None) -> bytes:
    message = struct.pack("!HH", kind, len(attributes)) + request.message[4:_HEADER_BYTES] + attributes
    if password is not None:
        message += _attribute(_MESSAGE_INTEGRITY, _signature(message, password))
    message = _with_length(message, _FINGERPRINT_BYTES)
    return message + _attribute(_FINGERPRINT, struct.pack("!I", _fingerprint(message)))


def _signature(unsigned: bytes, password: bytes) -> bytes:
    return hmac.digest(password, _with_length(unsigned, _INTEGRITY_BYTES), "sha1")


def _fingerprint(message: bytes) -> int:
    return binascii.crc32(message) ^ _FINGERPRINT_XOR


def _with_length(message: bytes, more: int) -> bytes:
    """The header tells the length with the attribute that is about to be appended."""
    return message[:2] + struct.pack("!H", len(message) - _HEADER_BYTES + more) + message[4:]
