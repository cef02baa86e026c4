"""Every input of the corpus, what once failed among it, through its entrance."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.records import pack, unpack
from fuzz.targets import TARGETS

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
INPUTS = sorted(path.relative_to(CORPUS) for path in CORPUS.glob("*/*"))


@pytest.mark.parametrize("name", INPUTS, ids=str)
def test_an_input_is_read_or_refused(name: Path) -> None:
    TARGETS[name.parent.name]((CORPUS / name).read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_next_to_nothing_is_read_or_refused(name: str) -> None:
    for data in (b"", b"\0", b"\xff", b"\0\0", bytes(100), b"\xff" * 100):
        TARGETS[name](data)


def test_every_entrance_has_inputs_and_every_input_an_entrance() -> None:
    assert {name.parent.name for name in INPUTS} == set(TARGETS)


def test_records_come_back_as_they_were_packed() -> None:
    records = [b"", b"a", b"b" * 300]
    assert unpack(pack(records)) == records
    assert unpack(pack(records)[:-1]) == [*records[:-1], b"b" * 299]
    assert unpack(b"\0") == [b""]
