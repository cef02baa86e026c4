"""The settings of one recording: the classic SDK's config, validated as a whole before anything happens.

Every field is snake_case; the classic camelCase spelling is accepted as well.
"""

from __future__ import annotations

import base64
import json
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from channel_recorder.errors import ConfigError, StatusCode
from channel_recorder.model import MAX_UID, ChannelProfile

IDLE_LIMIT_MIN_SECONDS = 3
UDP_PORTS_MIN_SPAN = 6


class TriggerMode(IntEnum):
    """Who starts the recording: the first user there, or `start_service`."""

    AUTOMATIC = 0
    MANUAL = 1


class StreamType(IntEnum):
    """Which simulcast layer is recorded."""

    HIGH = 0
    LOW = 1


def _uid_list(value: object) -> object:
    """The classic comma list `"7,9"`, or any sequence of uids."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Uid = Annotated[int, Field(ge=1, le=MAX_UID)]
UidList = Annotated[tuple[Uid, ...], BeforeValidator(_uid_list)]


def _classic_spelling(name: str) -> AliasChoices:
    return AliasChoices(name, to_camel(name))


def _raw_bytes(value: object) -> object:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


class EncryptionKey(BaseModel):
    """One key of an encrypted channel: a passphrase or raw bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)

    account: str | None = None
    """Whose key it is: a uid or a user account. None: of everybody who has none of their own."""
    key_index: Annotated[int, Field(ge=0, le=255)] = 0
    """The place in the key ring that frames name."""
    secret: Annotated[str | None, Field(repr=False, min_length=1)] = None
    """A passphrase."""
    raw_key: Annotated[bytes | None, BeforeValidator(_raw_bytes), Field(repr=False, min_length=1)] = None
    """Random bytes instead, as base64 in text. Browsers never use them as they are: a key is derived from them."""
    derivation: Literal["pbkdf2", "hkdf"] | None = None
    """Default: pbkdf2 for a passphrase, hkdf for raw bytes, as the clients do."""

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigError(_sentence(error)) from None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.secret is None) == (self.raw_key is None):
            raise ValueError("a key is either a secret or a raw_key")
        return self


def _key_list(value: object) -> object:
    """JSON text, or any sequence of keys."""
    return json.loads(value) if isinstance(value, str) else value


EncryptionKeys = Annotated[tuple[EncryptionKey, ...], BeforeValidator(_key_list)]


