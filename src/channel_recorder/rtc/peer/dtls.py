"""DTLS 1.2 (RFC 6347) for SRTP keys (RFC 5764) and data channels: a sans-IO core over OpenSSL's memory BIOs.

After every call drain `datagrams_to_send()` and `application_data()`, look at `state`, and re-arm one timer from
`timeout_seconds()`. OpenSSL keeps the time of its retransmissions itself, so no time is passed in.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from OpenSSL import SSL

from channel_recorder.rtc.peer.certificate import Certificate, matches_fingerprints
from channel_recorder.rtc.peer.srtp import PROFILES, SrtpKeys, SrtpProfile
from channel_recorder.rtc.wire.sdp import Fingerprint

MAX_DATAGRAM_BYTES = 1200
"""Fits every path WebRTC is run over, relays included."""
_RECORD_HEADER_BYTES = 13
_MAX_RECORD_BYTES = 16_384
_DTLS_1_2 = 0xFEFD
# RFC 8827 section 6.5 asks for the first; the far side may have an RSA certificate.
_CIPHERS = b":".join(
    (
        b"ECDHE-ECDSA-AES128-GCM-SHA256",
        b"ECDHE-RSA-AES128-GCM-SHA256",
        b"ECDHE-ECDSA-CHACHA20-POLY1305",
        b"ECDHE-RSA-CHACHA20-POLY1305",
        b"ECDHE-ECDSA-AES256-GCM-SHA384",
        b"ECDHE-RSA-AES256-GCM-SHA384",
        b"ECDHE-ECDSA-AES128-SHA",
        b"ECDHE-RSA-AES128-SHA",
    )
)


class DtlsState(StrEnum):
    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"
    CLOSED = "closed"
    """The far side said good-bye (close_notify), or we did."""


@dataclass(frozen=True, slots=True)
class DtlsParameters:
    is_client: bool
    fingerprints: tuple[Fingerprint, ...]
    """Of the far side's certificate, as its SDP says."""


