"""Keeps key frames of H.264 and H.265 self-contained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from channel_recorder.codecs.annexb import START_CODE, join_nal_units, nal_units
from channel_recorder.errors import MalformedError

_SetKey = tuple[int, int]
"""NAL type and id: a later set with the same key replaces the earlier one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NalSyntax:
    """How NAL units of one codec are told apart. Types are looked up by the first header byte."""

    types: tuple[int, ...]
    """256 entries: first header byte to NAL type."""
    pictures: frozenset[int]
    random_access: frozenset[int]
    """Pictures that a decoder can begin with."""
    sets: frozenset[int]
    """Parameter sets; in ascending order each needs those before it only."""
    delimiter: int
    """Access unit delimiter: nothing may come before it."""
    set_id: Callable[[bytes], int]
    """The id of a parameter set; raises `MalformedError`."""


class ParameterSetCache:
    """Remembers the parameter sets of one track and puts them before pictures that lack them.

    Senders usually repeat the sets before every key frame. Some send them once, or as an access unit of
    their own. Use one cache per SSRC, after decryption (encrypted frames authenticate their headers).
    """

    __slots__ = ("_deltas", "_sets", "_syntax", "_unused")

    def __init__(self, syntax: NalSyntax) -> None:
        self._syntax = syntax
        plain = syntax.pictures - syntax.random_access
        self._deltas = frozenset(byte for byte, nal_type in enumerate(syntax.types) if nal_type in plain)
        self._sets: dict[_SetKey, bytes] = {}
        self._unused: set[_SetKey] = set()

    def complete(self, data: bytes) -> bytes:
        """The access unit, with what it needs before it. Empty: it holds no picture, keep nothing of it.

        Key frames get the sets they lack; sets that came without a picture go before the next picture.
        A frame that lacks nothing comes back as the same object.
        """
        if not self._unused and data[4:5] and data[4] in self._deltas and data.startswith(START_CODE):
            return data
        return self._complete(data)

    def _complete(self, data: bytes) -> bytes:
        syntax = self._syntax
        present: set[_SetKey] = set()
        for unit in nal_units(data):
            nal_type = syntax.types[unit[0]]
            if nal_type in syntax.pictures:
                return self._with_missing(data, present, nal_type in syntax.random_access)
            if nal_type in syntax.sets:
                self._remember(nal_type, unit, present)
        self._unused |= present
        return b""

    def _remember(self, nal_type: int, unit: bytes, present: set[_SetKey]) -> None:
        try:
            key = nal_type, self._syntax.set_id(unit)
        except MalformedError:
            return
        self._sets[key] = unit
        present.add(key)

    def _with_missing(self, data: bytes, present: set[_SetKey], random_access: bool) -> bytes:
        wanted = self._unused - present
        self._unused = set()
        if random_access:
            types = {nal_type for nal_type, _ in present}
            wanted |= {key for key in self._sets if key[0] not in types}
        if not wanted:
            return data
        return self._insert(data, [self._sets[key] for key in sorted(wanted)])

    def _insert(self, data: bytes, sets: list[bytes]) -> bytes:
        first = next(nal_units(data))
        if self._syntax.types[first[0]] != self._syntax.delimiter:
            return join_nal_units(sets) + data
        after_delimiter = data.index(first) + len(first)
        return join_nal_units([first, *sets]) + data[after_delimiter:]
