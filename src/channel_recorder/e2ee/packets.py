"""Data packets that members sealed: one AES-GCM message each, nothing in clear, the IV beside it."""

from __future__ import annotations

from channel_recorder.e2ee.frames import IV_BYTES, TAG_BYTES, try_decrypt
from channel_recorder.e2ee.store import KeyStore


def open_packet(store: KeyStore, account: str, key_index: int, iv: bytes, sealed: bytes) -> bytes | None:
    """The serialized EncryptedPacketPayload; None: no key that is there opens it."""
    chain = store.find(account, key_index)
    if chain is None or len(iv) != IV_BYTES or len(sealed) < TAG_BYTES:
        return None
    for cipher in tuple(chain.ciphers):
        plain = try_decrypt(cipher, iv, sealed, b"")
        if plain is not None:
            return plain
    if chain.ciphers:
        store.want_ahead(chain, 0)
    return None
