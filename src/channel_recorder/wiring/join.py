"""What a join asks for, and what can be said of it before anything is touched."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from channel_recorder import clock
from channel_recorder.channel.room_service import is_identity_taken
from channel_recorder.config import RecordingConfig
from channel_recorder.errors import TokenError, UidInUseError
from channel_recorder.model import User
from channel_recorder.protocol.tokens import check_recorder_token, make_recorder_token, read_unverified
from channel_recorder.storage.directory import StorageRoot
from channel_recorder.storage.selector import select_root


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    server_url: str
    app_id: str
    app_certificate: str | None = field(repr=False)
    channel_key: str | None = field(repr=False)
    channel_id: str
    user: User
    """Whom the recorder joins as."""
    config: RecordingConfig

    def make_token(self) -> str:
        """The key given, or one made with the certificate. Raises TokenError if it can't be used for this join."""
        token = self.channel_key or self._made_token()
        content = read_unverified(token)
        if content.api_key != self.app_id:
            raise TokenError(
                f"the access token was made with another App ID than {self.app_id!r}: give one of this App ID"
            )
        check_recorder_token(
            content, room=self.channel_id, identity=self.user.account, now_seconds=clock.unix_seconds()
        )
        return token

    def _made_token(self) -> str:
        if self.app_certificate is None:
            raise TokenError("joining needs a channel key (access token), or the app certificate to make one with")
        return make_recorder_token(
            self.app_id,
            self.app_certificate,
            identity=self.user.account,
            room=self.channel_id,
            now_seconds=clock.unix_seconds(),
        )


async def check_join(request: JoinRequest) -> StorageRoot:
    """Everything that can fail before the join. Raises ConfigError, TokenError, StorageError, UidInUseError."""
    root = await asyncio.to_thread(_usable_root, request.config)
    request.make_token()
    await _check_identity_is_free(request)
    return root


def _usable_root(config: RecordingConfig) -> StorageRoot:
    root = select_root(config.record_file_root_dir, config.cfg_file_path)
    root.check()
    return root


async def _check_identity_is_free(request: JoinRequest) -> None:
    """A member who joins under a taken identity throws the other one out: ask first, where the certificate allows."""
    if request.app_certificate is None:
        return
    taken = await is_identity_taken(
        request.server_url,
        request.app_id,
        request.app_certificate,
        room=request.channel_id,
        identity=request.user.account,
    )
    if taken:
        raise UidInUseError(
            f"{request.user.account!r} is in the channel {request.channel_id!r} already: "
            "give the recorder a uid of its own"
        )
