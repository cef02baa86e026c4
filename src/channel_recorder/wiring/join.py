"""What a join asks for, and what can be said of it before anything is touched."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from channel_recorder import clock
from channel_recorder.channel.room_service import is_identity_taken
from channel_recorder.config import RecordingConfig
from channel_recorder.errors import TokenError, UidInUseError
from channel_recorder.model import User
from channel_recorder.protocol.classic_tokens import Membership, app_id_of, check_classic_token, is_classic_token
from channel_recorder.protocol.tokens import check_recorder_token, make_recorder_token, read_unverified
from channel_recorder.recording.continuation import Interrupted, find_interrupted
from channel_recorder.recording.users import is_uid
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
        """The key given, or one made with the certificate, or the App ID, which some servers take alone.

        Raises TokenError if it can't be used for this join.
        """
        token = self.channel_key or self._made_token()
        if token == self.app_id:
            return token
        if is_classic_token(token):
            self._check_app_id(app_id_of(token))
            check_classic_token(token, self._membership(), clock.unix_seconds())
        else:
            self._check_livekit_token(token)
        return token

    def query(self, token: str) -> Mapping[str, str]:
        """What a join has to say beside a token that is none of LiveKit's; LiveKit's say it all."""
        if token != self.app_id and not is_classic_token(token):
            return {}
        name = "uid" if is_uid(self.user.account) else "user_account"
        return {"channel": self.channel_id, name: self.user.account, "recorder": "1"}

    def _membership(self) -> Membership:
        return Membership(channel=self.channel_id, account=self.user.account, recorder=True)

    def _check_livekit_token(self, token: str) -> None:
        content = read_unverified(token)
        self._check_app_id(content.api_key)
        check_recorder_token(
            content, room=self.channel_id, identity=self.user.account, now_seconds=clock.unix_seconds()
        )

    def _check_app_id(self, app_id: str) -> None:
        if app_id != self.app_id:
            raise TokenError(
                f"the access token was made with another App ID than {self.app_id!r}: give one of this App ID"
            )

    def _made_token(self) -> str:
        if self.app_certificate is None:
            return self.app_id
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
    if await asyncio.to_thread(interrupted_before, root, request) is None:
        # Who has the name otherwise is what the server has not noticed yet: this recorder, which died.
        await _check_identity_is_free(request)
    return root


def interrupted_before(root: StorageRoot, request: JoinRequest) -> Interrupted | None:
    """The recording of a recorder that died, which this join goes on with. May block."""
    return find_interrupted(
        root,
        channel=request.channel_id,
        account=request.user.account,
        now=clock.utc_now(),
        within_seconds=request.config.continue_within_sec,
    )


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
