import gc
from collections.abc import Iterator

import pytest

from channel_recorder.garbage import collect_less_often


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_a_process_that_records_collects_less_often() -> None:
    gc.set_threshold(700, 10, 10)
    collect_less_often()
    new, *others = gc.get_threshold()
    assert new > 10_000
    assert others == [10, 10]


@pytest.mark.parametrize("chosen", [0, 100, 100_000])
def test_a_threshold_the_program_has_chosen_is_kept(chosen: int) -> None:
    gc.set_threshold(chosen, 5, 5)
    collect_less_often()
    assert gc.get_threshold() == (chosen, 5, 5)
