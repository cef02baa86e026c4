from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.codecs import h264, h265
from channel_recorder.codecs.annexb import join_nal_units, nal_units
from channel_recorder.codecs.parameter_sets import ParameterSetCache
from tests import vectors
from tests.codecs.pictures import decode_all, encode_pictures

CODECS = [
    pytest.param("h264", h264.parameter_set_cache, h264.parameter_sets, id="h264"),
    pytest.param("h265", h265.parameter_set_cache, h265.parameter_sets, id="h265"),
]
MakeCache = Callable[[], ParameterSetCache]
Sets = Callable[[bytes], list[bytes]]


def without_sets(frame: bytes, parameter_sets: Sets) -> bytes:
    taken = parameter_sets(frame)
    return join_nal_units([unit for unit in nal_units(frame) if unit not in taken])


@pytest.mark.parametrize(("name", "make_cache", "parameter_sets"), CODECS)
def test_complete_frames_pass_untouched(name: str, make_cache: MakeCache, parameter_sets: Sets) -> None:
    cache = make_cache()
    for frame in vectors.frames(name):
        assert cache.complete(frame) is frame


@pytest.mark.parametrize(("name", "make_cache", "parameter_sets"), CODECS)
def test_later_key_frames_get_the_sets_sent_once(name: str, make_cache: MakeCache, parameter_sets: Sets) -> None:
    cache = make_cache()
    first, *rest = vectors.frames(name)
    sent = [first, *[without_sets(frame, parameter_sets) for frame in rest]]
    completed = [cache.complete(frame) for frame in sent]
    key = next(index for index, frame in enumerate(rest, 1) if parameter_sets(frame))
    assert parameter_sets(completed[key]) == parameter_sets(first)
    decoder = "h264" if name == "h264" else "hevc"
    assert len(decode_all(decoder, completed[key:])) == len(completed) - key


@pytest.mark.parametrize(("name", "make_cache", "parameter_sets"), CODECS)
def test_sets_in_units_of_their_own_go_before_the_next_picture(
    name: str, make_cache: MakeCache, parameter_sets: Sets
) -> None:
    cache = make_cache()
    frame = vectors.frames(name)[0]
    sets = parameter_sets(frame)
    assert [cache.complete(join_nal_units([unit])) for unit in sets] == [b""] * len(sets)
    completed = cache.complete(without_sets(frame, parameter_sets))
    assert list(nal_units(completed)) == list(nal_units(frame))


@pytest.mark.parametrize(("name", "make_cache", "parameter_sets"), CODECS)
def test_new_sets_before_a_delta_picture_are_kept(name: str, make_cache: MakeCache, parameter_sets: Sets) -> None:
    cache = make_cache()
    key, delta = vectors.frames(name)[:2]
    sets = parameter_sets(key)
    cache.complete(key)
    assert cache.complete(join_nal_units(sets[-1:])) == b""
    assert cache.complete(delta) == join_nal_units(sets[-1:]) + delta
    assert cache.complete(delta) is delta


def test_a_new_size_replaces_the_old_sets() -> None:
    cache = h264.parameter_set_cache()
    small, large = (encode_pictures("libx264", size, size, options={"tune": "zerolatency"})[0] for size in (64, 128))
    cache.complete(small)
    cache.complete(large)
    completed = cache.complete(without_sets(large, h264.parameter_sets))
    assert h264.inspect(completed) == (True, 128, 128)


def test_the_delimiter_stays_first() -> None:
    cache = h264.parameter_set_cache()
    frame = vectors.frames("h264")[0]
    cache.complete(frame)
    delimiter = b"\x09\xf0"
    bare = join_nal_units([delimiter, list(nal_units(frame))[-1]])
    types = [unit[0] & 0x1F for unit in nal_units(cache.complete(bare))]
    assert types == [h264.AUD, h264.SPS, h264.PPS, h264.IDR]


def test_short_start_codes_are_understood() -> None:
    cache = h264.parameter_set_cache()
    key, delta = vectors.frames("h264")[:2]
    cache.complete(key)
    short = delta.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01")
    assert cache.complete(short) is short


def test_nothing_is_made_up_before_any_set_was_seen() -> None:
    cache = h264.parameter_set_cache()
    idr = join_nal_units([list(nal_units(vectors.frames("h264")[0]))[-1]])
    assert cache.complete(idr) is idr


@pytest.mark.parametrize(("name", "make_cache", "parameter_sets"), CODECS)
@settings(deadline=None)
@given(data=st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_come_back_or_are_held(
    name: str, make_cache: MakeCache, parameter_sets: Sets, data: list[bytes]
) -> None:
    cache = make_cache()
    for unit in data:
        completed = cache.complete(join_nal_units([unit]))
        assert not completed or completed.endswith(unit)
