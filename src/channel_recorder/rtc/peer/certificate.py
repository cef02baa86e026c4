"""Our certificate, and the check of the far side's (RFC 8122, RFC 8827 section 6.5)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from channel_recorder import clock
from channel_recorder.rtc.wire.sdp import Fingerprint

# A process may record for months; far sides compare the fingerprint and ignore the dates.
_VALIDITY = timedelta(days=3650)
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {  # weakest first
    "sha-256": hashes.SHA256,
    "sha-384": hashes.SHA384,
    "sha-512": hashes.SHA512,
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed ECDSA P-256 certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def fingerprint(self) -> Fingerprint:
        return certificate_fingerprint(self.certificate, "sha-256")


@functools.cache
def process_certificate() -> Certificate:
    """The certificate of this process, made when first asked for."""
    return generate_certificate()


def generate_certificate() -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    # RFC 8827 section 6.5: nothing in it that tells who we are.
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "WebRTC")])
    now = clock.utc_now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALIDITY)
    )
    return Certificate(builder.sign(key, hashes.SHA256()), key)


def certificate_fingerprint(certificate: x509.Certificate, algorithm: str) -> Fingerprint:
    """`algorithm`: sha-256, sha-384 or sha-512."""
    digest = certificate.fingerprint(_HASHES[algorithm]())
    return Fingerprint(algorithm=algorithm, value=digest.hex(":").upper())


def matches_fingerprints(certificate: x509.Certificate, fingerprints: Sequence[Fingerprint]) -> bool:
    """RFC 8122 section 5: the strongest hash offered decides; several values of it are several certificates."""
    for algorithm in reversed(_HASHES):
        values = [fingerprint for fingerprint in fingerprints if fingerprint.algorithm == algorithm]
        if values:
            return certificate_fingerprint(certificate, algorithm) in values
    return False
