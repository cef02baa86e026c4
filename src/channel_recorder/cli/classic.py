"""The classic command line's spelling of flags, turned into this one's before anything is parsed.

`--appId K --isAudioOnly 1 --idle 30` means `--app-id K --is-audio-only=1 --idle-limit-sec 30`.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic.alias_generators import to_camel

from channel_recorder.cli.config_flags import BOOLEAN_FIELDS
from channel_recorder.cli.connection import CONNECTION_FLAGS
from channel_recorder.config import RecordingConfig

# What the classic command line names otherwise than the classic API.
_OWN_NAMES = {
    "idle": "idle_limit_sec",
    "channelKey": "token",
    "getVideoFrame": "decode_video",
    "getAudioFrame": "decode_audio",
}
_TRUTH = frozenset({"0", "1", "true", "false"})


def _classic_names() -> dict[str, str]:
    names = {to_camel(name): name for name in (*RecordingConfig.model_fields, *CONNECTION_FLAGS)}
    return {classic: name for classic, name in (names | _OWN_NAMES).items() if classic != name}


_CLASSIC = _classic_names()


def modern_spelling(arguments: Sequence[str]) -> list[str]:
    """The same arguments with classic flag names replaced, up to `--`."""
    modern: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            return [*modern, argument, *rest]
        flag, equals, value = argument.partition("=")
        name = _CLASSIC.get(flag.removeprefix("--")) if flag.startswith("--") else None
        if name is None:
            modern.append(argument)
            continue
        # The classic command line gives every flag a value, also a switch: `--isAudioOnly 1`.
        if name in BOOLEAN_FIELDS and not equals and rest and rest[0].lower() in _TRUTH:
            equals, value = "=", rest.pop(0)
        modern.append(f"--{name.replace('_', '-')}{equals}{value}")
    return modern
