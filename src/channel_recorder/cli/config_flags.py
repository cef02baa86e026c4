"""The flags of a recording, made from the fields of `RecordingConfig`: there is no second list of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, get_args

from cyclopts import Group, Parameter

from channel_recorder.cli.connection import ENCRYPTION_KEYS_VARIABLE, SECRET_VARIABLE
from channel_recorder.cli.help_groups import help_group
from channel_recorder.config import RecordingConfig

Command = TypeVar("Command", bound=Callable[..., Any])

# A group begins with the field named and holds all that follow.
_GROUP_STARTS: dict[str, Group] = {
    "record_file_root_dir": help_group("Where the files go"),
    "is_audio_only": help_group("What is recorded"),
    "channel_profile": help_group("When"),
    "low_udp_port": help_group("Network"),
    "decryption_mode": help_group("Encrypted channels"),
    "is_mixing_enabled": help_group("Classic flags"),
}
SECRET_VARIABLES = {"secret": SECRET_VARIABLE, "encryption_keys": ENCRYPTION_KEYS_VARIABLE}
"""Fields whose value nobody else should see: better from the environment, or @FILE."""
_UNITS = {
    "sec": "SECONDS",
    "dir": "FOLDER",
    "path": "FILE",
    "port": "PORT",
    "uids": "UID,UID",
    "secret": "SECRET",
    "keys": "JSON",
}

BOOLEAN_FIELDS = frozenset(name for name, field in RecordingConfig.model_fields.items() if field.annotation is bool)


def config_flags(command: Command) -> Command:
    """Replaces the `**settings` of a command by one flag for each field. Flags not given are not passed."""
    signature = inspect.signature(command, eval_str=True)
    own = [part for part in signature.parameters.values() if part.kind is not inspect.Parameter.VAR_KEYWORD]
    parameters = [*own, *_config_parameters()]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {part.name: part.annotation for part in parameters} | {"return": int}
    return command


def config_of(settings: Mapping[str, Any]) -> RecordingConfig:
    """The flags that were given, validated by the model itself. Raises `ConfigError`."""
    return RecordingConfig(**{name: value for name, value in settings.items() if value is not None})


def flag_spelling(text: str) -> str:
    """Field names in a sentence become flags: `auto_subscribe=False` is `--no-auto-subscribe`."""
    return _FIELD_NAME.sub(_as_flag, text).replace("leave it at None", "leave it out")


def _config_parameters() -> list[inspect.Parameter]:
    parameters: list[inspect.Parameter] = []
    group: Group | None = None
    for name in RecordingConfig.model_fields:
        if name in _GROUP_STARTS:
            group = _GROUP_STARTS[name]
        kind: Any = bool | None if name in BOOLEAN_FIELDS else str | None
        annotation = Annotated[kind, _flag(name, group)]
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))
    return parameters


def _flag(name: str, group: Group | None) -> Parameter:
    text = RecordingConfig.model_fields[name].description or ""
    return Parameter(
        name=f"--{name.replace('_', '-')}",
        help=flag_spelling(text) + _default_of(name, text) + _secrecy_of(name),
        metavar=None if name in BOOLEAN_FIELDS else _placeholder(name),
        group=group,
        env_var=SECRET_VARIABLES.get(name),
        # Known, so that they are refused by name; shown once they do something.
        show="not yet" not in text,
        show_default=False,
    )


def _default_of(name: str, text: str) -> str:
    default = RecordingConfig.model_fields[name].default
    if default is None or default is False or default == () or "efault:" in text:
        return ""
    shown = "on" if default is True else int(default) if isinstance(default, int) else default
    return f" Default: {shown}."


def _secrecy_of(name: str) -> str:
    return " Better @FILE that holds it, or from the environment." if name in SECRET_VARIABLES else ""


def _placeholder(name: str) -> str:
    annotation = RecordingConfig.model_fields[name].annotation
    parts = get_args(annotation)
    choices = get_args(parts[0]) if len(parts) == 2 and parts[1] is type(None) else parts
    if choices and all(isinstance(choice, str) for choice in choices):
        return "|".join(choices)
    return _UNITS.get(name.rpartition("_")[2], "N")


def _as_flag(match: re.Match[str]) -> str:
    name, truth = match["name"], match["truth"]
    prefix = "--no-" if truth == "False" else "--"
    value = "=" if match["equals"] and not truth else ""
    return f"{prefix}{name.replace('_', '-')}{value}"


_OWN_NAMES = ("uid", "user_account")
# A name of one word ("secret") is also a word of English: only with a value it is the field.
_NAMES = "|".join(name if "_" in name else f"{name}(?==)" for name in (*RecordingConfig.model_fields, *_OWN_NAMES))
_FIELD_NAME = re.compile(rf"\b(?P<name>{_NAMES})\b(?:(?P<equals>=)(?P<truth>True|False)?)?")
