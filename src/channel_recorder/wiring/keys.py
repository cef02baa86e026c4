"""Keys of an encrypted channel: derived on a thread of their own, for PBKDF2 takes its time on purpose."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from channel_recorder.config import EncryptionKey, RecordingConfig
from channel_recorder.e2ee.keys import Derivation, KeyMaterial
from channel_recorder.e2ee.store import GivenKey, KeyStore, RunAside

_KEY_BYTES = {None: 16, "aes-128-gcm": 16, "aes-256-gcm": 32}


class ChannelKeys:
    """All keys of one recording. Made before the join, so that they are there with the first frame."""

    def __init__(self, config: RecordingConfig, run_aside: RunAside | None = None) -> None:
        """`run_aside`: instead of the thread."""
        self._key_bytes = _KEY_BYTES[config.decryption_mode]
        self._thread: ThreadPoolExecutor | None = None
        self.store = KeyStore([self.given(key) for key in config.all_encryption_keys], run_aside or self.run)

    def given(self, key: EncryptionKey) -> GivenKey:
        usual = Derivation.PBKDF2 if key.raw_key is None else Derivation.HKDF
        material = KeyMaterial(
            secret=key.raw_key or (key.secret or "").encode(),
            derivation=Derivation(key.derivation) if key.derivation else usual,
            key_bytes=self._key_bytes,
        )
        return GivenKey(material=material, account=key.account, key_index=key.key_index)

    def close(self) -> None:
        """What is not derived yet is needed no more."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def run(self, work: Callable[[], None]) -> None:
        """On the thread, after everything given before."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "channel-recorder-keys")
        self._thread.submit(work)
