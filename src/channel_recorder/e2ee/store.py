"""All keys of a channel: one shared by everybody, or one for each participant, each under its index."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from channel_recorder.e2ee.keys import KeyChain, KeyMaterial

RATCHET_WINDOW = 16
"""How many keys ahead are tried: the native SDKs' own window, the browser's is 8."""

KEYS_READY = 1
"""So many keys ahead are derived before they are needed: the usual ratchet, by one, costs no frame."""

RunAside = Callable[[Callable[[], None]], None]
"""Runs work away from the loop, one piece after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenKey:
    material: KeyMaterial
    account: str | None = None
    """Whose it is; None: everybody's who has none of their own."""
    key_index: int = 0


class KeyStore:
    """Finds keys, and has them derived in the background when they are needed."""

    def __init__(self, keys: Iterable[GivenKey], run_aside: RunAside, *, ratchet_window: int = RATCHET_WINDOW) -> None:
        """Derives the keys given at once, and one ahead; more only when a frame opens with none that is there."""
        self.ratchet_window = ratchet_window
        self._run_aside = run_aside
        self._chains: dict[tuple[str | None, int], KeyChain] = {}
        self._owners: set[str] = set()
        chains = [self._place(key) for key in keys]
        for chain in chains:
            self.ratcheted_to(chain, 0)

    def add(self, key: GivenKey) -> None:
        """Takes the place of the one with the same account and index."""
        self.ratcheted_to(self._place(key), 0)

    def find(self, account: str, key_index: int) -> KeyChain | None:
        """Who has keys of their own uses no shared one, as in the SDKs."""
        owner = account if account in self._owners else None
        return self._chains.get((owner, key_index))

    def __bool__(self) -> bool:
        return bool(self._chains)

    def ratcheted_to(self, chain: KeyChain, position: int) -> None:
        """The sender uses this key of the chain now."""
        if self.ratchet_window:
            self._want(chain, position + 1 + KEYS_READY)

    def want_ahead(self, chain: KeyChain, position: int) -> None:
        """A frame does not open with the key at `position`: have those derived that it may be ratcheted to."""
        if self.ratchet_window:
            self._want(chain, position + 1 + self.ratchet_window)

    def _place(self, key: GivenKey) -> KeyChain:
        chain = self._chains[key.account, key.key_index] = KeyChain(key.material)
        if key.account is not None:
            self._owners.add(key.account)
        self._want(chain, 1)
        return chain

    def _want(self, chain: KeyChain, count: int) -> None:
        missing = count - chain.wanted
        if missing <= 0:
            return
        chain.wanted = count
        for _ in range(missing):
            self._run_aside(chain.extend)
