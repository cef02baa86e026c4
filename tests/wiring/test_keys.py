"""Keys of a config become those that clients derive, on a thread of their own."""

from __future__ import annotations

import threading

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from channel_recorder.config import EncryptionKey, RecordingConfig
from channel_recorder.e2ee.keys import Derivation, KeyMaterial
from channel_recorder.wiring.keys import ChannelKeys


def material(key: EncryptionKey, **config: str) -> KeyMaterial:
    return ChannelKeys(RecordingConfig(**config)).given(key).material


def test_a_passphrase_and_raw_bytes_are_derived_as_clients_do() -> None:
    assert material(EncryptionKey(secret="öffne dich")) == KeyMaterial(
        secret="öffne dich".encode(), derivation=Derivation.PBKDF2
    )
    assert material(EncryptionKey(raw_key=b"\0\1")) == KeyMaterial(secret=b"\0\1", derivation=Derivation.HKDF)


def test_the_derivation_can_be_said() -> None:
    assert material(EncryptionKey(raw_key=b"\0\1", derivation="pbkdf2")).derivation is Derivation.PBKDF2
    assert material(EncryptionKey(secret="x", derivation="hkdf")).derivation is Derivation.HKDF


def test_the_mode_says_how_long_keys_are() -> None:
    assert material(EncryptionKey(secret="x")).key_bytes == 16
    assert material(EncryptionKey(secret="x"), decryption_mode="aes-256-gcm", secret="y").key_bytes == 32


def test_keys_of_a_config_are_derived_on_a_thread_of_their_own() -> None:
    keys = ChannelKeys(RecordingConfig(secret="open sesame", encryption_keys=[{"account": "7", "raw_key": "AAEC"}]))
    try:
        chain = keys.store.find("bob", 0)
        assert chain is not None
        done = threading.Event()
        keys.run(done.set)
        assert done.wait(30)
        sealed = AESGCM(KeyMaterial(secret=b"open sesame").key()).encrypt(bytes(12), b"hello", None)
        assert chain.ciphers[0].decrypt(bytes(12), sealed, None) == b"hello"
        assert keys.store.find("7", 0) is not chain
    finally:
        keys.close()


def test_without_keys_there_is_no_thread() -> None:
    before = threading.active_count()
    keys = ChannelKeys(RecordingConfig())
    assert not keys.store
    assert threading.active_count() == before
    keys.close()
