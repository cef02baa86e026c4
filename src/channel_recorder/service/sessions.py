"""Who has given the page's password: a signed cookie, so that a restart asks nobody again."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict, deque

COOKIE = "channel_recorder_page"
VALID_SECONDS = 12 * 3600
_MAX_COOKIE_LENGTH = 200


class PageSessions:
    """Signs and checks cookies. Another password or another certificate ends all sessions."""

    def __init__(self, password: str | None, app_certificate: str | None) -> None:
        self._password = (password or "").encode()
        secret = (app_certificate or secrets.token_hex(32)).encode()
        self._key = hmac.digest(secret, b"page session\0" + self._password, "sha256")

    def is_password(self, given: str) -> bool:
        # Digests: comparing texts of different length tells the length.
        return bool(self._password) and hmac.compare_digest(_digest(given.encode()), _digest(self._password))

    def make_cookie(self, unix_seconds: float) -> str:
        content = f"{int(unix_seconds) + VALID_SECONDS}.{secrets.token_urlsafe(12)}"
        return f"{content}.{self._sign(content)}"

    def is_cookie(self, cookie: str, unix_seconds: float) -> bool:
        if len(cookie) > _MAX_COOKIE_LENGTH or not cookie.isascii():
            return False
        content, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature, self._sign(content)):
            return False
        return unix_seconds < int(content.partition(".")[0])

    def _sign(self, content: str) -> str:
        return hmac.new(self._key, content.encode(), "sha256").hexdigest()


class PasswordAttempts:
    """How often an address may be wrong. Times come in as numbers."""

    WINDOW_SECONDS = 300.0
    LIMIT = 10
    MAX_ADDRESSES = 4096

    def __init__(self) -> None:
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_seconds(self, address: str, now_seconds: float) -> float:
        """0: it may try."""
        failures = self._failures.get(address)
        if failures is None or len(failures) < self.LIMIT:
            return 0.0
        return max(0.0, failures[0] + self.WINDOW_SECONDS - now_seconds)

    def failed(self, address: str, now_seconds: float) -> None:
        failures = self._failures.setdefault(address, deque(maxlen=self.LIMIT))
        failures.append(now_seconds)
        self._failures.move_to_end(address)
        if len(self._failures) > self.MAX_ADDRESSES:
            self._failures.popitem(last=False)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
