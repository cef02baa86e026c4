"""Reads the claims of a token that anybody may have made: each has the type it must have, or the token is malformed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import cast


class MalformedClaimError(ValueError):
    """Says which claim is wrong, never what it holds."""


class Claims:
    """A JSON object, asked by name and type. An absent claim is empty, false or None."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    @classmethod
    def parse(cls, payload: bytes) -> Claims:
        """Raises MalformedClaimError, or ValueError and RecursionError as `json` does."""
        values: object = json.loads(payload)
        return cls(_mapping(values, "payload"))

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if value is None:
            return ""
        return _text(value, name)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise MalformedClaimError(f"{name} is neither true nor false")
        return value

    def number(self, name: str) -> float | None:
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise MalformedClaimError(f"{name} is no number")
        return _finite(value, name)

    def mapping(self, name: str) -> Claims:
        value = self._values.get(name)
        return Claims({} if value is None else _mapping(value, name))

    def texts(self, name: str) -> dict[str, str]:
        """A JSON object of strings."""
        return {key: _text(value, name) for key, value in self.mapping(name)._values.items()}

    def list_of_text(self, name: str) -> tuple[str, ...]:
        value = self._values.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise MalformedClaimError(f"{name} is no list")
        return tuple(_text(item, name) for item in cast("list[object]", value))


def _mapping(value: object, name: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise MalformedClaimError(f"{name} is no object")
    return cast("dict[str, object]", value)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise MalformedClaimError(f"{name} is no text")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise MalformedClaimError(f"{name} is no text")
    return value


def _finite(value: float, name: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise MalformedClaimError(f"{name} is out of range")
    return number
