"""Identities of the channel and the uids of the classic SDK.

Decimal text from 1 to 2**32-1 is a uid itself. Any other identity is a user account: it gets a uid from
2**31 upwards, made from the text, so it is the same in every recording.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator

from channel_recorder.model import FIRST_ASSIGNED_UID, MAX_UID, User

_DECIMAL = re.compile(r"[1-9][0-9]{0,9}")


def is_uid(identity: str) -> bool:
    return _DECIMAL.fullmatch(identity) is not None and int(identity) <= MAX_UID


def user_of(identity: str) -> User:
    """The user an identity stands for, as long as no other one in the channel has the same uid."""
    return User(uid=next(_candidates(identity)), account=identity)


class UserDirectory:
    """Everybody who was there so far. Two identities never share a uid. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_uid: dict[int, User] = {}
        self._by_account: dict[str, User] = {}

    def add(self, identity: str) -> User:
        """The user of an identity; the same every time."""
        with self._lock:
            user = self._by_account.get(identity)
            if user is None:
                uid = next(uid for uid in _candidates(identity) if uid not in self._by_uid)
                user = User(uid=uid, account=identity)
                self._by_uid[uid] = user
                self._by_account[identity] = user
            return user

    def by_uid(self, uid: int) -> User | None:
        return self._by_uid.get(uid)

    def by_account(self, account: str) -> User | None:
        return self._by_account.get(account)

    def __iter__(self) -> Iterator[User]:
        return iter(tuple(self._by_uid.values()))


def _candidates(identity: str) -> Iterator[int]:
    """The uid an identity should have, then those it gets if others were there first."""
    if is_uid(identity):
        yield int(identity)
    text = identity.encode("utf-8", "surrogatepass")
    for attempt in range(2**31):
        digest = hashlib.sha256(text + b"\0" * attempt).digest()
        yield FIRST_ASSIGNED_UID + int.from_bytes(digest[:4], "big") % (MAX_UID + 1 - FIRST_ASSIGNED_UID)
