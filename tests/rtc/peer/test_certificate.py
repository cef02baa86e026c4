from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from channel_recorder.rtc.peer.certificate import (
    certificate_fingerprint,
    generate_certificate,
    matches_fingerprints,
    process_certificate,
)
from channel_recorder.rtc.wire.sdp import Fingerprint

OURS = generate_certificate().certificate
OTHER = generate_certificate().certificate


def test_a_process_has_one_certificate():
    assert process_certificate() is process_certificate()
    assert isinstance(process_certificate().key.curve, ec.SECP256R1)


def test_the_fingerprint_is_written_as_sdp_wants_it():
    fingerprint = process_certificate().fingerprint
    assert fingerprint.algorithm == "sha-256"
    assert bytes.fromhex(fingerprint.value.replace(":", "")).hex(":").upper() == fingerprint.value
    assert len(fingerprint.value) == 32 * 3 - 1


def test_every_hash_of_a_certificate_is_recognised():
    for algorithm in ("sha-256", "sha-384", "sha-512"):
        assert matches_fingerprints(OURS, [certificate_fingerprint(OURS, algorithm)])
        assert not matches_fingerprints(OTHER, [certificate_fingerprint(OURS, algorithm)])


def test_the_strongest_hash_decides():
    strong, weak = certificate_fingerprint(OTHER, "sha-512"), certificate_fingerprint(OURS, "sha-256")
    assert not matches_fingerprints(OURS, [weak, strong])


def test_one_of_several_certificates_is_enough():
    assert matches_fingerprints(OURS, [certificate_fingerprint(c, "sha-256") for c in (OTHER, OURS)])


def test_without_a_hash_that_is_known_nobody_is_recognised():
    assert not matches_fingerprints(OURS, [])
    assert not matches_fingerprints(OURS, [Fingerprint(algorithm="md5", value="AB")])
