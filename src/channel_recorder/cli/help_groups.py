"""The headings under which the help lists flags, in the order of the help."""

from __future__ import annotations

from cyclopts import Group

_ORDER = (
    "Token",
    "Connection",
    "Server",
    "Media",
    "Page and recordings",
    "Limits",
    "Where the files go",
    "What is recorded",
    "When",
    "Network",
    "Encrypted channels",
    "Classic flags",
    "Output",
)


def help_group(name: str) -> Group:
    return Group(name, sort_key=_ORDER.index(name))


OUTPUT = help_group("Output")
