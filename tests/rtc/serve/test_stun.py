"""Checks are read as RFC 8489 writes them, whatever bytes come."""

from __future__ import annotations

import struct

import pytest
from aioice import stun
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.serve.stun import (
    MAX_ATTRIBUTES,
    MAX_MESSAGE_BYTES,
    BindingRequest,
    error_response,
    parse_binding_request,
    success_response,
)
from tests.rtc.serve.checks import FAR_UFRAG, HIGH, PASSWORD, UFRAG, check

KEY = PASSWORD.encode()
# RFC 5769 section 2.1.
SAMPLE = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74"
    "002400046e0001ff"
    "80290008932ff9b151263b36"
    "000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004e57a3bcf"
)
SAMPLE_PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"


def with_attribute(kind: int, value: bytes, *, before_signature: bool = True) -> bytes:
    """A signed check with one more attribute."""
    message, more = check(), attribute(kind, value)
    if not before_signature:
        return finish(message[:20], message[20:-8] + more)
    unsigned = message[:-32] + more
    return finish(message[:20], unsigned[20:] + attribute(0x0008, stun.message_integrity(unsigned, KEY)))


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def finish(header: bytes, body: bytes) -> bytes:
    message = header[:2] + struct.pack("!H", len(body) + 8) + header[4:20] + body
    return message + struct.pack("!HHI", 0x8028, 4, stun.message_fingerprint(message))


def test_the_sample_of_the_standard_is_understood():
    request = parse_binding_request(SAMPLE)
    assert request.username == b"evtj:h6vY"
    assert (request.receiver_ufrag, request.sender_ufrag) == (b"evtj", b"h6vY")
    assert request.priority == 0x6E0001FF
    assert request.from_controlled
    assert not request.uses_candidate
    assert request.unknown == ()
    assert request.is_signed(SAMPLE_PASSWORD)
    assert not request.is_signed(SAMPLE_PASSWORD[:-1])


def test_a_check_of_aioice_is_understood():
    request = parse_binding_request(check(nominate=True))
    assert request.username == f"{UFRAG}:{FAR_UFRAG}".encode()
    assert (request.priority, request.uses_candidate, request.from_controlled) == (HIGH, True, False)
    assert request.is_signed(KEY)


@pytest.mark.parametrize("address", [("192.0.2.77", 61234), ("2001:db8::77", 1), ("fe80::1%eth0", 65535)])
def test_the_far_side_is_told_its_address(address: tuple[str, int]):
    request = parse_binding_request(check())
    response = stun.parse_message(success_response(request, *address, KEY))
    assert response.check_message_integrity(KEY)
    assert response.message_class == stun.Class.RESPONSE
    assert response.transaction_id == request.message[8:20]
    host, port = response.attributes["XOR-MAPPED-ADDRESS"]
    assert (host, port) == (address[0].partition("%")[0], address[1])


@pytest.mark.parametrize("password", [None, KEY])
def test_an_error_is_understood(password: bytes | None):
    response = stun.parse_message(error_response(parse_binding_request(check()), 487, password))
    assert response.message_class == stun.Class.ERROR
    assert response.error_code == 487
    assert response.check_message_integrity(KEY) is (password is not None)


def test_an_unsigned_error_is_no_longer_than_the_shortest_check():
    message = check(username=f"{UFRAG}:f", password=None, priority=None)
    assert len(error_response(parse_binding_request(message), 400)) <= len(message)


def test_an_unknown_attribute_that_matters_is_named():
    request = parse_binding_request(with_attribute(0x7ABC, b"12345"))
    assert request.is_signed(KEY)
    assert request.unknown == (0x7ABC,)
    response = error_response(request, 420, KEY)
    assert struct.pack("!HHH", 0x000A, 2, 0x7ABC) in response


def test_an_unknown_attribute_that_may_be_ignored_is():
    # libwebrtc's GOOG_NETWORK_INFO.
    request = parse_binding_request(with_attribute(0xC057, b"\0\0\0\1"))
    assert request.is_signed(KEY)
    assert request.unknown == ()


def test_what_follows_the_signature_is_ignored():
    request = parse_binding_request(with_attribute(0x0025, b"", before_signature=False))
    assert request.is_signed(KEY)
    assert not request.uses_candidate


def test_the_first_of_two_attributes_counts():
    request = parse_binding_request(with_attribute(0x0006, b"somebody:else"))
    assert request.receiver_ufrag == UFRAG.encode()


@pytest.mark.parametrize(
    "message",
    [
        b"",
        SAMPLE[:20],
        SAMPLE[:-8],
        SAMPLE[:-4],
        b"\x00\x01" + bytes(26),
        b"\x01\x01" + SAMPLE[2:],  # a response
        SAMPLE[:4] + b"\x21\x12\xa4\x43" + SAMPLE[8:],
        SAMPLE[:-1] + b"\xce",  # the fingerprint
        SAMPLE + bytes(4),
        finish(SAMPLE[:20], b"\x00\x06\x00\x40abcd"),  # beyond the end
        finish(SAMPLE[:20], b"\x00\x08\x00\x04abcd"),  # a short signature
        finish(SAMPLE[:20], b"\x00\x24\x00\x02ab\0\0"),  # a short priority
        finish(SAMPLE[:20], b"\xc0\x01\x00\x00" * (MAX_ATTRIBUTES + 1)),
        finish(SAMPLE[:20], b"\xc0\x01\x08\x00" + bytes(MAX_MESSAGE_BYTES)),
    ],
)
def test_what_is_no_check_is_malformed(message: bytes):
    with pytest.raises(MalformedError):
        parse_binding_request(message)


def test_a_changed_check_is_not_genuine():
    """Every bit of what is signed, with a fingerprint that fits again."""
    message = check(nominate=True)
    for position in (0, 1, *range(4, len(message) - 8)):  # the length is that of the message anyway
        for bit in range(8):
            changed = bytearray(message)
            changed[position] ^= 1 << bit
            try:
                request = parse_binding_request(finish(bytes(changed[:20]), bytes(changed[20:-8])))
            except MalformedError:
                continue
            assert not request.is_signed(KEY)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_malformed(garbage: bytes, framed: bool):
    message = finish(SAMPLE[:20], garbage[: len(garbage) // 4 * 4]) if framed else garbage
    try:
        request = parse_binding_request(message)
    except MalformedError:
        return
    assert isinstance(request, BindingRequest)
    assert not request.is_signed(KEY)
    for code in (400, 401, 420, 487):
        stun.parse_message(error_response(request, code, KEY))