class RecordingConfig(BaseModel):
    """What to record and where. Raises `ConfigError` on a bad value, an unknown name or a contradiction."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        alias_generator=AliasGenerator(validation_alias=_classic_spelling),
        validate_by_name=True,
    )

    # Where the files go
    record_file_root_dir: Path | None = None
    """Folder of all recordings; each gets <yyyymmdd>/<channel>_<HHMMSS>_<MSUSNS>/ in it. Default: current folder."""
    cfg_file_path: Path | None = None
    """JSON file whose key Recording_Dir names the folder everything lands in, instead of record_file_root_dir."""

    continue_within_sec: Annotated[int, Field(ge=0)] = 600
    """Joined again so soon after a crash (same folder, channel, uid), the same recording goes on. 0: never."""
    fsync: Literal["never", "second", "always"] = "second"
    """How soon files survive a power failure: after a second, always (0.1 s), or never (as the system likes)."""
    space_reserve_mb: Annotated[int, Field(ge=0, le=1024)] = 8
    """Disk space kept for the end of a recording whose disk gets full: its indexes take 1 MB per hour and file."""
    adopt_leftovers: bool = False
    """Finish what other recorders that died left unfinished in the folder, while recording."""

    # What is recorded
    is_audio_only: bool = False
    """Record sound only."""
    is_video_only: bool = False
    """Record pictures only."""
    separate_tracks: bool = False
    """One file for each track, as the classic SDK writes, instead of one for each user."""
    audio_codec: Literal["opus", "aac"] = "opus"
    """opus keeps the sound as sent; aac re-encodes it for players that know no Opus in MP4."""
    auto_subscribe: bool = True
    """Record everybody. False: only the users in the two lists below."""
    subscribe_video_uids: UidList = ()
    """Whose pictures to record (needs auto_subscribe=False). Comma list or sequence of uids."""
    subscribe_audio_uids: UidList = ()
    """Whose sound to record (needs auto_subscribe=False). Comma list or sequence of uids."""
    stream_type: StreamType = StreamType.HIGH
    """0: the highest simulcast layer, 1: the lowest."""
    enable_intra_request: bool = True
    """True: key frames are asked for only when needed. False: every 2 seconds, which makes files finely seekable."""
    enable_h265_support: bool = True
    """Accept H.265. False: H.265 is not negotiated, so nothing of it is recorded."""

    # When
    channel_profile: ChannelProfile = ChannelProfile.COMMUNICATION
    """0 communication: everybody counts as present. 1 live broadcast: only hosts count."""
    trigger_mode: TriggerMode = TriggerMode.AUTOMATIC
    """0: recording starts when somebody is there. 1: start_service and stop_service decide."""
    idle_limit_sec: Annotated[int, Field(ge=IDLE_LIMIT_MIN_SECONDS)] = 300
    """Leave by itself after nobody was there for so many seconds (at least 3)."""

    # Network
    low_udp_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Lowest local UDP port; 0 with high_udp_port 0: any."""
    high_udp_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Highest local UDP port; at least 6 above the lowest."""

    # Encrypted channels
    decryption_mode: Literal["aes-128-gcm", "aes-256-gcm"] | None = None
    """Cipher of an encrypted channel; with a secret and without this: aes-128-gcm, what clients use by themselves."""
    secret: Annotated[str | None, Field(repr=False)] = None
    """Passphrase that the members of an encrypted channel share."""
    encryption_keys: Annotated[EncryptionKeys, Field(repr=False)] = ()
    """Keys of single users, of other key indexes, or raw ones, instead of secret or beside it. A list, or JSON text:
    [{"account": "alice", "key_index": 0, "secret": "..."}, {"key_index": 1, "raw_key": "base64"}]."""
    keep_ciphertext: bool = False
    """Keep what no key opens in .sealed files, to be opened later."""

    # Accepted from the classic SDK; refused unless they have their default
    is_mixing_enabled: bool = False
    """One composed picture and mixed sound: not yet."""
    mixed_video_audio: Annotated[int, Field(ge=0, le=7)] = 0
    """How composite files are made: not yet."""
    mix_resolution: str | None = None
    """Composite picture as "width,height,fps,kbps": not yet."""
    audio_profile: Annotated[int, Field(ge=0, le=2)] = 0
    """Sound of the composite: not yet."""
    default_video_bg: Path | None = None
    """Composite background picture: not yet."""
    default_user_bg: Path | None = None
    """Composite background picture of a user: not yet."""
    decode_video: Annotated[int, Field(ge=0, le=5)] = 0
    """Raw video delivery: not yet."""
    decode_audio: Annotated[int, Field(ge=0, le=3)] = 0
    """Raw audio delivery: not yet."""
    capture_interval: Annotated[int, Field(ge=1)] = 5
    """Seconds between screenshots (with decode_video 3, 4, 5): not yet."""
    audio_indication_interval: int = 0
    """Milliseconds between volume indications; 0 or less: off. On: not yet."""
    proxy_type: Annotated[int, Field(ge=0, le=2)] = 1
    """Kind of proxy_server."""
    proxy_server: str | None = None
    """Proxy address: not yet."""
    enable_cloud_proxy: bool = False
    """The classic vendor's proxy service: has no meaning here, must be false."""
    applite_dir: Path | None = None
    """Where the classic SDK's helper program lies. Accepted and not needed."""

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigError(_sentence(error)) from None
        problem = (
            self._output_problem()
            or self._media_problem()
            or self._port_problem()
            or self._key_problem()
            or self._not_yet_problem()
        )
        if problem is not None:
            status = StatusCode.MIX_PARAMETERS if problem.startswith("mix") else StatusCode.OK
            raise ConfigError(problem, status=status)

    def _output_problem(self) -> str | None:
        if self.record_file_root_dir is not None and self.cfg_file_path is not None:
            return "record_file_root_dir and cfg_file_path both say where the files go: give only one of them"
        return None

    def _media_problem(self) -> str | None:
        if self.is_audio_only and self.is_video_only:
            return "is_audio_only and is_video_only are both true, which records nothing: choose one or neither"
        lists = self.subscribe_video_uids or self.subscribe_audio_uids
        if self.auto_subscribe and lists:
            return "subscribe_video_uids and subscribe_audio_uids need auto_subscribe=False"
        return None

    def _port_problem(self) -> str | None:
        low, high = self.low_udp_port, self.high_udp_port
        if (low, high) == (0, 0):
            return None
        if low == 0 or high - low < UDP_PORTS_MIN_SPAN:
            return (
                f"UDP port range {low}..{high} is too small: give at least {UDP_PORTS_MIN_SPAN + 1} ports, or 0 and 0"
            )
        return None

    def _key_problem(self) -> str | None:
        keys = self.all_encryption_keys
        if self.decryption_mode is not None and not keys:
            return "decryption_mode needs a key: give secret or encryption_keys"
        places = [(key.account, key.key_index) for key in keys]
        if len(places) != len(set(places)):
            return "two encryption keys have the same account and key_index: give one of them another key_index"
        return None

    @property
    def all_encryption_keys(self) -> tuple[EncryptionKey, ...]:
        """`secret` is everybody's key with index 0."""
        shared = () if self.secret is None else (EncryptionKey(secret=self.secret),)
        return *shared, *self.encryption_keys

    def _not_yet_problem(self) -> str | None:
        for name in _NOT_YET:
            value, default = getattr(self, name), RecordingConfig.model_fields[name].default
            if value != default and not (name == "audio_indication_interval" and value <= 0):
                return f"{name}={_shown(name, value)} is not supported yet: leave it at {default!r}"
        return None


_NOT_YET = (
    "is_mixing_enabled",
    "mixed_video_audio",
    "mix_resolution",
    "audio_profile",
    "default_video_bg",
    "default_user_bg",
    "decode_video",
    "decode_audio",
    "audio_indication_interval",
    "proxy_server",
    "enable_cloud_proxy",
)


SECRET_FIELDS = frozenset({"secret", "encryption_keys"})
_KEY_FIELDS = SECRET_FIELDS | {"raw_key", "config"}


def _shown(name: str, value: object) -> str:
    return "(given)" if name in _KEY_FIELDS else repr(value)


def _sentence(error: ValidationError) -> str:
    """The first fault in one sentence, with the value but never a secret."""
    fault = error.errors(include_url=False)[0]
    name = str(fault["loc"][0]) if fault["loc"] else "config"
    if fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1:
        return f"{name} is no setting of a recording: see RecordingConfig for those there are"
    return f"{name}={_shown(name, fault['input'])} is not acceptable: {fault['msg']}"
