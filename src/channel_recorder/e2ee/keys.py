"""From what people type or share to AES keys, as the LiveKit SDKs derive them.

A passphrase goes through PBKDF2 (18 ms each on a current core), random bytes through HKDF. Senders may ratchet: the
next material is derived from the last one, the next key from it. A receiver finds out by trying.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SALT = b"LKFrameEncryptionKey"
PBKDF2_ROUNDS = 100_000
MATERIAL_BYTES = 32
_HKDF_INFO = bytes(128)


class Derivation(StrEnum):
    PBKDF2 = "pbkdf2"
    HKDF = "hkdf"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMaterial:
    """What a key is derived from, and how."""

    secret: bytes = field(repr=False)
    derivation: Derivation = Derivation.PBKDF2
    salt: bytes = SALT
    key_bytes: int = 16

    def key(self) -> bytes:
        """The AES key. Slow with PBKDF2."""
        return self._derive(self.key_bytes)

    def ratcheted(self) -> KeyMaterial:
        """The material after this one. Slow with PBKDF2."""
        return replace(self, secret=self._derive(MATERIAL_BYTES))

    def _derive(self, size: int) -> bytes:
        if self.derivation is Derivation.HKDF:
            return HKDF(SHA256(), size, self.salt, _HKDF_INFO).derive(self.secret)
        return hashlib.pbkdf2_hmac("sha256", self.secret, self.salt, PBKDF2_ROUNDS, size)


class KeyChain:
    """A key and those it may be ratcheted to. `extend` is the only slow call, for another thread than the loop's."""

    __slots__ = ("_material", "ciphers", "wanted")

    def __init__(self, material: KeyMaterial) -> None:
        self._material = material
        self.ciphers: list[AESGCM] = []
        """As many as were derived so far, the given key first. Appended to by `extend`."""
        self.wanted = 0
        """How many somebody asked for, see `KeyStore`."""

    @property
    def is_waiting(self) -> bool:
        """Keys are being derived."""
        return len(self.ciphers) < self.wanted

    def extend(self) -> None:
        if self.ciphers:
            self._material = self._material.ratcheted()
        self.ciphers.append(AESGCM(self._material.key()))
