"""The arguments of a join, checked before anything is touched (classic SDK's rules)."""

from __future__ import annotations

import string

from channel_recorder.errors import AppIdError, ChannelNameError, ConfigError
from channel_recorder.model import MAX_UID

CHANNEL_NAME_MAX_BYTES = 64
USER_ACCOUNT_MAX_BYTES = 255
_CHANNEL_CHARACTERS = frozenset(string.ascii_letters + string.digits + " !#$%&()+-:;<=.>?@[]^_{}|~,")


def check_app_id(app_id: str) -> None:
    if not app_id or not app_id.isprintable():
        raise AppIdError(f"the App ID {app_id!r} is empty or not printable: give the key the channel server knows")


def check_channel_id(channel_id: str) -> None:
    """1 to 64 bytes of letters, digits, space and `!#$%&()+-:;<=.>?@[]^_{}|~,`."""
    if not 1 <= len(channel_id.encode()) <= CHANNEL_NAME_MAX_BYTES:
        raise ChannelNameError(
            f"the channel name {channel_id[:80]!r} has {len(channel_id.encode())} bytes: 1 to "
            f"{CHANNEL_NAME_MAX_BYTES} are allowed"
        )
    illegal = sorted(set(channel_id) - _CHANNEL_CHARACTERS)
    if illegal:
        raise ChannelNameError(
            f"the channel name {channel_id!r} has the characters {' '.join(map(repr, illegal))}: allowed are "
            "a-z A-Z 0-9 space and !#$%&()+-:;<=.>?@[]^_{}|~,"
        )
    if channel_id in (".", ".."):
        raise ChannelNameError(f"the channel name {channel_id!r} would be a folder of its own meaning: choose another")


def check_uid(uid: int) -> None:
    if isinstance(uid, bool) or not isinstance(uid, int) or not 1 <= uid <= MAX_UID:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"uid={uid!r} is not acceptable: give a number from 1 to {MAX_UID}, unique in the channel")


def check_user_account(account: str) -> None:
    if not 1 <= len(account.encode()) <= USER_ACCOUNT_MAX_BYTES or not account.isprintable():
        raise ConfigError(
            f"user_account={account[:80]!r} is not acceptable: "
            f"give 1 to {USER_ACCOUNT_MAX_BYTES} bytes of printable text"
        )
