from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.recording.journal import LINE_MAX_BYTES, Journal, encode, parse_journal, read_journal

WALL = datetime(2026, 3, 1, 10, 15, 12, 345_678, tzinfo=UTC)

values = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20)
fields = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda key: key not in ("at", "wall", "fact")),
    values | st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=3),
    max_size=4,
)
facts = st.tuples(st.floats(-10, 1e6).map(lambda at: round(at, 6)), st.text(max_size=12), fields)


def _entry(at: float, fact: str, rest: dict[str, Any]) -> dict[str, Any]:
    return {"at": at, "wall": "2026-03-01T10:15:12.345678+00:00", "fact": fact, **rest}


def test_a_fact_is_one_line_with_recording_time_and_wall_time(tmp_path: Path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write(12.3456789, WALL, "user_joined", {"uid": 7, "name": "Zoë\n"})
    line = (tmp_path / "journal.jsonl").read_bytes()
    assert line == (
        b'{"at":12.345679,"wall":"2026-03-01T10:15:12.345678+00:00","fact":"user_joined","uid":7,"name":"Zo\\u00eb\\n"}\n'
    ), "it is in the file before anything is closed"
    journal.close()


@given(st.lists(facts, max_size=6), st.data())
@settings(deadline=None, max_examples=60)
def test_a_journal_cut_at_any_byte_reads_up_to_the_last_whole_line(
    written: list[tuple[float, str, dict[str, Any]]], data: st.DataObject
):
    lines = [encode(at, WALL, fact, rest) + b"\n" for at, fact, rest in written]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole)))
    content = parse_journal(whole[:cut])
    ends = [len(b"".join(lines[: n + 1])) for n in range(len(lines))]
    expected = [_entry(*fact) for fact, end in zip(written, ends, strict=True) if end - 1 <= cut]
    assert content.entries == expected
    assert content.damaged_lines == (0 if cut in (0, *ends) or cut + 1 in ends else 1)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_a_journal_of_any_bytes_is_read_without_fault(data: bytes):
    content = parse_journal(data)
    assert all("fact" in entry for entry in content.entries)


@pytest.mark.parametrize(
    "line", [b"[" * 200_000, b"7", b'{"fact":1,"at":0}', b'{"fact":"x"}', b"\xff\xfe", b'{"at":' + b"1" * 5000 + b"}"]
)
def test_damaged_lines_are_counted_and_what_is_around_them_is_read(line: bytes):
    good = encode(1.0, WALL, "user_joined", {})
    content = parse_journal(good + b"\n" + line + b"\n" + good + b"\n")
    assert [entry["fact"] for entry in content.entries] == ["user_joined", "user_joined"]
    assert content.damaged_lines == 1


def test_a_journal_that_was_cut_is_continued_on_a_line_of_its_own(tmp_path: Path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(encode(1.0, WALL, "user_joined", {})[:-5])
    journal = Journal(path)
    journal.write(2.0, WALL, "recovered", {})
    journal.close()
    content = read_journal(path)
    assert [entry["fact"] for entry in content.entries] == ["recovered"]
    assert content.damaged_lines == 1


def test_a_line_longer_than_any_honest_fact_is_replaced_by_its_length(tmp_path: Path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write(1.0, WALL, "user_updated", {"text": "x" * LINE_MAX_BYTES})
    journal.close()
    (entry,) = read_journal(tmp_path / "journal.jsonl").entries
    assert entry["fact"] == "user_updated"
    assert entry["too_long_bytes"] > LINE_MAX_BYTES


@pytest.mark.parametrize(("interval", "syncs"), [(None, 0), (0.0, 4), (1.0, 2)])
def test_how_much_a_power_failure_may_cost_can_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interval: float | None, syncs: int
):
    calls: list[int] = []
    monkeypatch.setattr(os, "fsync", calls.append)
    journal = Journal(tmp_path / "journal.jsonl", sync_interval_seconds=interval)
    for at in (0.0, 0.4, 0.9, 1.1):
        journal.write(at, WALL, "x", {})
    assert len(calls) == syncs
    journal.close()
    assert len(calls) == syncs + 1


def test_a_line_the_full_disk_cut_does_not_swallow_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    journal = Journal(tmp_path / "journal.jsonl")
    write = os.write
    room = 10

    def nearly_full(descriptor: int, data: bytes) -> int:
        nonlocal room
        if room == 0:
            raise OSError(28, "No space left on device")
        written = write(descriptor, data[:room])
        room -= written
        return written

    monkeypatch.setattr(os, "write", nearly_full)
    with pytest.raises(OSError, match="No space"):
        journal.write(1.0, WALL, "lost", {})
    monkeypatch.setattr(os, "write", write)
    journal.write(2.0, WALL, "kept", {})
    journal.close()
    content = read_journal(tmp_path / "journal.jsonl")
    assert [entry["fact"] for entry in content.entries] == ["kept"]
    assert content.damaged_lines == 1


def test_every_line_is_json_by_any_reader():
    line = encode(0.5, WALL, "data", {"text": "\u2028\ud800\x00", "at": "mine", "when": WALL})
    assert line.isascii()
    assert json.loads(line)["at"] == 0.5
