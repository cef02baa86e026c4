"""Keys are those that the LiveKit SDKs derive from the same passphrase or bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from channel_recorder.e2ee.keys import Derivation, KeyChain, KeyMaterial
from channel_recorder.e2ee.store import KEYS_READY, RATCHET_WINDOW
from tests.e2ee.sealing import given, store

PBKDF2_KEY = "b0e05af7b448cc906e0b79f4c957d3ad"
PBKDF2_RATCHETED = "b0e05af7b448cc906e0b79f4c957d3add32004cdac4c0bb195962085b7a3762d"
HKDF_KEY = "6d0dd7b3d6f4efde47ab9a9e15abde76"
HKDF_RATCHETED_KEY = "bd83f159cff92bfaf55d2d2409c21221"

PASSPHRASE = KeyMaterial(secret=b"a passphrase of the room")


def test_a_passphrase_becomes_the_key_that_clients_derive() -> None:
    # Computed by the SubtleCrypto of Node: PBKDF2, 100 000 rounds of SHA-256, salt LKFrameEncryptionKey.
    assert PASSPHRASE.key().hex() == PBKDF2_KEY
    assert PASSPHRASE.ratcheted().secret.hex() == PBKDF2_RATCHETED


def test_raw_bytes_become_the_key_that_browsers_derive() -> None:
    raw = KeyMaterial(secret=bytes(range(32)), derivation=Derivation.HKDF)
    assert raw.key().hex() == HKDF_KEY
    assert raw.ratcheted().key().hex() == HKDF_RATCHETED_KEY


def test_keys_of_256_bits_are_longer() -> None:
    assert len(KeyMaterial(secret=PASSPHRASE.secret, key_bytes=32).key()) == 32


def test_a_secret_is_in_no_representation() -> None:
    assert "passphrase" not in repr(PASSPHRASE)


def test_a_chain_goes_on_from_key_to_key() -> None:
    first = KeyMaterial(secret=b"x", derivation=Derivation.HKDF)
    chain = KeyChain(first)
    for _ in range(3):
        chain.extend()
    third = AESGCM(first.ratcheted().ratcheted().key())
    sealed = third.encrypt(bytes(12), b"hello", b"")
    assert chain.ciphers[2].decrypt(bytes(12), sealed, b"") == b"hello"
    with pytest.raises(InvalidTag):
        chain.ciphers[1].decrypt(bytes(12), sealed, b"")


def test_keys_are_derived_aside_and_more_of_them_only_when_they_are_missed() -> None:
    waiting: list[Callable[[], None]] = []
    keys = store(given(), run_aside=waiting.append)
    chain = keys.find("7", 0)
    assert chain is not None
    assert chain.is_waiting
    assert len(waiting) == 1 + KEYS_READY
    keys.want_ahead(chain, 0)
    keys.want_ahead(chain, 0)
    assert len(waiting) == 1 + RATCHET_WINDOW
    for work in waiting:
        work()
    assert not chain.is_waiting
    assert len(chain.ciphers) == 1 + RATCHET_WINDOW


def test_without_a_window_nothing_is_derived_ahead() -> None:
    keys = store(given(), ratchet_window=0)
    chain = keys.find("7", 0)
    assert chain is not None
    keys.want_ahead(chain, 0)
    assert len(chain.ciphers) == 1


def test_who_has_a_key_of_their_own_uses_no_shared_one() -> None:
    keys = store(given("shared"), given("alice's", account="alice"), given("next", key_index=3))
    assert keys.find("alice", 0) is not keys.find("bob", 0)
    assert keys.find("alice", 3) is None
    assert keys.find("bob", 3) is not None
    assert keys.find("bob", 4) is None


def test_a_new_key_takes_the_place_of_the_old_one() -> None:
    keys = store(given("old"))
    old = keys.find("7", 0)
    keys.add(given("new"))
    assert keys.find("7", 0) is not old


def test_a_store_without_keys_is_empty() -> None:
    keys = store(given())
    assert keys
    assert not type(keys)([], lambda work: work())
