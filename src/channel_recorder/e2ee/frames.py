"""Opening sealed frames: clear header | ciphertext | tag (16) | IV (12) | IV length (1) | key index (1)."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from channel_recorder.codecs.annexb import unescape
from channel_recorder.e2ee.keys import KeyChain
from channel_recorder.e2ee.layout import CLEAR_BYTES, ESCAPED, av1_sealed_units
from channel_recorder.e2ee.store import KeyStore
from channel_recorder.errors import MalformedError
from channel_recorder.model import Codec

IV_BYTES: Final = 12
TAG_BYTES: Final = 16
TRAILER_BYTES: Final = IV_BYTES + 2
_ESCAPE = b"\x00\x00\x03"
PATIENCE_FRAMES = 10
"""After so many frames in a row that no key opens, ratcheted keys are tried only now and then."""
RATCHET_EVERY_FRAMES = 50


class FrameOpener:
    """The frames of one sender's track, in order. Knows how far the sender ratcheted each key."""

    __slots__ = ("_account", "_positions", "_server_trailer", "_store", "_waiting", "failures", "key_index")

    def __init__(self, store: KeyStore, account: str, server_trailer: bytes = b"") -> None:
        """`server_trailer`: what frames end with that the server made up itself, unsealed."""
        self._store = store
        self._account = account
        self._server_trailer = server_trailer
        self._positions: dict[int, tuple[KeyChain, int]] = {}
        self.failures = 0
        """In a row, since the last frame that opened; while keys are being derived none counts."""
        self._waiting = False
        self.key_index = 0
        """Of the last sealed frame."""

    @property
    def has_key(self) -> bool:
        """For the key index of the last sealed frame."""
        return self._store.find(self._account, self.key_index) is not None

    def is_injected(self, frame: bytes) -> bool:
        """The server made it up: a black picture or silence of a muted track, of no use to a recording."""
        return bool(self._server_trailer) and frame.endswith(self._server_trailer)

    def open(self, codec: Codec, frame: bytes) -> bytes:
        """The frame as it was before it was sealed; empty: no key opens it. Hot path; raises nothing."""
        self._waiting = False
        try:
            if codec is Codec.AV1:
                opened = self._open_av1(frame)
            else:
                opened = self._open(codec, frame, CLEAR_BYTES[codec](frame) if frame else 0)
        except MalformedError:
            opened = b""
        if opened:
            self.failures = 0
        elif not self._waiting:
            self.failures += 1
        return opened

    def _open_av1(self, frame: bytes) -> bytes:
        opened: list[bytes] = []
        for unit in av1_sealed_units(frame):
            plain = self._open(Codec.AV1, unit, 1)
            if not plain:
                return b""
            opened.append(plain[1:])
        return b"".join(opened)

    def _open(self, codec: Codec, frame: bytes, clear: int) -> bytes:
        header, body = frame[:clear], frame[clear:]
        if codec in ESCAPED and _ESCAPE in body:
            opened = self._decrypt(header, unescape(body))
            if opened:
                return opened
        return self._decrypt(header, body)

    def _decrypt(self, header: bytes, body: bytes) -> bytes:
        """Header and plaintext; empty: it has no such form, or no key opens it."""
        if len(body) < TRAILER_BYTES + TAG_BYTES or body[-2] != IV_BYTES:
            return b""
        self.key_index = key_index = body[-1]
        chain = self._store.find(self._account, key_index)
        if chain is None:
            return b""
        if not chain.ciphers:
            self._waiting = True
            return b""
        known = self._positions.get(key_index)
        position = known[1] if known is not None and known[0] is chain else 0
        nonce, sealed = body[-TRAILER_BYTES:-2], body[:-TRAILER_BYTES]
        try:
            return header + chain.ciphers[position].decrypt(nonce, sealed, header)
        except InvalidTag:
            return self._ratchet(chain, position, nonce, sealed, header)

    def _ratchet(self, chain: KeyChain, position: int, nonce: bytes, sealed: bytes, header: bytes) -> bytes:
        """The sender may have moved on to a key derived from the one known."""
        self._store.want_ahead(chain, position)
        if self.failures > PATIENCE_FRAMES and self.failures % RATCHET_EVERY_FRAMES:
            return b""
        self._waiting = chain.is_waiting
        for ahead in range(position + 1, len(chain.ciphers)):
            plain = try_decrypt(chain.ciphers[ahead], nonce, sealed, header)
            if plain is not None:
                self._positions[self.key_index] = chain, ahead
                self._store.ratcheted_to(chain, ahead)
                return header + plain
        return b""


def try_decrypt(cipher: AESGCM, nonce: bytes, sealed: bytes, header: bytes) -> bytes | None:
    """None: the key is another one."""
    try:
        return cipher.decrypt(nonce, sealed, header)
    except InvalidTag:
        return None
