"""Boxes of whatever bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.media.containers.mp4 import trim_incomplete_fragment

boxes = st.tuples(st.integers(0, 40), st.sampled_from([b"moof", b"mdat", b"free"]), st.binary(max_size=30)).map(
    lambda box: box[0].to_bytes(4, "big") + box[1] + box[2]
)


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=200), st.lists(boxes, max_size=8).map(b"".join)))
def test_any_bytes_are_kept_up_to_a_box(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mp4"
        path.write_bytes(data)
        trim_incomplete_fragment(path)
        assert data.startswith(path.read_bytes())


def test_moof_without_its_data_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    whole = bytes((0, 0, 0, 8)) + b"free"
    fragment = bytes((0, 0, 0, 9)) + b"moof" + b"x" + bytes((0, 0, 0, 12)) + b"mdat" + b"1234"
    path.write_bytes(whole + fragment + fragment[:-1])
    trim_incomplete_fragment(path)
    assert path.read_bytes() == whole + fragment


def test_box_shorter_than_its_own_header_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    whole = bytes((0, 0, 0, 8)) + b"free"
    path.write_bytes(whole + (1).to_bytes(4, "big") + b"mdat" + (15).to_bytes(8, "big"))
    trim_incomplete_fragment(path)
    assert path.read_bytes() == whole
