"""Seals frames as the LiveKit SDKs do, for tests of the side that opens them."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from channel_recorder.codecs.av1 import leb128
from channel_recorder.e2ee.keys import Derivation, KeyMaterial
from channel_recorder.e2ee.store import GivenKey, KeyStore, RunAside

IV = bytes(range(0xA0, 0xAC))
QUICK = Derivation.HKDF
"""PBKDF2 takes its time on purpose: where it does not matter how a key was derived, this one does not."""


def material(secret: str = "open sesame", ratchets: int = 0, **how: object) -> KeyMaterial:
    made = KeyMaterial(secret=secret.encode(), derivation=QUICK)
    for _ in range(ratchets):
        made = made.ratcheted()
    return made


def given(secret: str = "open sesame", account: str | None = None, key_index: int = 0) -> GivenKey:
    return GivenKey(material=material(secret), account=account, key_index=key_index)


def run_here(work: object) -> None:
    assert callable(work)
    work()


def store(*keys: GivenKey, run_aside: RunAside = run_here, ratchet_window: int = 16) -> KeyStore:
    return KeyStore(keys or [given()], run_aside, ratchet_window=ratchet_window)


def seal(
    frame: bytes,
    clear: int,
    key: KeyMaterial | None = None,
    *,
    key_index: int = 0,
    escapes: bool = False,
    iv: bytes = IV,
) -> bytes:
    """`escapes`: H.264 and H.265, whose sealed part must hold no start code."""
    header = frame[:clear]
    cipher = AESGCM((key or material()).key())
    body = cipher.encrypt(iv, frame[clear:], header) + iv + bytes((len(iv), key_index))
    return header + (escape(body) if escapes else body)


def escape(data: bytes) -> bytes:
    """Emulation prevention (H.264 section 7.4.1)."""
    escaped = bytearray()
    zeros = 0
    for byte in data:
        if zeros == 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = 0 if byte else zeros + 1
    return bytes(escaped)


def seal_av1(frame: bytes, key_frame: bool, key: KeyMaterial | None = None) -> bytes:
    """A native client's wrapping: looks like AV1, so that packetizers and servers take it."""
    unit = seal(b"\0" + frame, 1, key)
    return (b"\x0a\x00" if key_frame else b"") + b"\x32" + leb128(len(unit)) + unit
