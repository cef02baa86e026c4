"""Data packets open with the keys of their sender."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given as vary
from hypothesis import strategies as st

from channel_recorder.e2ee.packets import open_packet
from tests.e2ee.sealing import IV, given, material, store


def sealed(secret: str = "open sesame", ratchets: int = 0) -> bytes:
    return AESGCM(material(secret, ratchets).key()).encrypt(IV, b"hello", None)


def test_a_packet_opens_with_the_key_it_names() -> None:
    keys = store(given(), given("second", key_index=4))
    assert open_packet(keys, "7", 0, IV, sealed()) == b"hello"
    assert open_packet(keys, "7", 4, IV, sealed("second")) == b"hello"
    assert open_packet(keys, "7", 4, IV, sealed()) is None
    assert open_packet(keys, "7", 5, IV, sealed()) is None


@pytest.mark.parametrize("ratchets", [1, 16])
def test_a_sender_that_ratchets_is_followed(ratchets: int) -> None:
    keys = store()
    open_packet(keys, "7", 0, IV, sealed("another"))
    assert open_packet(keys, "7", 0, IV, sealed(ratchets=ratchets)) == b"hello"


def test_a_changed_packet_stays_sealed() -> None:
    packet = sealed()
    assert open_packet(store(), "7", 0, IV, packet[:-1]) is None
    assert open_packet(store(), "7", 0, IV[:-1], packet) is None


@vary(st.binary(max_size=16), st.binary(max_size=80), st.integers(0, 2**32 - 1))
def test_any_bytes_stay_sealed(iv: bytes, packet: bytes, key_index: int) -> None:
    assert open_packet(store(ratchet_window=0), "7", key_index, iv, packet) is None