class DtlsCore:
    """One association. `detail` tells in words why it failed or closed."""

    def __init__(
        self,
        certificate: Certificate,
        parameters: DtlsParameters,
        profiles: Sequence[SrtpProfile] = PROFILES,
    ) -> None:
        self.state = DtlsState.CONNECTING
        self.detail = ""
        self.srtp_keys: SrtpKeys | None = None
        """Set once connected."""
        self._parameters = parameters
        self._profiles = {profile.openssl_name: profile for profile in profiles}
        self._received: list[bytes] = []
        # Kept: the context must outlive the association.
        self._ssl = SSL.Connection(_context(certificate, tuple(profiles)), None)
        self._ssl.set_ciphertext_mtu(MAX_DATAGRAM_BYTES)
        if parameters.is_client:
            self._ssl.set_connect_state()
        else:
            self._ssl.set_accept_state()

    def start(self) -> None:
        """The client's first flight; a server waits."""
        self._advance()

    def receive(self, datagram: bytes) -> None:
        """One datagram from the network, whatever it holds."""
        if self.state not in (DtlsState.CONNECTING, DtlsState.CONNECTED) or not datagram:
            return
        self._ssl.bio_write(datagram)
        self._advance()

    def handle_timeout(self) -> None:
        """To be called after `timeout_seconds()`: sends the last flight again (RFC 6347 section 4.2.4)."""
        if self.state is DtlsState.CONNECTING:
            self._guard(self._ssl.DTLSv1_handle_timeout)

    def timeout_seconds(self) -> float | None:
        """Seconds until `handle_timeout`, None: nothing is waiting for an answer."""
        return self._ssl.DTLSv1_get_timeout() if self.state is DtlsState.CONNECTING else None

    def send(self, data: bytes) -> None:
        """Encrypt application data (one SCTP packet). Ignored unless connected."""
        if self.state is DtlsState.CONNECTED:
            self._guard(lambda: self._ssl.send(data))

    def close(self) -> None:
        """Say good-bye (close_notify), if there is anybody to say it to."""
        if self.state is DtlsState.CONNECTED:
            self._guard(self._ssl.shutdown)
        if self.state in (DtlsState.CONNECTING, DtlsState.CONNECTED):
            self.state, self.detail = DtlsState.CLOSED, "closed by us"

    def application_data(self) -> list[bytes]:
        """What was decrypted since the last call, a list entry for each record."""
        received, self._received = self._received, []
        return received

    def datagrams_to_send(self) -> list[bytes]:
        """What OpenSSL wants sent. Its memory BIO glues records together; this cuts them into datagrams again."""
        return pack_records(self._read_output())

    def _read_output(self) -> bytes:
        chunks: list[bytes] = []
        try:
            while True:
                chunks.append(self._ssl.bio_read(65536))
        except SSL.Error:  # WantReadError: nothing left
            return b"".join(chunks)

    def _advance(self) -> None:
        if self.state is DtlsState.CONNECTING and self._guard(self._ssl.do_handshake):
            self._finish_handshake()
        while self.state is DtlsState.CONNECTED and self._guard(self._read_application_data):
            pass

    def _read_application_data(self) -> None:
        self._received.append(self._ssl.recv(_MAX_RECORD_BYTES))

    def _guard(self, operation: Callable[[], object]) -> bool:
        """Whether OpenSSL was satisfied; wanting more input is no failure."""
        try:
            operation()
        except SSL.WantReadError:
            return False
        except SSL.ZeroReturnError:
            self.state, self.detail = DtlsState.CLOSED, "the far side closed the DTLS association"
            return False
        except SSL.Error as error:
            self._fail(f"DTLS failed: {_describe(error)}")
            return False
        return True

    def _finish_handshake(self) -> None:
        certificate = self._ssl.get_peer_certificate(as_cryptography=True)
        if certificate is None or not matches_fingerprints(certificate, self._parameters.fingerprints):
            self._ssl.shutdown()
            self._fail("the far side's certificate does not match the fingerprint of its offer")
            return
        profile = self._profiles.get(self._ssl.get_selected_srtp_profile())
        if profile is None:
            self._fail("no SRTP profile in common")
            return
        self.srtp_keys = self._export_keys(profile)
        self.state = DtlsState.CONNECTED

    def _export_keys(self, profile: SrtpProfile) -> SrtpKeys:
        """RFC 5764 section 4.2: client key, server key, client salt, server salt."""
        key, salt = profile.key_bytes, profile.salt_bytes
        material = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        local, remote = (client, server) if self._parameters.is_client else (server, client)
        return SrtpKeys(profile=profile, local=local, remote=remote)

    def _fail(self, detail: str) -> None:
        self.state, self.detail = DtlsState.FAILED, detail


def pack_records(output: bytes) -> list[bytes]:
    """Whole DTLS records, as many to a datagram as fit (RFC 6347 section 4.1.1)."""
    datagrams: list[bytes] = []
    start = position = 0
    while position + _RECORD_HEADER_BYTES <= len(output):
        end = position + _RECORD_HEADER_BYTES + int.from_bytes(output[position + 11 : position + 13], "big")
        if end - start > MAX_DATAGRAM_BYTES and position > start:
            datagrams.append(output[start:position])
            start = position
        position = end
    if start < len(output):
        datagrams.append(output[start:])
    return datagrams


@functools.lru_cache(maxsize=4)
def _context(certificate: Certificate, profiles: tuple[SrtpProfile, ...]) -> SSL.Context:
    """Shared by all associations of a process: making one costs more than a handshake."""
    context = SSL.Context(SSL.DTLS_METHOD)
    # One record format only: pack_records reads that of DTLS 1.2.
    context.set_min_proto_version(_DTLS_1_2)
    context.set_max_proto_version(_DTLS_1_2)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # The SDP's fingerprint decides, not a certificate authority.
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept_any)
    context.use_certificate(certificate.certificate)
    context.use_privatekey(certificate.key)
    context.set_cipher_list(_CIPHERS)
    context.set_tlsext_use_srtp(b":".join(profile.openssl_name for profile in profiles))
    return context


def _accept_any(*_: object) -> bool:
    return True


def _describe(error: SSL.Error) -> str:
    """OpenSSL's own words: pyOpenSSL raises with a list of (library, function, reason)."""
    reasons = cast("list[tuple[str, str, str]]", error.args[0]) if error.args else []
    return ", ".join(reason[-1] for reason in reasons) or type(error).__name__
